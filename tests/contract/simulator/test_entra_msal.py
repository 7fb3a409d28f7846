"""The unmodified MSAL and azure-identity against the simulator: every flow that Postroom uses."""

from __future__ import annotations

import time
from typing import Any

import msal  # type: ignore[import-untyped]
import pytest
from azure.identity import ClientSecretCredential

from local.simulator.server import Simulator
from local.simulator.state import SimulatorState
from tests.contract.simulator.person import (
    ADA,
    BILLING,
    CALLBACK,
    ME,
    PERSONAL,
    SEND,
    Person,
    application,
    signed_in,
)

GRAPH_DEFAULT = "https://graph.microsoft.com/.default"


@pytest.mark.parametrize(
    ("tenant", "address"),
    [
        ("contoso.com", BILLING),
        ("organizations", ADA),
        ("common", PERSONAL),
        ("consumers", PERSONAL),
    ],
)
def test_the_code_flow_signs_a_mailbox_in(
    simulator: Simulator, person: Person, tenant: str, address: str
) -> None:
    app = application(simulator, authority=f"{simulator.urls.https}/{tenant}")

    result = signed_in(app, person, address)

    assert result["id_token_claims"]["preferred_username"] == address
    assert set(result["scope"].split()) >= {SEND, ME}


def test_a_cached_token_is_found_by_its_long_scopes(simulator: Simulator, person: Person) -> None:
    app = application(simulator)
    signed_in(app, person)

    result = app.acquire_token_silent([SEND], app.get_accounts()[0])

    assert result is not None
    assert result["token_source"] == "cache"


def test_short_scopes_in_the_answer_miss_the_cache(
    simulator: Simulator, state: SimulatorState, person: Person
) -> None:
    state.entra.options = state.entra.options.changed({"short_scopes": True})
    app = application(simulator)
    signed_in(app, person)

    result = app.acquire_token_silent([SEND], app.get_accounts()[0])

    assert result is not None
    assert result["token_source"] == "identity_provider"


def test_a_refresh_token_from_elsewhere_is_taken(simulator: Simulator, person: Person) -> None:
    stored = signed_in(application(simulator), person)["refresh_token"]

    result = application(simulator).acquire_token_by_refresh_token(stored, [SEND, ME])

    assert result["refresh_token"] != stored


def test_a_revoked_grant_reaches_the_application(
    simulator: Simulator, state: SimulatorState, person: Person
) -> None:
    stored = signed_in(application(simulator), person)["refresh_token"]
    user = state.directory.find(BILLING)
    assert user is not None
    state.entra.grants.revoke(user.object_id, 50173)

    result = application(simulator).acquire_token_by_refresh_token(stored, [SEND])

    assert (result["error"], result["error_codes"]) == ("invalid_grant", [50173])


def test_a_declined_consent_reaches_the_application(simulator: Simulator, person: Person) -> None:
    app = application(simulator)
    flow = app.initiate_auth_code_flow([SEND], CALLBACK, response_mode="form_post")

    person.open(flow["auth_uri"]).press(BILLING).press("cancel")

    result = app.acquire_token_by_auth_code_flow(flow, person.answer)
    assert result["error"] == "access_denied"


def test_a_wrong_nonce_is_noticed_by_msal(
    simulator: Simulator, state: SimulatorState, person: Person
) -> None:
    state.entra.options = state.entra.options.changed({"wrong_nonce": True})

    with pytest.raises(RuntimeError, match="nonce"):
        signed_in(application(simulator), person)


def test_a_wrong_audience_is_not_noticed_by_msal(
    simulator: Simulator, state: SimulatorState, person: Person
) -> None:
    """Since 1.38; the application has to look (entra-oauth.md 2.3)."""
    state.entra.options = state.entra.options.changed({"wrong_audience": True})

    assert "access_token" in signed_in(application(simulator), person)


def test_max_age_brings_an_auth_time(simulator: Simulator, person: Person) -> None:
    result = signed_in(application(simulator), person, max_age=300)

    assert abs(result["id_token_claims"]["auth_time"] - time.time()) < 60


def test_discovery_may_be_asked_here(simulator: Simulator, person: Person) -> None:
    discovery = f"{simulator.urls.https}/common/discovery/instance"
    app = application(simulator, instance_discovery=discovery)

    assert "access_token" in signed_in(app, person)


def test_client_credentials(simulator: Simulator) -> None:
    result = application(simulator).acquire_token_for_client([GRAPH_DEFAULT])

    assert result["access_token"].startswith("SIMAT.")


def test_azure_identity_signs_the_application_in(simulator: Simulator) -> None:
    stack = simulator.stack()
    with ClientSecretCredential(
        stack["tenant_id"],
        stack["client_id"],
        stack["client_secret"],
        authority=stack["authority_host"],
        disable_instance_discovery=True,
        connection_verify=stack["ca_file"],
    ) as credential:
        assert credential.get_token(GRAPH_DEFAULT).token.startswith("SIMAT.")


@pytest.fixture
def public_app(simulator: Simulator, state: SimulatorState) -> msal.PublicClientApplication:
    state.entra.options = state.entra.options.changed({"device_code_interval": 1})
    stack = simulator.stack()
    return msal.PublicClientApplication(
        stack["client_id"],
        authority=stack["authority"],
        instance_discovery=False,
        verify=stack["ca_file"],
    )


def test_the_device_code_flow_signs_a_mailbox_in(
    person: Person, public_app: msal.PublicClientApplication
) -> None:
    flow = public_app.initiate_device_flow([SEND])
    person.open(flow["verification_uri"]).press("next", otc=flow["user_code"].lower())
    person.press(ADA).press("accept")

    result = public_app.acquire_token_by_device_flow(flow)
    renewed = public_app.acquire_token_by_refresh_token(result["refresh_token"], [SEND])

    assert "done" in person.page.ids
    assert result["id_token_claims"]["preferred_username"] == ADA
    assert "access_token" in renewed


def one_poll(app: msal.PublicClientApplication, flow: dict[str, Any]) -> dict[str, Any]:
    """Poll once instead of waiting for a person."""
    result: dict[str, Any] = app.acquire_token_by_device_flow(
        flow, exit_condition=lambda flow: True
    )
    return result


def test_a_pending_device_is_told_to_wait(public_app: msal.PublicClientApplication) -> None:
    flow = public_app.initiate_device_flow([SEND])

    assert one_poll(public_app, flow)["error"] == "authorization_pending"


def test_a_declined_device_is_told_so(
    person: Person, public_app: msal.PublicClientApplication
) -> None:
    flow = public_app.initiate_device_flow([SEND])
    person.open(flow["verification_uri"]).press("next", otc=flow["user_code"])
    person.press(ADA).press("cancel")

    assert one_poll(public_app, flow)["error"] == "authorization_declined"


def test_a_device_code_expires(
    state: SimulatorState, public_app: msal.PublicClientApplication
) -> None:
    flow = public_app.initiate_device_flow([SEND])
    state.clock.advance(901)

    assert one_poll(public_app, flow)["error"] == "expired_token"


def test_a_wrong_user_code_is_asked_again(simulator: Simulator, person: Person) -> None:
    person.open(f"{simulator.urls.http}/devicelogin").press("next", otc="WRONG")

    assert {"error", "otc"} <= person.page.ids


def test_secrets_carry_prefixes_that_a_canary_can_find(
    simulator: Simulator, person: Person
) -> None:
    result = signed_in(application(simulator), person)

    assert simulator.stack()["client_secret"].startswith("SIMSECRET~")
    assert result["refresh_token"].startswith("SIMRT.")
    assert result["access_token"].startswith("SIMAT.")
