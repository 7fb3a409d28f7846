"""App Service's managed-identity endpoint, by hand and through azure-identity."""

from __future__ import annotations

import time

import pytest
import requests
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ManagedIdentityCredential

from local.simulator.server import Simulator
from local.simulator.state import SimulatorState
from tests.contract.simulator.person import Control

VAULT = "https://vault.azure.net"


def ask(
    simulator: Simulator, http: requests.Session, header: str | None = None, **query: str
) -> requests.Response:
    """A well-formed request, but for what the test says."""
    stack = simulator.stack()
    return http.get(
        stack["identity_endpoint"],
        params={"api-version": "2019-08-01", "resource": VAULT, **query},
        headers={"X-IDENTITY-HEADER": stack["identity_header"] if header is None else header},
    )


def test_a_token_has_app_services_shape(simulator: Simulator, http: requests.Session) -> None:
    answer = ask(simulator, http).json()

    assert answer["access_token"].startswith("SIMAT.")
    assert isinstance(answer["expires_on"], str)
    assert int(answer["expires_on"]) > time.time() + 3600
    assert (answer["resource"], answer["token_type"]) == (VAULT, "Bearer")


def test_a_token_is_for_its_resource_only(
    simulator: Simulator, state: SimulatorState, http: requests.Session
) -> None:
    claims = state.tokens.find(ask(simulator, http).json()["access_token"], VAULT)

    assert claims.app_only
    assert claims.object_id == simulator.stack()["identity_principal_id"]


@pytest.mark.parametrize(
    ("header", "query", "status"),
    [
        pytest.param("forged", {}, 401, id="header"),
        pytest.param(None, {"api-version": "2017-09-01"}, 400, id="version"),
        pytest.param(None, {"resource": ""}, 400, id="no-resource"),
        pytest.param(None, {"resource": "https://evil.example"}, 400, id="unknown-resource"),
        pytest.param(None, {"client_id": "someone-else"}, 400, id="unknown-client-id"),
        pytest.param(None, {"object_id": "someone-else"}, 400, id="unknown-object-id"),
        pytest.param(None, {"mi_res_id": "/subscriptions/x"}, 400, id="unknown-resource-id"),
    ],
)
def test_other_requests_are_refused(
    simulator: Simulator,
    http: requests.Session,
    header: str | None,
    query: dict[str, str],
    status: int,
) -> None:
    response = ask(simulator, http, header, **query)

    assert response.status_code == status
    assert response.json().keys() == {"statusCode", "message", "correlationId"}
    assert response.json()["statusCode"] == status


@pytest.mark.parametrize(
    ("parameter", "field"),
    [
        ("client_id", "identity_client_id"),
        ("object_id", "identity_principal_id"),
        ("mi_res_id", "identity_resource_id"),
    ],
)
def test_an_identity_has_three_names(
    simulator: Simulator, http: requests.Session, parameter: str, field: str
) -> None:
    answer = ask(simulator, http, **{parameter: simulator.stack()[field].upper()})

    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("switch", "query", "words"),
    [
        ({"identity_assigned": False}, {}, "No User Assigned"),
        ({"identity_must_be_named": True}, {}, "Unable to load the proper Managed Identity"),
    ],
)
def test_an_identity_may_be_missing_or_unclear(
    simulator: Simulator,
    control: Control,
    http: requests.Session,
    switch: dict[str, bool],
    query: dict[str, str],
    words: str,
) -> None:
    control("POST", "options", switch)

    answer = ask(simulator, http, **query)

    assert answer.status_code == 400
    assert words in answer.json()["message"]


def test_azure_identity_says_that_the_identity_is_unknown(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = simulator.stack()
    monkeypatch.setenv("IDENTITY_ENDPOINT", stack["identity_endpoint"])
    monkeypatch.setenv("IDENTITY_HEADER", stack["identity_header"])

    with (
        ManagedIdentityCredential(client_id="someone-else", retry_total=0) as credential,
        pytest.raises(ClientAuthenticationError, match="No User Assigned"),
    ):
        credential.get_token(f"{VAULT}/.default")


def test_azure_identity_waits_out_a_throttled_endpoint(
    simulator: Simulator, control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = simulator.stack()
    monkeypatch.setenv("IDENTITY_ENDPOINT", stack["identity_endpoint"])
    monkeypatch.setenv("IDENTITY_HEADER", stack["identity_header"])
    headers = {"Retry-After": "0"}
    control("POST", "faults", {"where": "identity.token", "status": 429, "headers": headers})
    control("POST", "faults", {"where": "identity.token", "action": "slow", "seconds": 0.2})

    with ManagedIdentityCredential(client_id=stack["identity_client_id"]) as credential:
        assert credential.get_token(f"{VAULT}/.default").token

    assert control("GET", "counts")["counts"]["identity.token"] == 2


@pytest.mark.parametrize("named", [True, False], ids=["by-client-id", "unnamed"])
def test_azure_identity_gets_a_token(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch, named: bool
) -> None:
    stack = simulator.stack()
    monkeypatch.setenv("IDENTITY_ENDPOINT", stack["identity_endpoint"])
    monkeypatch.setenv("IDENTITY_HEADER", stack["identity_header"])

    with ManagedIdentityCredential(
        client_id=stack["identity_client_id"] if named else None
    ) as credential:
        token = credential.get_token(f"{VAULT}/.default")

    assert token.expires_on > time.time() + 3600


def send_as_identity(
    simulator: Simulator, http: requests.Session, mailbox: str = "billing@contoso.com"
) -> requests.Response:
    """Send one mail with the identity's token for Graph."""
    token = ask(simulator, http, resource="https://graph.microsoft.com").json()["access_token"]
    recipient = {"emailAddress": {"address": "ada@contoso.com"}}
    return http.post(
        f"{simulator.urls.graph}/users/{mailbox}/sendMail",
        json={"message": {"subject": "Hello", "toRecipients": [recipient]}},
        headers={"Authorization": f"Bearer {token}"},
    )


def test_an_identity_without_a_role_may_not_send(
    simulator: Simulator, http: requests.Session
) -> None:
    answer = send_as_identity(simulator, http)

    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "ErrorAccessDenied")


def test_an_identity_with_mail_send_sends(
    simulator: Simulator, control: Control, http: requests.Session
) -> None:
    control("POST", "options", {"identity_app_roles": ["Mail.Send"]})

    answer = send_as_identity(simulator, http)

    assert answer.status_code == 202
    (mail,) = control("GET", "deliveries")["deliveries"]
    assert mail["subject"] == "Hello"


def test_an_identity_sends_only_from_mailboxes_for_applications(
    simulator: Simulator, control: Control, http: requests.Session
) -> None:
    control("POST", "options", {"identity_app_roles": ["Mail.Send"]})
    allowed = {"tenant": "contoso.com", "app_only_mailboxes": ["info@contoso.com"]}
    control("POST", "tenants", allowed)

    assert send_as_identity(simulator, http).status_code == 403
    assert send_as_identity(simulator, http, "info@contoso.com").status_code == 202
    assert send_as_identity(simulator, http, "orders@fabrikam.com").status_code == 404


def test_a_role_counts_for_graph_alone_and_in_the_next_token(
    simulator: Simulator, state: SimulatorState, control: Control, http: requests.Session
) -> None:
    before = ask(simulator, http, resource="https://graph.microsoft.com").json()["access_token"]
    control("POST", "options", {"identity_app_roles": ["Mail.Send"]})

    vault = ask(simulator, http).json()["access_token"]

    assert not state.tokens.find(before).roles
    assert not state.tokens.find(vault).roles


@pytest.mark.parametrize("value", ["Mail.Send", [1], None, {"Mail.Send": True}])
def test_roles_are_a_list_of_names(control: Control, value: object) -> None:
    assert "a list of texts" in control.refusal("options", {"identity_app_roles": value})


def test_faults_reach_this_endpoint(simulator: Simulator, http: requests.Session) -> None:
    rule = {"where": "identity.token", "status": 429, "headers": {"Retry-After": "1"}}
    http.post(f"{simulator.urls.control}/faults", json=rule)

    response = ask(simulator, http)

    assert response.json()["statusCode"] == 429
    assert response.headers["Retry-After"] == "1"
