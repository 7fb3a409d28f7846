"""Second factor, conditional access and the state of an account: at sign-in, and at every token."""

from __future__ import annotations

import json
from typing import Any

import msal  # type: ignore[import-untyped]
import pytest
import requests

from local.simulator.organisations import CONDITIONAL_ACCESS
from local.simulator.server import Simulator
from local.simulator.state import SimulatorState
from tests.contract.simulator.person import (
    BILLING,
    CALLBACK,
    SEND,
    Control,
    Person,
    TokenEndpoint,
    application,
    authorize_url,
    refused_with,
)

HOUR = 3600
DAY = 24 * HOUR


@pytest.fixture
def mfa(control: Control) -> None:
    """Contoso demands a second factor."""
    control("POST", "tenants", {"tenant": "contoso.com", "mfa": True})


def granted(simulator: Simulator, person: Person, token_endpoint: TokenEndpoint) -> str:
    """A refresh token of billing@contoso.com."""
    code = person.open(authorize_url(simulator)).sign_in()["code"]
    return str(token_endpoint.code(code).json()["refresh_token"])


def test_a_second_factor_is_asked_for_by_a_page(
    simulator: Simulator, person: Person, mfa: None
) -> None:
    person.open(authorize_url(simulator)).press(BILLING)

    assert {"code", "verify", "cancel-sign-in", "signed-in-as"} <= person.page.ids
    assert person.press("verify", code="123 456").page.scopes


@pytest.mark.parametrize("code", ["", "12345", "abcdef", "000000"])
def test_a_wrong_code_is_asked_for_again(
    simulator: Simulator, person: Person, mfa: None, code: str
) -> None:
    person.open(authorize_url(simulator)).press(BILLING).press("verify", code=code)

    assert person.page.texts["error"].startswith("AADSTS500121")
    assert "verify" in person.page.ids


def test_one_user_can_need_a_second_factor(
    simulator: Simulator, control: Control, person: Person
) -> None:
    control("POST", "mailboxes", {"address": BILLING, "mfa": True})

    assert "verify" in person.open(authorize_url(simulator)).press(BILLING).page.ids
    person.session.cookies.clear()
    assert "accept" in person.open(authorize_url(simulator)).press("ada@contoso.com").page.ids


def test_a_second_factor_can_be_declined(simulator: Simulator, person: Person, mfa: None) -> None:
    person.open(authorize_url(simulator)).press(BILLING).press("cancel-sign-in")

    assert person.answer["error"] == "access_denied"


def test_the_second_factor_cannot_be_skipped_by_posting_a_consent(
    simulator: Simulator, person: Person, http: requests.Session, mfa: None
) -> None:
    person.open(authorize_url(simulator)).press(BILLING)
    context = person.page.forms[0].fields["ctx"]

    answer = http.post(
        f"{simulator.urls.http}/entra/consent",
        {"ctx": context, "answer": "accept"},
        allow_redirects=False,
    )

    assert answer.status_code == 400


def test_a_browser_that_gave_its_factor_is_not_asked_again(
    simulator: Simulator, person: Person, mfa: None
) -> None:
    person.open(authorize_url(simulator)).sign_in()

    assert "code" in person.open(authorize_url(simulator)).answer


def test_a_user_without_a_factor_registers_one_first(
    simulator: Simulator, control: Control, person: Person, mfa: None
) -> None:
    control("POST", "mailboxes", {"address": BILLING, "mfa_registered": False})

    person.open(authorize_url(simulator)).press(BILLING)
    shown = person.page.texts["error-code"]
    answer = person.press("enrol").sign_in()

    assert shown == "AADSTS50079"
    assert "code" in answer


def test_registration_cannot_be_skipped_by_posting_a_code(
    simulator: Simulator, control: Control, person: Person, http: requests.Session, mfa: None
) -> None:
    control("POST", "mailboxes", {"address": BILLING, "mfa_registered": False})
    person.open(authorize_url(simulator)).press(BILLING)
    context = person.page.forms[0].fields["ctx"]

    person._took(
        http.post(
            f"{simulator.urls.http}/entra/second-factor",
            {"ctx": context, "answer": "verify", "code": "123456"},
        )
    )

    assert "accept" not in person.page.ids


def test_a_grant_from_before_the_demand_is_refused_with_a_challenge(
    simulator: Simulator, control: Control, person: Person, token_endpoint: TokenEndpoint
) -> None:
    token = granted(simulator, person, token_endpoint)
    control("POST", "tenants", {"tenant": "contoso.com", "mfa": True})

    answer = token_endpoint.refresh(token)

    assert refused_with(answer) == (400, "interaction_required", 50076)
    assert answer.json()["suberror"] == "basic_action"
    assert "capolids" in json.loads(answer.json()["claims"])["access_token"]


def test_the_challenge_sent_along_brings_a_grant_that_is_good(
    simulator: Simulator, control: Control, person: Person, token_endpoint: TokenEndpoint
) -> None:
    """MSAL with the claims of the refusal, as an application would go on."""
    token = granted(simulator, person, token_endpoint)
    control("POST", "tenants", {"tenant": "contoso.com", "mfa": True})
    app = application(simulator)
    refused = app.acquire_token_by_refresh_token(token, [SEND])

    flow = app.initiate_auth_code_flow(
        [SEND], CALLBACK, response_mode="form_post", claims_challenge=refused["claims"]
    )
    person.open(flow["auth_uri"])
    asked = "verify" in person.page.ids
    result = app.acquire_token_by_auth_code_flow(flow, person.sign_in())

    assert asked
    assert "access_token" in app.acquire_token_by_refresh_token(result["refresh_token"], [SEND])


def test_a_challenge_asks_for_the_factor_even_where_no_rule_does(
    simulator: Simulator, person: Person
) -> None:
    claims = json.dumps({"access_token": {"acrs": {"essential": True, "value": "c1"}}})

    person.open(authorize_url(simulator, claims=claims)).press(BILLING)

    assert "verify" in person.page.ids


def test_a_second_factor_that_grew_old_is_refused(
    simulator: Simulator,
    state: SimulatorState,
    control: Control,
    person: Person,
    token_endpoint: TokenEndpoint,
    mfa: None,
) -> None:
    control("POST", "tenants", {"tenant": "contoso.com", "mfa_days": 30})
    token = granted(simulator, person, token_endpoint)

    state.clock.advance(29 * DAY)
    young = token_endpoint.refresh(token)
    state.clock.advance(2 * DAY)
    # Refreshing does not make the sign-in behind it any newer.
    old = token_endpoint.refresh(young.json()["refresh_token"])

    assert young.status_code == 200
    assert refused_with(old) == (400, "invalid_grant", 50078)


def test_a_user_whose_factor_was_removed_must_enrol(
    simulator: Simulator,
    control: Control,
    person: Person,
    token_endpoint: TokenEndpoint,
    mfa: None,
) -> None:
    token = granted(simulator, person, token_endpoint)
    control("POST", "mailboxes", {"address": BILLING, "mfa_registered": False})

    assert refused_with(token_endpoint.refresh(token))[2] == 50079


def test_sign_in_frequency_ends_a_grant(
    simulator: Simulator,
    state: SimulatorState,
    control: Control,
    person: Person,
    token_endpoint: TokenEndpoint,
) -> None:
    control("POST", "tenants", {"tenant": "contoso.com", "sign_in_frequency_hours": 12})
    token = granted(simulator, person, token_endpoint)

    state.clock.advance(11 * HOUR)
    assert token_endpoint.refresh(token).status_code == 200
    state.clock.advance(2 * HOUR)
    answer = token_endpoint.refresh(token)

    assert refused_with(answer) == (400, "invalid_grant", 70043)
    assert answer.json()["suberror"] == "token_expired"
    assert BILLING in person.open(authorize_url(simulator)).page.accounts


@pytest.mark.parametrize("owner", ["tenant", "user"])
@pytest.mark.parametrize(("demand", "number"), CONDITIONAL_ACCESS.items())
def test_conditional_access_holds_at_sign_in_and_at_refresh(
    simulator: Simulator,
    control: Control,
    person: Person,
    token_endpoint: TokenEndpoint,
    owner: str,
    demand: str,
    number: int,
) -> None:
    token = granted(simulator, person, token_endpoint)
    rule: dict[str, Any] = {"conditional_access": demand}
    if owner == "tenant":
        control("POST", "tenants", {"tenant": "contoso.com", **rule})
    else:
        control("POST", "mailboxes", {"address": BILLING, **rule})

    person.open(authorize_url(simulator, prompt="login")).press(BILLING)

    assert person.page.texts["error"].startswith(f"AADSTS{number}")
    assert refused_with(token_endpoint.refresh(token))[2] == number


def test_prompt_none_tells_the_application_what_is_missing(
    simulator: Simulator, control: Control, person: Person
) -> None:
    person.open(authorize_url(simulator)).sign_in()
    control("POST", "tenants", {"tenant": "contoso.com", "mfa": True})

    person.open(authorize_url(simulator, prompt="none"))

    assert person.answer["error"] == "interaction_required"
    assert person.answer["error_description"].startswith("AADSTS50076")


@pytest.mark.parametrize(
    ("condition", "number", "at_refresh"),
    [
        ({"locked": True}, 50053, None),
        # A confidential client's grant survives the password (entra-oauth.md 3.1).
        ({"password_expired": True}, 50055, None),
        ({"enabled": False}, 50057, 50057),
    ],
)
def test_the_state_of_an_account_is_met_at_sign_in(
    simulator: Simulator,
    control: Control,
    person: Person,
    token_endpoint: TokenEndpoint,
    condition: dict[str, bool],
    number: int,
    at_refresh: int | None,
) -> None:
    token = granted(simulator, person, token_endpoint)
    control("POST", "mailboxes", {"address": BILLING, **condition})

    person.open(authorize_url(simulator, prompt="login")).press(BILLING)
    answer = token_endpoint.refresh(token)

    assert person.page.texts["error"].startswith(f"AADSTS{number}")
    assert (refused_with(answer)[2] if answer.status_code != 200 else None) == at_refresh


def test_a_tenant_can_block_device_code_alone(
    simulator: Simulator, control: Control, person: Person
) -> None:
    control("POST", "tenants", {"tenant": "contoso.com", "block_device_code": True})
    stack = simulator.stack()
    app = msal.PublicClientApplication(
        stack["client_id"],
        authority=stack["authority"],
        instance_discovery=False,
        verify=stack["ca_file"],
    )
    flow = app.initiate_device_flow([SEND])

    person.open(flow["verification_uri"]).press("next", otc=flow["user_code"]).press(BILLING)

    assert person.page.texts["error"].startswith("AADSTS53003")
    # The device is not told: it polls until its code has run out.
    pending = app.acquire_token_by_device_flow(flow, exit_condition=lambda flow: True)
    assert pending["error"] == "authorization_pending"
    assert "code" in person.open(authorize_url(simulator)).sign_in()
