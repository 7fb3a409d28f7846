"""The pages of a sign-in by code."""

from __future__ import annotations

import pytest

from shared.errors import ConsentRequired, CredentialRefused, NotFinishedYet, NotSent
from shared.services.accounts.ports import Profile
from shared.services.sign_in.ports import DeviceCode
from tests.unit.sign_in_fakes import OBJECT, claims_of, events_in, grant_of
from tests.unit.web.browser import CROSS_SITE, SAME_ORIGIN, App, Browser, text_of


@pytest.fixture
def app() -> App:
    return App()


@pytest.fixture
def browser(app: App) -> Browser:
    browser = Browser()
    browser.open_session(app)
    return browser


def device_cookies(browser: Browser) -> list[str]:
    return [name for name in browser.cookies if "-device-" in name]


def test_the_code_is_shown_with_the_address_and_the_warnings(app: App, browser: Browser) -> None:
    response = browser.ask_for_code(app, expected_address="billing@contoso.com")
    page = text_of(response)

    assert response.status_code == 200
    assert "BCDFGHJKL" in page
    assert 'href="https://microsoft.com/devicelogin"' in page
    assert "12:15 UTC" in page
    assert "is a fraud" in page
    assert "Conditional Access" in page
    assert 'data-interval="5"' in page


def test_what_fetches_the_grant_is_sealed_in_a_cookie_of_its_own(
    app: App, browser: Browser
) -> None:
    response = browser.ask_for_code(app)
    cookie = response.headers["Set-Cookie"]

    assert "device-1" not in text_of(response) + cookie
    assert cookie.startswith("__Secure-postroom-device-")
    assert cookie.endswith("; Max-Age=900; Path=/auth/device; Secure; HttpOnly; SameSite=Strict")


def test_an_address_that_is_none_is_no_link(
    app: App, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = DeviceCode("C", "javascript:alert(1)", "device-1", 900, 5)
    monkeypatch.setattr(app.identity, "begin_device", lambda *_: code)

    assert 'href="javascript' not in text_of(browser.ask_for_code(app))


@pytest.mark.parametrize("path", ["/auth/device", "/auth/device/finish"])
def test_both_take_a_session_and_a_page_of_ours(app: App, browser: Browser, path: str) -> None:
    handler = app.begin_device if path == "/auth/device" else app.finish_device
    foreign = browser.request("POST", path, form={"alias": "x"}, headers=CROSS_SITE)
    nobody = Browser().request("POST", path, form={"alias": "x"}, headers=SAME_ORIGIN)

    assert handler(foreign).status_code == 403
    assert handler(nobody).headers["Location"] == "/signin"
    assert not app.flows.rows


def test_a_finished_sign_in_leads_to_the_accounts_and_clears_the_cookie(
    app: App, browser: Browser
) -> None:
    browser.ask_for_code(app, verified="yes")
    response = browser.has_entered(app)

    assert (response.status_code, response.headers["Location"]) == (
        303,
        "/accounts?linked=billing&asked=verified",
    )
    assert not device_cookies(browser)
    assert app.accounts.rows["billing"].address == "billing@contoso.com"


def test_until_then_the_page_says_that_microsoft_waits(app: App, browser: Browser) -> None:
    app.identity.redeemed = [NotFinishedYet(), grant_of(claims_of())]
    browser.ask_for_code(app)
    response = browser.has_entered(app)

    assert response.status_code == 202
    assert response.headers["Retry-After"] == "5"
    assert "still waiting" in text_of(response)
    assert "BCDFGHJKL" in text_of(response)
    assert browser.has_entered(app).status_code == 303


def test_asked_too_often_the_page_asks_less_often_from_then_on(app: App, browser: Browser) -> None:
    app.identity.redeemed = [NotFinishedYet(slower=True), NotFinishedYet(), NotFinishedYet()]
    browser.ask_for_code(app)
    slower = browser.has_entered(app)
    later = browser.has_entered(app)

    assert (slower.status_code, slower.headers["Retry-After"]) == (202, "10")
    assert "less often" in text_of(slower)
    assert later.headers["Retry-After"] == "10"


def test_a_microsoft_that_throttles_is_waited_for_and_the_code_stays(
    app: App, browser: Browser
) -> None:
    app.identity.redeemed = [NotSent("entra", "x", retry_after=42), grant_of(claims_of())]
    browser.ask_for_code(app)
    response = browser.has_entered(app)

    assert (response.status_code, response.headers["Retry-After"]) == (503, "42")
    assert "Nothing is lost" in text_of(response)
    assert "BCDFGHJKL" in text_of(response)
    assert browser.has_entered(app).status_code == 303


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("authorization_declined", "declined"),
        ("expired_token", "has expired"),
        ("bad_verification_code", "used already"),
        ("AADSTS53003", "Conditional Access"),
    ],
)
def test_each_ending_is_told_and_can_be_begun_anew(
    app: App, browser: Browser, code: str, words: str
) -> None:
    app.identity.redeemed = [ConsentRequired(code, "x")]
    browser.ask_for_code(app, verified="yes")
    response = browser.has_entered(app)
    page = text_of(response)

    assert response.status_code == 400
    assert words in page
    assert code in page
    assert 'action="/auth/device"' in page
    assert '<input type="hidden" name="verified" value="yes">' in page
    assert not device_cookies(browser)
    assert not app.accounts.rows


def test_an_expired_code_is_told_without_asking_microsoft(app: App, browser: Browser) -> None:
    browser.ask_for_code(app)
    app.clock.forward(minutes=16)

    assert "has expired" in text_of(browser.has_entered(app))
    assert not app.identity.redemptions


def test_a_refusal_of_the_apps_own_secret_is_told(app: App, browser: Browser) -> None:
    app.identity.redeemed = [CredentialRefused("AADSTS7000222", "x")]
    browser.ask_for_code(app)
    response = browser.has_entered(app)

    assert response.status_code == 503
    assert "client secret has expired" in text_of(response)


def test_consent_that_is_missing_comes_with_the_administrators_link(
    app: App, browser: Browser
) -> None:
    app.identity.redeemed = [ConsentRequired("AADSTS65001", "x")]
    browser.ask_for_code(app)

    assert "/v2.0/adminconsent?" in text_of(browser.has_entered(app))


def test_another_browser_cannot_finish(app: App, browser: Browser) -> None:
    browser.ask_for_code(app)
    other = Browser()
    other.open_session(app)
    response = other.has_entered(app)

    assert response.status_code == 400
    assert not app.identity.redemptions


def test_a_cookie_that_was_tampered_with_is_none(app: App, browser: Browser) -> None:
    browser.ask_for_code(app)
    [name] = device_cookies(browser)
    browser.cookies[name] = browser.cookies[name][:-2] + "xx"

    assert browser.has_entered(app).status_code == 400
    assert not app.identity.redemptions


def test_a_second_press_after_the_end_is_told_so(app: App, browser: Browser) -> None:
    browser.ask_for_code(app)
    kept = dict(browser.cookies)
    browser.has_entered(app)
    browser.cookies = kept
    response = browser.has_entered(app)

    assert response.status_code == 400
    assert "finished already" in text_of(response)
    assert len(app.vault.grants()) == 1


def test_a_wrong_mailbox_is_named_and_nothing_is_linked(app: App, browser: Browser) -> None:
    app.mail_service.profile = Profile(OBJECT, "ceo@contoso.com", "")
    browser.ask_for_code(app, expected_address="billing@contoso.com")
    page = text_of(browser.has_entered(app))

    assert "ceo@contoso.com" in page
    assert not app.accounts.rows


def test_a_refusal_leaves_only_its_code_in_the_log(
    app: App, browser: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    app.identity.redeemed = [ConsentRequired("expired_token", "x")]
    browser.ask_for_code(app)
    browser.has_entered(app)

    assert events_in(caplog.messages) == [{"event": "sign_in_refused", "code": "expired_token"}]
