"""Every flow of each client of Entra, and what each makes of a refusal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from local.simulator.server import Simulator
from local.simulator.state import SimulatorState
from tests.contract.clients.entra_programs import (
    CLIENTS,
    GRAPH_DEFAULT,
    IDENTITY,
    IDENTITY_NODE,
    MSAL,
    MSAL_NODE,
    SEND,
    Client,
    Programs,
)
from tests.contract.simulator.conftest import (  # noqa: F401 - fixtures of these tests too
    control,
    http,
    person,
    running_simulator,
    signer,
    simulator,
    state,
    token_endpoint,
)
from tests.contract.simulator.person import (
    ADA,
    BILLING,
    Control,
    Person,
    TokenEndpoint,
    authorize_url,
)
from tests.contract.simulator.signer import Signer

BOTH_MSALS = pytest.mark.parametrize("client", [MSAL, MSAL_NODE], ids=str)
BOTH_IDENTITIES = pytest.mark.parametrize("client", [IDENTITY, IDENTITY_NODE], ids=str)
ALL = pytest.mark.parametrize("client", CLIENTS, ids=str)
VAULT = "https://vault.azure.net"


@pytest.fixture
def programs(simulator: Simulator, signer: Signer, tmp_path: Path) -> Programs:  # noqa: F811
    return Programs(simulator, signer, tmp_path)


def has_token(state: SimulatorState, answer: Mapping[str, Any]) -> bool:  # noqa: F811
    """Whether a client got a token that Graph takes."""
    assert "access_token" in answer, answer
    return state.tokens.find(answer["access_token"], "https://graph.microsoft.com") is not None


@ALL
@pytest.mark.parametrize("form", ["client-secret", "client-certificate", "client-assertion"])
def test_the_application_proves_itself(
    state: SimulatorState,  # noqa: F811
    programs: Programs,
    signer: Signer,  # noqa: F811
    client: Client,
    form: str,
) -> None:
    state.entra.application.add_certificate(signer.pem)
    exchange, _ = state.identity.token_for({"resource": "api://AzureADTokenExchange"})

    answer = programs.run(client, form, SCOPES=GRAPH_DEFAULT, ASSERTION=exchange)

    assert has_token(state, answer)


@ALL
@pytest.mark.parametrize(
    ("form", "changes", "number"),
    [
        pytest.param("client-secret", {"CLIENT_SECRET": "wrong"}, 7000215, id="secret"),
        pytest.param("client-certificate", {}, 700027, id="certificate"),
        pytest.param("client-assertion", {"ASSERTION": "not-a-token"}, 50027, id="assertion"),
        pytest.param("client-secret", {"CLIENT_ID": "another"}, 700016, id="application"),
        pytest.param("client-secret", {"SCOPES": SEND}, 70011, id="scope"),
        pytest.param(
            "client-secret", {"SCOPES": "https://wingtip.com/.default"}, 500011, id="resource"
        ),
    ],
)
def test_a_refusal_reaches_the_program_with_its_number(
    programs: Programs, client: Client, form: str, changes: dict[str, str], number: int
) -> None:
    answer = programs.run(client, form, **{"SCOPES": GRAPH_DEFAULT, **changes})

    assert f"AADSTS{number}" in answer["message"], answer


@BOTH_MSALS
def test_an_unknown_tenant_is_refused(programs: Programs, client: Client) -> None:
    more = {"TENANT": "wingtip.com", "SCOPES": GRAPH_DEFAULT}
    if client is MSAL:
        with pytest.raises(AssertionError, match="Unable to get authority configuration"):
            programs.run(client, "client-secret", **more)
        return

    answer = programs.run(client, "client-secret", **more)

    assert "error" in answer


def signed_in(
    programs: Programs,
    person: Person,  # noqa: F811
    client: Client,
    address: str = BILLING,
    **more: str,
) -> dict[str, str]:
    """The environment of the next run: what the application has after its link was followed."""
    link = programs.run(client, "code-link", SCOPES=SEND, **more)
    answer = person.open(link["url"]).sign_in(address)
    return {
        "SCOPES": SEND,
        "CODE": answer["code"],
        "ANSWER": json.dumps(answer),
        "VERIFIER": link["verifier"] or "",
    }


@pytest.mark.parametrize(
    ("client", "pkce"),
    [(MSAL, "yes"), (MSAL_NODE, "yes"), (MSAL_NODE, "no")],
    ids=["msal-python", "msal-node", "msal-node-without-pkce"],
)
@pytest.mark.parametrize("flow", ["code", "code-and-silent"])
def test_a_mailbox_signs_in_and_its_token_is_renewed(
    state: SimulatorState,  # noqa: F811
    programs: Programs,
    person: Person,  # noqa: F811
    client: Client,
    pkce: str,
    flow: str,
) -> None:
    environment = signed_in(programs, person, client, ADA, PKCE=pkce)

    answer = programs.run(client, flow, **environment)

    assert has_token(state, answer)
    assert answer["address"] in (ADA, None)
    assert state.tokens.find(answer["access_token"]).address == ADA


@pytest.mark.parametrize("client", [MSAL_NODE], ids=str)
def test_the_link_carries_a_challenge_where_the_program_asks_for_one(
    programs: Programs, client: Client
) -> None:
    asked = {
        pkce: parse_qs(
            urlsplit(programs.run(client, "code-link", SCOPES=SEND, PKCE=pkce)["url"]).query
        )
        for pkce in ("yes", "no")
    }

    assert asked["yes"]["code_challenge_method"] == ["S256"]
    assert "code_challenge" not in asked["no"]


@BOTH_IDENTITIES
def test_a_credential_redeems_a_code(
    simulator: Simulator,  # noqa: F811
    state: SimulatorState,  # noqa: F811
    programs: Programs,
    person: Person,  # noqa: F811
    client: Client,
) -> None:
    """These have no PKCE."""
    tenant = simulator.stack()["tenant_id"]
    link = authorize_url(simulator, tenant, code_challenge=None, code_challenge_method=None)
    code = person.open(link).sign_in(ADA)["code"]

    answer = programs.run(client, "code", SCOPES=SEND, CODE=code)

    assert has_token(state, answer)


@BOTH_MSALS
def test_a_refresh_token_from_elsewhere_is_used(
    simulator: Simulator,  # noqa: F811
    state: SimulatorState,  # noqa: F811
    programs: Programs,
    person: Person,  # noqa: F811
    token_endpoint: TokenEndpoint,  # noqa: F811
    client: Client,
) -> None:
    code = person.open(authorize_url(simulator)).sign_in(ADA)["code"]
    token = token_endpoint.code(code).json()["refresh_token"]

    answer = programs.run(client, "refresh", SCOPES=SEND, REFRESH_TOKEN=token)

    assert has_token(state, answer)


@BOTH_MSALS
def test_a_refresh_token_that_was_revoked_is_refused(
    simulator: Simulator,  # noqa: F811
    programs: Programs,
    control: Control,  # noqa: F811
    person: Person,  # noqa: F811
    token_endpoint: TokenEndpoint,  # noqa: F811
    client: Client,
) -> None:
    code = person.open(authorize_url(simulator)).sign_in(ADA)["code"]
    token = token_endpoint.code(code).json()["refresh_token"]
    control("POST", "revoke", {"mailbox": ADA})

    answer = programs.run(client, "refresh", SCOPES=SEND, REFRESH_TOKEN=token)

    assert answer["error"] in ("invalid_grant", "InteractionRequiredAuthError")
    assert "AADSTS50173" in answer["message"]


@ALL
def test_a_device_signs_in(
    state: SimulatorState,  # noqa: F811
    programs: Programs,
    person: Person,  # noqa: F811
    client: Client,
) -> None:
    """MSAL for Python names the grant as RFC 8628 does, MSAL for Node as v1 did."""
    state.entra.options = state.entra.options.changed({"device_code_interval": 1})

    answer = programs.with_device_code(client, person, ADA)

    assert has_token(state, answer)
    assert state.tokens.find(answer["access_token"]).address == ADA


@BOTH_IDENTITIES
def test_the_environment_names_the_application(
    state: SimulatorState,  # noqa: F811
    programs: Programs,
    client: Client,
) -> None:
    assert has_token(state, programs.run(client, "environment", SCOPES=GRAPH_DEFAULT))


@ALL
def test_a_managed_identity_with_mail_send_gets_it_in_its_token(
    state: SimulatorState,  # noqa: F811
    control: Control,  # noqa: F811
    programs: Programs,
    client: Client,
) -> None:
    control("POST", "options", {"identity_app_roles": ["Mail.Send"]})

    answer = programs.run(
        client,
        "managed-identity",
        SCOPES=GRAPH_DEFAULT,
        RESOURCE="https://graph.microsoft.com",
    )

    assert state.tokens.find(answer["access_token"]).roles == {"Mail.Send"}


@pytest.mark.parametrize("client", [MSAL_NODE, IDENTITY_NODE], ids=str)
def test_a_password_is_refused_and_logged(
    control: Control,  # noqa: F811
    programs: Programs,
    client: Client,
) -> None:
    """MSAL for Python first asks for the user's realm, and leaves the port out of that address, so
    that it does not get here: `test_entra_requests.py` has its request."""
    answer = programs.run(client, "password", SCOPES=SEND, USERNAME=ADA)

    assert "AADSTS50126" in answer["message"], answer
    assert control.unsupported() == ["grant_type password"]


@ALL
def test_a_token_on_behalf_of_a_user_is_refused_and_logged(
    control: Control,  # noqa: F811
    programs: Programs,
    client: Client,
) -> None:
    answer = programs.run(client, "on-behalf-of", SCOPES=SEND, ASSERTION="a.b.c")

    assert "AADSTS70003" in answer["message"], answer
    assert control.unsupported() == ["grant_type urn:ietf:params:oauth:grant-type:jwt-bearer"]
