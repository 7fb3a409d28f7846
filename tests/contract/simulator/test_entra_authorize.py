"""What a person and the application meet between the authorize link and the callback."""

from __future__ import annotations

import pytest
import requests

from local.simulator.server import Simulator
from local.simulator.state import SimulatorState
from tests.contract.simulator.person import (
    ADMIN,
    BILLING,
    CALLBACK,
    ME,
    PERSONAL,
    READ_WRITE,
    SEND,
    Page,
    Person,
    authorize_url,
)


def test_the_sign_in_page_offers_accounts_but_no_shared_mailbox(
    simulator: Simulator, person: Person
) -> None:
    person.open(authorize_url(simulator))

    assert BILLING in person.page.accounts
    assert "info@contoso.com" not in person.page.accounts
    assert {"username", "next", "cancel-sign-in"} <= person.page.ids


def test_the_consent_page_names_each_permission(simulator: Simulator, person: Person) -> None:
    person.open(authorize_url(simulator)).press(BILLING)

    assert person.page.scopes == ["Mail.Send", "offline_access", "openid", "profile"]
    assert "organization" not in person.page.ids


def test_accepting_answers_with_code_and_state(simulator: Simulator, person: Person) -> None:
    answer = person.open(authorize_url(simulator)).sign_in()

    assert answer["code"].startswith("SIMCODE.")
    assert answer["state"] == "st4te"
    assert answer.keys() == {"code", "state", "session_state"}
    assert person.answered_by == CALLBACK


@pytest.mark.parametrize("mode", ["query", "fragment", "form_post"])
def test_every_response_mode_brings_the_same_answer(
    simulator: Simulator, person: Person, mode: str
) -> None:
    answer = person.open(authorize_url(simulator, response_mode=mode, client_info="1")).sign_in()

    assert answer.keys() == {"code", "state", "session_state", "client_info"}


def test_consent_is_remembered_for_the_next_sign_in(simulator: Simulator, person: Person) -> None:
    person.open(authorize_url(simulator)).sign_in()

    person.open(authorize_url(simulator, prompt="login")).press(BILLING)

    assert "code" in person.answer


def test_prompt_consent_asks_again(simulator: Simulator, person: Person) -> None:
    person.open(authorize_url(simulator)).sign_in()

    person.open(authorize_url(simulator, prompt="consent"))

    assert "accept" in person.page.ids


def test_only_new_permissions_are_asked_for(simulator: Simulator, person: Person) -> None:
    person.open(authorize_url(simulator)).sign_in()

    person.open(authorize_url(simulator, scope=f"openid {SEND} {READ_WRITE}"))

    assert person.page.scopes == ["Mail.ReadWrite"]


def test_a_signed_in_browser_is_not_asked_again(simulator: Simulator, person: Person) -> None:
    person.open(authorize_url(simulator)).sign_in()

    person.open(authorize_url(simulator))

    assert "code" in person.answer


def test_an_applications_odd_cookies_do_not_sign_anybody_out(
    simulator: Simulator, person: Person
) -> None:
    """Cookies ignore ports: the application's arrive here too."""
    person.open(authorize_url(simulator)).sign_in()
    session = person.session.cookies.get("SIMSESSION")
    person.session.cookies.clear()
    person.session.headers["Cookie"] = f'odd="[{{;}}]"; SIMSESSION={session}'

    person.open(authorize_url(simulator))

    assert "code" in person.answer


@pytest.mark.parametrize("prompt", ["select_account", "login"])
def test_a_prompt_asks_a_signed_in_browser_all_the_same(
    simulator: Simulator, person: Person, prompt: str
) -> None:
    person.open(authorize_url(simulator)).sign_in()

    person.open(authorize_url(simulator, prompt=prompt))

    assert BILLING in person.page.accounts


def test_prompt_none_without_a_session_is_sent_back(simulator: Simulator, person: Person) -> None:
    person.open(authorize_url(simulator, prompt="none"))

    assert person.answer["error"] == "login_required"
    assert person.answer["error_description"].startswith("AADSTS50058")


def test_prompt_none_without_consent_is_sent_back(simulator: Simulator, person: Person) -> None:
    person.open(authorize_url(simulator)).press(BILLING)

    person.open(authorize_url(simulator, prompt="none"))

    assert person.answer["error"] == "consent_required"


def test_a_login_hint_puts_its_account_first(simulator: Simulator, person: Person) -> None:
    person.open(authorize_url(simulator, tenant="common", login_hint=PERSONAL))

    assert person.page.accounts[0] == PERSONAL
    assert person.page.forms[1].fields["username"] == PERSONAL


def test_a_domain_hint_narrows_the_list(simulator: Simulator, person: Person) -> None:
    person.open(authorize_url(simulator, tenant="common", domain_hint="consumers"))

    assert person.page.accounts == [PERSONAL]


def test_an_address_can_be_typed(simulator: Simulator, person: Person) -> None:
    person.open(authorize_url(simulator)).press("next", username=BILLING)

    assert "accept" in person.page.ids


@pytest.mark.parametrize(
    ("tenant", "address", "number"),
    [
        pytest.param("contoso.com", "nobody@contoso.com", 50034, id="unknown"),
        pytest.param("contoso.com", "info@contoso.com", 50057, id="shared-mailbox"),
        pytest.param("contoso.com", PERSONAL, 50020, id="personal-in-tenant"),
        pytest.param("organizations", PERSONAL, 500208, id="personal-in-organizations"),
        pytest.param("consumers", BILLING, 500208, id="work-in-consumers"),
    ],
)
def test_an_account_that_may_not_sign_in_here_is_told_why(
    simulator: Simulator, person: Person, tenant: str, address: str, number: int
) -> None:
    person.open(authorize_url(simulator, tenant)).press("next", username=address)

    assert f"AADSTS{number}" in person.page.texts["error"]


def test_another_account_can_be_chosen_after_a_refusal(
    simulator: Simulator, person: Person
) -> None:
    person.open(authorize_url(simulator)).press("next", username="nobody@contoso.com")

    assert "code" in person.sign_in()


def test_cancelling_at_consent_is_sent_back_as_declined(
    simulator: Simulator, person: Person
) -> None:
    person.open(authorize_url(simulator)).press(BILLING).press("cancel")

    assert person.answer["error"] == "access_denied"
    assert person.answer["error_description"].startswith("AADSTS65004")
    assert person.answer["error_uri"].endswith("code=65004")
    assert person.answer["state"] == "st4te"


def test_cancelling_the_sign_in_carries_its_subcode(simulator: Simulator, person: Person) -> None:
    person.open(authorize_url(simulator)).press("cancel-sign-in")

    assert person.answer["error_subcode"] == "cancel"


@pytest.mark.parametrize(
    ("changes", "number"),
    [
        pytest.param({"redirect_uri": "https://evil.example/callback"}, 50011, id="foreign"),
        pytest.param({"redirect_uri": CALLBACK.upper()}, 50011, id="case"),
        pytest.param({"redirect_uri": CALLBACK + "/"}, 50011, id="trailing-slash"),
        pytest.param(
            {"redirect_uri": "http://127.0.0.1:7071/api/auth/callback"}, 50011, id="loopback-ip"
        ),
        pytest.param({"redirect_uri": None}, 900971, id="missing"),
        pytest.param({"client_id": "11111111-2222-3333-4444-555555555555"}, 700016, id="client"),
    ],
)
def test_what_makes_a_redirect_unsafe_ends_on_a_page(
    simulator: Simulator, person: Person, changes: dict[str, str | None], number: int
) -> None:
    person.open(authorize_url(simulator, **changes))

    assert person.status == 400
    assert person.page.texts["error-code"] == f"AADSTS{number}"
    assert person.answer == {}


@pytest.mark.parametrize(
    ("tenant", "number"),
    [("00000000-1111-2222-3333-444444444444", 90002), ("wingtip.com", 90002), ("x", 900023)],
)
def test_an_unknown_tenant_ends_on_a_page(
    simulator: Simulator, person: Person, tenant: str, number: int
) -> None:
    person.open(authorize_url(simulator, tenant))

    assert person.page.texts["error-code"] == f"AADSTS{number}"


def test_the_port_of_localhost_is_ignored(simulator: Simulator, person: Person) -> None:
    uri = "http://localhost:51234/api/auth/callback"

    person.open(authorize_url(simulator, redirect_uri=uri)).sign_in()

    assert person.answered_by == uri


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        pytest.param({"code_challenge": None}, "invalid_request", id="method-without-challenge"),
        pytest.param({"code_challenge_method": "S512"}, "invalid_request", id="unknown-method"),
        pytest.param({"code_challenge": "short"}, "invalid_request", id="short-challenge"),
        pytest.param({"response_type": "token"}, "unsupported_response_type", id="implicit"),
        pytest.param({"response_type": "code id_token"}, "unsupported_response_type", id="hybrid"),
        pytest.param({"response_type": "saml"}, "unsupported_response_type", id="response-type"),
        pytest.param({"response_type": None}, "invalid_request", id="no-response-type"),
        pytest.param({"response_mode": "jwt"}, "invalid_request", id="response-mode"),
        pytest.param({"prompt": "please"}, "invalid_request", id="prompt"),
        pytest.param({"scope": None}, "invalid_request", id="no-scope"),
        pytest.param({"scope": "Mail.Sent"}, "invalid_client", id="unknown-scope"),
        pytest.param(
            {"scope": f"{SEND} https://vault.azure.net/user_impersonation"},
            "invalid_scope",
            id="two-resources",
        ),
        pytest.param(
            {"scope": f"{SEND} https://graph.microsoft.com/.default"},
            "invalid_scope",
            id="default-with-names",
        ),
        pytest.param({"scope": "https://wingtip.com/.default"}, "invalid_resource", id="resource"),
        pytest.param({"resource": "https://graph.microsoft.com"}, "invalid_request", id="v1-name"),
        pytest.param({"max_age": "²"}, "invalid_request", id="max-age"),
        pytest.param({"max_age": "-1"}, "invalid_request", id="negative-max-age"),
        pytest.param({"claims": "{no"}, "invalid_request", id="claims-no-json"),
        pytest.param({"claims": "[" * 20_000}, "invalid_request", id="claims-deep"),
        pytest.param({"claims": "[]"}, "invalid_request", id="claims-list"),
        pytest.param({"claims": '{"access_token": 1}'}, "invalid_request", id="claims-number"),
    ],
)
def test_a_malformed_request_is_sent_back(
    simulator: Simulator, person: Person, changes: dict[str, str | None], error: str
) -> None:
    person.open(authorize_url(simulator, **changes))

    assert person.answer["error"] == error
    assert person.answer["state"] == "st4te"


def test_markup_in_state_is_stripped(simulator: Simulator, person: Person) -> None:
    answer = person.open(authorize_url(simulator, state="a<b>c</b>d")).sign_in()

    assert answer["state"] == "acd"


def test_supplied_text_is_shown_as_text(simulator: Simulator, http: requests.Session) -> None:
    page = http.get(authorize_url(simulator, login_hint='"><script>alert(1)</script>')).text

    assert "<script>alert" not in page
    assert "&lt;script&gt;" in page


def test_a_managed_consent_policy_needs_an_administrator_for_reading_mail(
    simulator: Simulator, state: SimulatorState, person: Person
) -> None:
    state.entra.options = state.entra.options.changed({"consent_policy": "microsoft_managed"})

    person.open(authorize_url(simulator, scope=f"openid {READ_WRITE}")).press(BILLING)
    assert "accept" not in person.page.ids
    person.press("return")

    assert person.answer["error"] == "access_denied"
    assert person.answer["error_description"].startswith("AADSTS90094")


def test_a_managed_consent_policy_lets_users_consent_to_sending(
    simulator: Simulator, state: SimulatorState, person: Person
) -> None:
    state.entra.options = state.entra.options.changed({"consent_policy": "microsoft_managed"})

    answer = person.open(authorize_url(simulator, scope=f"openid {SEND} {ME}")).sign_in()

    assert "code" in answer


def test_the_approval_page_cannot_be_bypassed_by_posting_accept(
    simulator: Simulator, state: SimulatorState, person: Person, http: requests.Session
) -> None:
    state.entra.options = state.entra.options.changed({"consent_policy": "admin_only"})
    person.open(authorize_url(simulator)).press(BILLING)

    context = person.page.forms[0].fields["ctx"]
    url = f"{simulator.urls.http}/entra/consent"
    response = http.post(url, {"ctx": context, "answer": "accept"}, allow_redirects=False)

    assert "code=" not in response.headers.get("Location", "")


def test_an_administrator_can_consent_for_everybody(
    simulator: Simulator, state: SimulatorState, person: Person
) -> None:
    state.entra.options = state.entra.options.changed({"consent_policy": "admin_only"})
    person.open(authorize_url(simulator)).press(ADMIN)
    person.press("accept", {"organization": "on"})

    person.open(authorize_url(simulator, prompt="login")).press(BILLING)

    assert "code" in person.answer


def test_a_single_tenant_application_is_refused_at_common(
    simulator: Simulator, state: SimulatorState, person: Person
) -> None:
    state.entra.options = state.entra.options.changed({"sign_in_audience": "AzureADMyOrg"})

    person.open(authorize_url(simulator, "common"))

    assert person.page.texts["error-code"] == "AADSTS50194"


def test_a_context_works_for_one_sign_in_only(
    simulator: Simulator, person: Person, http: requests.Session
) -> None:
    person.open(authorize_url(simulator)).press(BILLING)
    context = person.page.forms[0].fields["ctx"]
    person.press("accept")

    again = http.post(f"{simulator.urls.http}/entra/consent", {"ctx": context, "answer": "accept"})

    assert again.status_code == 400
    assert "done" in Page(again.text).ids


def test_logging_out_ends_the_browser_session(simulator: Simulator, person: Person) -> None:
    person.open(authorize_url(simulator)).sign_in()

    person.open(f"{simulator.urls.http}/contoso.com/oauth2/v2.0/logout")
    person.open(authorize_url(simulator))

    assert BILLING in person.page.accounts


def test_logging_out_redirects_to_registered_pages_only(
    simulator: Simulator, http: requests.Session
) -> None:
    url = f"{simulator.urls.http}/contoso.com/oauth2/v2.0/logout"

    evil = http.get(url, params={"post_logout_redirect_uri": "https://evil.example"})
    own = http.get(url, params={"post_logout_redirect_uri": CALLBACK}, allow_redirects=False)

    assert evil.status_code == 200
    assert own.headers["Location"] == CALLBACK


def test_admin_consent_covers_the_tenant(simulator: Simulator, person: Person) -> None:
    client_id = simulator.stack()["client_id"]
    link = (
        f"{simulator.urls.http}/organizations/v2.0/adminconsent"
        f"?client_id={client_id}&scope={READ_WRITE}&redirect_uri={CALLBACK}&state=s"
    )

    answer = person.open(link).sign_in(ADMIN)

    assert answer["admin_consent"] == "True"
    assert answer["tenant"] == simulator.stack()["tenant_id"]
    assert (answer["scope"], answer["state"]) == (READ_WRITE, "s")


def test_admin_consent_is_not_for_ordinary_users(simulator: Simulator, person: Person) -> None:
    client_id = simulator.stack()["client_id"]
    link = (
        f"{simulator.urls.http}/contoso.com/v2.0/adminconsent"
        f"?client_id={client_id}&scope={READ_WRITE}&redirect_uri={CALLBACK}"
    )

    person.open(link).press(BILLING).press("return")

    assert person.answer["error"] == "permission_denied"


def test_a_fault_at_authorize_is_sent_back_with_its_number(
    simulator: Simulator, state: SimulatorState, person: Person, http: requests.Session
) -> None:
    rule = {"where": "entra.authorize", "action": "aadsts", "code": 53003}
    http.post(f"{simulator.urls.control}/faults", json=rule)

    person.open(authorize_url(simulator))

    assert person.answer["error_description"].startswith("AADSTS53003")
    assert person.answer["state"] == "st4te"
