"""The administrator's session."""

from __future__ import annotations

import pytest

from shared.errors import RequestRejected
from shared.mail.problems import SESSION_REQUIRED
from shared.web.auth import signing
from shared.web.auth.signing import Purpose
from shared.web.pages import accounts_page
from tests.unit.web.browser import CROSS_SITE, SAME_ORIGIN, App, Browser

NAME = "__Secure-postroom-session"


@pytest.fixture
def app() -> App:
    return App()


@pytest.fixture
def browser() -> Browser:
    return Browser()


def test_a_key_in_the_header_opens_a_session(app: App, browser: Browser) -> None:
    req = browser.request("POST", "/session", headers={"x-functions-key": "key"})
    response = accounts_page.open_session(req, app.sessions)
    cookie = response.headers["Set-Cookie"]

    assert response.status_code == 204
    assert response.get_body() == b""
    assert cookie.startswith(f"{NAME}=")
    assert cookie.endswith("; Max-Age=28800; Path=/; Secure; HttpOnly; SameSite=Lax")


def test_the_key_is_not_in_the_cookie(app: App, browser: Browser) -> None:
    browser.open_session(app)

    assert "key" not in (signing._bytes(browser.cookies[NAME].split(".")[0]) or b"").decode()


def test_a_key_in_the_url_opens_none(app: App, browser: Browser) -> None:
    response = accounts_page.open_session(
        browser.request("POST", "/session", params={"code": "key"}), app.sessions
    )

    assert response.status_code == 400
    assert "Set-Cookie" not in response.headers


def test_an_open_session_is_recognised(app: App, browser: Browser) -> None:
    browser.open_session(app)

    app.sessions.require_session(browser.request("GET", "/accounts"))


def test_without_a_session_the_request_is_refused(app: App, browser: Browser) -> None:
    with pytest.raises(RequestRejected) as refused:
        app.sessions.require_session(browser.request("GET", "/accounts"))

    assert refused.value.kind is SESSION_REQUIRED


def test_a_session_ends_by_our_clock(app: App, browser: Browser) -> None:
    browser.open_session(app)
    app.clock.forward(hours=8)

    assert not app.sessions.is_open(browser.request("GET", "/accounts"))


def test_a_token_made_for_something_else_is_no_session(app: App, browser: Browser) -> None:
    browser.cookies[NAME] = signing.sign(app.keys, Purpose.NOTICE, b"99999999999:x")

    assert not app.sessions.is_open(browser.request("GET", "/accounts"))


def test_signing_out_clears_the_cookie(app: App, browser: Browser) -> None:
    browser.open_session(app)
    req = browser.request("POST", "/signout", headers=SAME_ORIGIN)
    response = browser.take(accounts_page.close_session(req, app.site, app.sessions))

    assert (response.status_code, response.headers["Location"]) == (303, "/signin")
    assert NAME not in browser.cookies


def test_another_site_cannot_sign_out(app: App, browser: Browser) -> None:
    req = browser.request("POST", "/signout", headers=CROSS_SITE)
    response = accounts_page.close_session(req, app.site, app.sessions)

    assert response.status_code == 403
    assert "Set-Cookie" not in response.headers
