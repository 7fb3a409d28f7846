"""Cookies within what the Functions host lets through."""

from __future__ import annotations

from http.cookies import SimpleCookie

import pytest

from shared.web.auth import cookies


def test_a_cookie_has_every_attribute_and_no_expires_or_domain() -> None:
    assert cookies.build("session", "a.b", max_age=60, path="/", same_site="Lax") == (
        "__Secure-postroom-session=a.b; Max-Age=60; Path=/; Secure; HttpOnly; SameSite=Lax"
    )


def test_the_hosts_own_parser_keeps_all_of_it() -> None:
    """The worker rebuilds each cookie from what SimpleCookie understands of it."""
    parsed: SimpleCookie = SimpleCookie()
    parsed.load(cookies.build("flow-1", "x", max_age=600, path="/api", same_site="None"))
    morsel = parsed["__Secure-postroom-flow-1"]

    assert (morsel["path"], morsel["max-age"], morsel["samesite"]) == ("/api", "600", "None")
    assert morsel["secure"]
    assert morsel["httponly"]


@pytest.mark.parametrize("value", ["a;b", "a\r\nSet-Cookie: x=y", 'a"b', "a b", "ä"])
def test_a_value_that_could_break_out_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="not a cookie"):
        cookies.build("session", value, max_age=1, path="/", same_site="Lax")


def test_a_cookie_that_browsers_would_drop_is_refused() -> None:
    with pytest.raises(ValueError, match="too large"):
        cookies.build("flow", "x" * 4096, max_age=1, path="/", same_site="None")


@pytest.mark.parametrize(
    ("header", "value"),
    [
        pytest.param("__Secure-postroom-session=a=b", "a=b", id="alone"),
        pytest.param("x=1; __Secure-postroom-session=v ;y=2", "v", id="among others"),
        pytest.param("postroom-session=v", None, id="without its prefix"),
        pytest.param("x__Secure-postroom-session=v", None, id="another name"),
        pytest.param(
            "__Secure-postroom-session=a; __Secure-postroom-session=b", None, id="planted twin"
        ),
        pytest.param("", None, id="none"),
        pytest.param(";;=;", None, id="rubbish"),
    ],
)
def test_reading(header: str, value: str | None) -> None:
    assert cookies.read(header, "session") == value
