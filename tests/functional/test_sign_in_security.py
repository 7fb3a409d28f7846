"""Attacks on signing in, each against the app's own functions; and where the rest of them are tested.

`ANSWERED` is the list: a threat, and the tests that show what becomes of it. A test below holds it
to tests that exist. What one process cannot show (two tabs, Entra's own enforcement, log files) is
tested in `tests/e2e` and `tests/contract`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import azure.functions as func
import pytest

import function_app
from shared.composition.services import Services
from shared.mail.account import PERSONAL_TENANT, AccountState
from shared.services.accounts.ports import Profile
from shared.web.pages.page_context import PageContext
from tests.functional.calling import functions
from tests.unit.sign_in_fakes import (
    CLIENT_INFO,
    HOST,
    OBJECT,
    account_of,
    claims_of,
    grant_of,
)
from tests.unit.web.browser import CROSS_SITE, SAME_ORIGIN, App, Browser, text_of

ROOT = Path(__file__).parents[2]
HERE = "tests/functional/test_sign_in_security.py"
E2E = "tests/e2e/accounts/test_sign_in_security.py"
CONSENT = "tests/unit/services/sign_in/test_authorization_code.py"
ENTRA = "tests/contract/test_entra_adapter.py"
OTHER = "44444444-4444-4444-8444-444444444444"

ANSWERED: Mapping[str, tuple[str, ...]] = {
    "login CSRF: stolen state": (
        f"{HERE}::test_a_stolen_state_is_worth_nothing_in_another_browser",
        f"{HERE}::test_a_flow_that_an_attacker_began_cannot_be_finished_by_the_administrator",
    ),
    "callback in another browser": (
        f"{HERE}::test_a_stolen_state_is_worth_nothing_in_another_browser",
        f"{HERE}::test_another_flows_cookie_does_not_open_this_one",
    ),
    "flow replay": (
        f"{HERE}::test_an_answer_that_comes_twice_is_redeemed_once",
        f"{HERE}::test_answers_that_come_at_the_same_moment_are_redeemed_once",
        "tests/e2e/mails/test_browser.py::"
        "test_an_answer_of_microsoft_sent_twice_links_nothing_twice_and_explains_itself",
    ),
    "stale flow": (f"{HERE}::test_a_flow_ends_after_ten_minutes_by_our_clock",),
    "mixed-up flows in two tabs": (
        f"{E2E}::test_the_answers_of_two_tabs_that_were_swapped_link_nothing",
        "tests/e2e/mails/test_browser.py::test_two_sign_ins_in_two_tabs_both_finish",
    ),
    "code injection": (
        f"{ENTRA}::test_code_injection_a_foreign_code_with_our_state_is_refused",
        f"{E2E}::test_the_answers_of_two_tabs_that_were_swapped_link_nothing",
    ),
    "PKCE downgrade": (
        f"{ENTRA}::test_the_request_has_everything_that_protects_it",
        "tests/contract/simulator/test_entra_token.py::"
        "test_a_verifier_without_a_challenge_is_refused",
    ),
    "crafted callback": (
        f"{HERE}::test_a_crafted_answer_is_a_400_page_and_redeems_nothing",
        "tests/unit/web/auth/test_sign_in.py::test_whatever_is_sent_the_answer_is_a_400_page",
    ),
    "missing or foreign id token": (
        f"{HERE}::test_an_id_token_that_is_missing_or_anothers_links_nothing",
        f"{ENTRA}::test_a_foreign_or_missing_confirmation_links_nothing",
    ),
    "token kept after a failed nonce": (
        f"{ENTRA}::test_a_wrong_nonce_is_refused",
        f"{ENTRA}::test_a_foreign_or_missing_confirmation_links_nothing",
    ),
    "wrong account": (
        f"{HERE}::test_signing_in_as_somebody_else_leaves_the_account_and_its_grant_alone",
        f"{HERE}::test_a_personal_account_is_refused_where_only_work_accounts_may_come",
        f"{CONSENT}::test_a_mailbox_that_is_not_allowed_is_refused",
    ),
    "issuer and tenant confusion": (
        f"{HERE}::test_an_answer_of_another_issuer_is_refused_before_its_code_goes_anywhere",
        f"{HERE}::test_an_id_token_that_is_missing_or_anothers_links_nothing",
    ),
    "open redirect": (f"{HERE}::test_no_parameter_chooses_where_the_browser_goes",),
    "redirect URI from headers": (
        f"{HERE}::test_forged_host_headers_change_nothing_of_the_way_to_microsoft",
        f"{E2E}::test_forged_host_headers_leave_the_registered_redirect_uri",
    ),
    "script in error_description": (
        f"{HERE}::test_script_in_the_errors_text_is_not_shown",
        "tests/e2e/mails/test_browser.py::test_hostile_text_stays_text",
    ),
    "code in history, logs, referrer": (
        f"{HERE}::test_every_answer_keeps_itself_out_of_caches_referrers_and_frames",
        f"{HERE}::test_an_answer_in_the_address_is_led_away_from_it",
        f"{HERE}::test_no_page_loads_anything_from_elsewhere",
    ),
    "clickjacking": (f"{HERE}::test_every_answer_keeps_itself_out_of_caches_referrers_and_frames",),
    "flow started by a GET link": (
        f"{HERE}::test_a_link_cannot_begin_a_sign_in",
        f"{HERE}::test_another_sites_form_cannot_begin_a_sign_in",
    ),
    "callback level wrong in the cloud": (
        "tests/unit/test_imports.py::"
        "test_every_function_wants_a_key_but_those_that_are_meant_for_strangers",
    ),
    "forged Easy Auth headers": (f"{HERE}::test_forged_easy_auth_headers_are_no_session",),
    "token in logs": (
        f"{HERE}::test_nothing_secret_is_logged_whatever_becomes_of_a_sign_in",
        f"{ENTRA}::test_nothing_secret_reaches_a_log_at_debug_or_an_error",
    ),
    "session fixation": (f"{HERE}::test_a_session_that_was_planted_is_not_adopted",),
    "login without session": (f"{HERE}::test_without_a_session_nothing_begins",),
    "cookie tampering": (
        f"{HERE}::test_a_flow_cookie_that_was_changed_is_none",
        f"{HERE}::test_a_session_cookie_that_was_changed_is_none",
        f"{HERE}::test_a_cookie_made_for_another_use_is_none",
    ),
    "cookie age": (
        f"{HERE}::test_a_flow_ends_after_ten_minutes_by_our_clock",
        f"{HERE}::test_a_session_ends_by_our_clock_however_long_the_cookie_is_kept",
    ),
    "simulator reachable by mistake": (
        "tests/unit/test_settings.py::test_a_simulator_is_let_in_only_in_development",
    ),
}


class _Desk:
    """As much of the composition root as signing in touches."""

    def __init__(self, app: App) -> None:
        self.page_context = PageContext(app.site, app.keys, app.sessions)
        self.consent = app.consent
        self.device_sign_in = app.device_sign_in
        self.accounts = app.accounts


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> App:
    """The app's functions over fakes of Microsoft, the vault and the tables."""
    app = App()
    desk = cast(Services, _Desk(app))
    monkeypatch.setattr("shared.bootstrap.services", lambda: desk)
    monkeypatch.setattr(app, "login", function_app.begin_sign_in)
    monkeypatch.setattr(app, "callback", function_app.finish_sign_in)
    return app


@pytest.fixture
def browser(app: App) -> Browser:
    """The administrator's, with a session."""
    browser = Browser()
    browser.open_session(app)
    return browser


def flow_cookies(browser: Browser) -> list[str]:
    return [name for name in browser.cookies if "-flow-" in name]


def nothing_linked(app: App) -> bool:
    return not app.accounts.rows and not app.vault.grants()


# --- whose flow it is


def test_a_stolen_state_is_worth_nothing_in_another_browser(app: App, browser: Browser) -> None:
    browser.log_in(app)
    response = Browser().come_back(app)

    assert response.status_code == 400
    assert not app.identity.redemptions
    assert nothing_linked(app)


def test_a_flow_that_an_attacker_began_cannot_be_finished_by_the_administrator(
    app: App, browser: Browser
) -> None:
    """Else the attacker's mailbox would be connected, and they would read what is sent."""
    attacker = Browser()
    attacker.open_session(app)
    attacker.log_in(app)
    response = browser.come_back(app)

    assert response.status_code == 400
    assert nothing_linked(app)


def test_another_flows_cookie_does_not_open_this_one(app: App, browser: Browser) -> None:
    browser.log_in(app)
    attacker = Browser()
    attacker.open_session(app)
    attacker.log_in(app)
    [theirs], [ours] = flow_cookies(attacker), flow_cookies(browser)
    browser.cookies[theirs] = browser.cookies[ours]

    assert browser.come_back(app).status_code == 400
    assert nothing_linked(app)


def test_an_answer_that_comes_twice_is_redeemed_once(app: App, browser: Browser) -> None:
    browser.log_in(app)
    kept = dict(browser.cookies)
    assert browser.come_back(app).status_code == 303
    browser.cookies = kept

    assert browser.come_back(app).status_code == 400
    assert len(app.identity.redemptions) == 1
    assert len(app.vault.grants()) == 1


def test_answers_that_come_at_the_same_moment_are_redeemed_once(app: App, browser: Browser) -> None:
    browser.log_in(app)
    kept = dict(browser.cookies)
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(lambda _: Browser(dict(kept)).come_back(app).status_code, "8" * 8))

    assert sorted(outcomes) == [303, *[400] * 7]
    assert len(app.identity.redemptions) == 1


def test_a_flow_ends_after_ten_minutes_by_our_clock(app: App, browser: Browser) -> None:
    browser.log_in(app)
    app.clock.forward(minutes=10)

    assert browser.come_back(app).status_code == 400
    assert not app.identity.redemptions
    assert nothing_linked(app)


# --- cookies and sessions


def test_a_flow_cookie_that_was_changed_is_none(app: App, browser: Browser) -> None:
    browser.log_in(app)
    [name] = flow_cookies(browser)
    sealed = browser.cookies[name]
    for at in range(0, len(sealed), 7):
        other = "A" if sealed[at] != "A" else "B"
        browser.cookies[name] = sealed[:at] + other + sealed[at + 1 :]
        assert Browser(dict(browser.cookies)).come_back(app).status_code == 400

    assert not app.identity.redemptions
    assert nothing_linked(app)


def test_a_session_cookie_that_was_changed_is_none(app: App, browser: Browser) -> None:
    [(name, value)] = browser.cookies.items()
    browser.cookies[name] = value.replace(value[:4], value[:3] + "~")

    assert browser.log_in(app).headers["Location"] == "/signin"
    assert not app.flows.rows


def test_a_cookie_made_for_another_use_is_none(app: App, browser: Browser) -> None:
    browser.log_in(app)
    [flow] = flow_cookies(browser)
    session = "__Secure-postroom-session"
    stranger = Browser({session: browser.cookies[flow]})
    browser.cookies[flow] = browser.cookies[session]

    assert stranger.log_in(app).headers["Location"] == "/signin"
    assert browser.come_back(app).status_code == 400


def test_a_session_ends_by_our_clock_however_long_the_cookie_is_kept(
    app: App, browser: Browser
) -> None:
    app.clock.forward(hours=8)

    assert browser.log_in(app).headers["Location"] == "/signin"


def test_a_session_that_was_planted_is_not_adopted(app: App) -> None:
    name, planted = "__Secure-postroom-session", "chosen-by-somebody-else"
    browser = Browser({name: planted})
    assert browser.log_in(app).headers["Location"] == "/signin"
    browser.open_session(app)
    assert browser.cookies[name] != planted
    assert browser.log_in(app).status_code == 303

    assert Browser({name: planted}).log_in(app).headers["Location"] == "/signin"


@pytest.mark.parametrize(
    "function",
    [
        pytest.param(function_app.begin_sign_in, id="login"),
        pytest.param(function_app.begin_device_sign_in, id="device code"),
        pytest.param(function_app.finish_device_sign_in, id="device code's end"),
        pytest.param(function_app.show_admin_consent, id="admin consent"),
    ],
)
def test_without_a_session_nothing_begins(app: App, function: Any) -> None:
    req = Browser().request("POST", "/auth", form={"alias": "x"}, headers=SAME_ORIGIN)
    response = function(req)

    assert (response.status_code, response.headers["Location"]) == (303, "/signin")
    assert not app.flows.rows
    assert not app.identity.begun


@pytest.mark.parametrize("name", ["X-MS-CLIENT-PRINCIPAL", "X-MS-CLIENT-PRINCIPAL-ID"])
def test_forged_easy_auth_headers_are_no_session(app: App, name: str) -> None:
    headers = {**SAME_ORIGIN, name: "eyJhdXRoX3R5cCI6ImFhZCJ9", "X-MS-TOKEN-AAD-ID-TOKEN": "x"}
    req = Browser().request("POST", "/auth/login", form={"alias": "x"}, headers=headers)
    page = Browser().request("GET", "/accounts", headers=headers)

    assert function_app.begin_sign_in(req).headers["Location"] == "/signin"
    assert app.accounts_page(page).headers["Location"] == "/signin"
    assert not app.identity.begun


def test_another_sites_form_cannot_begin_a_sign_in(app: App, browser: Browser) -> None:
    for function in (
        function_app.begin_sign_in,
        function_app.begin_device_sign_in,
        function_app.show_admin_consent,
    ):
        req = browser.request("POST", "/auth", form={"alias": "x"}, headers=CROSS_SITE)
        assert function(req).status_code == 403
    assert not app.identity.begun


def test_a_link_cannot_begin_a_sign_in() -> None:
    methods = {
        function.get_trigger().route: [str(one.value) for one in function.get_trigger().methods]
        for function in functions()
        if getattr(function.get_trigger(), "route", "").startswith("auth/")
    }

    assert methods
    assert set(map(tuple, methods.values())) == {("POST",)}


# --- the answer


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"state=state-1&code=x&client_info=%21%21", id="malformed client_info"),
        pytest.param(b"state=state-1&code=x&client_info=eyJ1aWQi", id="half a client_info"),
        pytest.param(b"state=state-1&state=state-1&code=x", id="duplicate state"),
        pytest.param(b"state=state-1&code=x&code=y", id="duplicate code"),
        pytest.param(b"state=state-1&code=" + b"x" * 100_000, id="100 KB of code"),
        pytest.param(b"state=state-1&code=%ff", id="not utf-8"),
        pytest.param(b"code=x", id="no state"),
        pytest.param(b"state=state-1", id="neither code nor error"),
    ],
)
def test_a_crafted_answer_is_a_400_page_and_redeems_nothing(
    app: App, browser: Browser, body: bytes
) -> None:
    browser.log_in(app)
    response = function_app.finish_sign_in(browser.request("POST", "/api/auth/callback", body=body))

    assert (response.status_code, response.mimetype) == (400, "text/html")
    assert not app.identity.redemptions
    assert nothing_linked(app)


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param(None, id="none"),
        pytest.param(claims_of(aud="another application"), id="audience"),
        pytest.param(claims_of(iss=f"{HOST}/{OTHER}/v2.0"), id="issuer of another tenant"),
        pytest.param(claims_of(iss="https://evil.example/v2.0"), id="issuer elsewhere"),
        pytest.param(claims_of(tid=OTHER), id="tenant"),
        pytest.param(claims_of(exp=0), id="expired"),
        pytest.param(claims_of(oid=OTHER), id="not whom Graph names"),
    ],
)
def test_an_id_token_that_is_missing_or_anothers_links_nothing(
    app: App, browser: Browser, claims: dict[str, object] | None
) -> None:
    app.identity.redeemed = [grant_of(claims)]
    browser.log_in(app)

    assert browser.come_back(app).status_code == 400
    assert not app.identity.refreshes
    assert nothing_linked(app)


def test_an_answer_of_another_issuer_is_refused_before_its_code_goes_anywhere(
    app: App, browser: Browser
) -> None:
    browser.log_in(app)

    assert browser.come_back(app, iss="https://evil.example/v2.0").status_code == 400
    assert not app.identity.redemptions


def test_signing_in_as_somebody_else_leaves_the_account_and_its_grant_alone(
    app: App, browser: Browser
) -> None:
    before = account_of(object_id=OTHER, state=AccountState.READY)
    app.accounts.rows["billing"] = before
    app.vault.set("postroom-grant-id-billing", "the grant")
    app.mail_service.profile = Profile(OBJECT, "ceo@contoso.com", "")
    browser.log_in(app)
    response = browser.come_back(app)

    assert response.status_code == 400
    assert "ceo@contoso.com" in text_of(response)
    assert app.accounts.rows == {"billing": before}
    assert [one.value for one in app.vault.secrets["postroom-grant-id-billing"]] == ["the grant"]
    assert app.vault.grants() == ["postroom-grant-id-billing"]


def test_a_personal_account_is_refused_where_only_work_accounts_may_come(
    app: App, browser: Browser
) -> None:
    app.identity.redeemed = [grant_of(claims_of(tid=PERSONAL_TENANT))]
    browser.log_in(app)

    assert browser.come_back(app).status_code == 400
    assert nothing_linked(app)


# --- where it leads, and what it leaves behind


def test_no_parameter_chooses_where_the_browser_goes(app: App, browser: Browser) -> None:
    away = dict.fromkeys(("next", "returnUrl", "redirect_uri", "url"), "//evil.example")
    begun = browser.log_in(app, **away)
    ended = browser.come_back(app, **away)

    assert begun.headers["Location"].startswith(f"{HOST}/")
    assert "evil" not in begun.headers["Location"]
    assert ended.headers["Location"] == "/accounts?linked=billing"


def test_forged_host_headers_change_nothing_of_the_way_to_microsoft(
    app: App, browser: Browser
) -> None:
    forged = {
        "Host": "evil.example",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "http",
        "Forwarded": "host=evil.example;proto=http",
        "X-Original-Host": "evil.example",
        "DISGUISED-HOST": "evil.example",
    }
    form = {"alias": "billing"}
    for headers in (SAME_ORIGIN, {**SAME_ORIGIN, **forged}):
        req = browser.request("POST", "/auth/login", form=form, headers=headers)
        response = function_app.begin_sign_in(req)
        assert "evil" not in response.headers["Location"] + response.headers["Set-Cookie"]
    plain, asked = app.identity.begun

    assert plain == asked


def test_script_in_the_errors_text_is_not_shown(app: App, browser: Browser) -> None:
    hostile = "<script>alert(1)</script>"
    browser.log_in(app)
    response = browser.come_back(
        app, code="", error=hostile, error_description=f"AADSTS999999: {hostile}"
    )
    consent = Browser().callback(
        app, state="admin-consent", error=hostile, error_description=hostile, tenant=hostile
    )

    for answer in (response, consent):
        assert answer.status_code == 400
        assert "alert(1)" not in text_of(answer)


def test_an_answer_in_the_address_is_led_away_from_it(app: App, browser: Browser) -> None:
    browser.log_in(app)
    connected = browser.come_back(app, "GET")
    browser.log_in(app)
    refused = browser.come_back(app, "GET", code="", error="access_denied")

    assert (connected.status_code, refused.status_code) == (303, 303)
    for answer in (connected, refused):
        assert answer.headers["Location"].startswith("/accounts")
        assert "code" not in answer.headers["Location"]
        assert "state" not in answer.headers["Location"]


def pages_of(app: App, browser: Browser) -> Iterator[func.HttpResponse]:
    """Every page that a sign-in can end on."""
    yield browser.log_in(app)
    yield browser.come_back(app, code="", error="access_denied")
    browser.log_in(app)
    connected = browser.come_back(app)
    yield connected
    yield browser.visit(app, connected.headers["Location"])
    yield browser.ask_for_code(app)
    yield Browser().callback(app, admin_consent="True", state="admin-consent")
    yield Browser().callback(app, state="x", code="y")


def test_every_answer_keeps_itself_out_of_caches_referrers_and_frames(
    app: App, browser: Browser
) -> None:
    for answer in pages_of(app, browser):
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        if answer.status_code != 303:
            assert answer.headers["X-Frame-Options"] == "DENY"
            policy = answer.headers["Content-Security-Policy"]
            assert "frame-ancestors 'none'" in policy
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy


def test_no_page_loads_anything_from_elsewhere(app: App, browser: Browser) -> None:
    loading = re.compile(r"<(?:script|link|img|iframe|source)[^>]*(?:src|href)=\"([^\"]+)\"")
    for answer in pages_of(app, browser):
        assert [url for url in loading.findall(text_of(answer)) if not url.startswith("/")] == []
        assert not re.search(r"<script(?![^>]*src=)", text_of(answer))


def test_nothing_secret_is_logged_whatever_becomes_of_a_sign_in(
    app: App, browser: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    for answer in pages_of(app, browser):
        text_of(answer)
    app.identity.redeemed = [grant_of(None)]
    browser.log_in(app)
    browser.come_back(app)
    browser.callback(app, state="x", code="code-1", client_info=CLIENT_INFO)
    secrets = ("code-1", "state-", "verifier", "access-", "refresh-", "nonce", "device-1", "@")

    assert caplog.messages
    assert [line for line in caplog.messages if any(one in line for one in secrets)] == []


# --- the list


def named_in(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_threat_of_the_list_names_tests_that_exist() -> None:
    named = {name for answers in ANSWERED.values() for name in answers}
    missing = [
        name for name in named if name.partition("::")[2] not in named_in(name.partition("::")[0])
    ]

    assert missing == []


def test_every_attack_of_this_file_is_in_the_list() -> None:
    here = {name for name in named_in(HERE) if name.startswith("test_")}
    listed = {name.partition("::")[2] for answers in ANSWERED.values() for name in answers}

    assert {
        name for name in here - listed if "of_the_list" not in name and "in_the_list" not in name
    } == set()
