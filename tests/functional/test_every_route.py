"""What holds for every route that a session opens, those that are still to come included: they are
taken from the app itself."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlencode

import azure.functions as func
import pytest

from shared.composition.services import Services
from shared.web.pages.page_context import PageContext
from tests.functional.calling import functions
from tests.unit.web.browser import CROSS_SITE, ORIGIN, SAME_ORIGIN, App, Browser

TEMPLATES = Path(__file__).parents[2] / "shared" / "web" / "templates"
PUBLIC = {"signin", "static/{name}", "api/health", "api/openapi.json", "api/auth/callback"}
"""Anonymous, and meant for strangers. The callback is guarded by the cookie of its sign-in
(`test_sign_in_security.py`)."""
WITHOUT_SESSION = {"signout"}
"""Asks for the same origin alone."""

FOREIGN: Mapping[str, Mapping[str, str]] = {
    "another site": CROSS_SITE,
    "another host of the same site": {"Sec-Fetch-Site": "same-site", "Origin": ORIGIN},
    "typed or bookmarked": {"Sec-Fetch-Site": "none"},
    "another origin of an old browser": {"Origin": "https://evil.example"},
    "another port": {"Origin": f"{ORIGIN}:8443"},
    "an opaque origin": {"Origin": "null"},
    "a frame of ours at another site": {**CROSS_SITE, "Origin": ORIGIN},
    "a referrer alone": {"Referer": f"{ORIGIN}/mails"},
    "nothing": {},
}


@dataclass(frozen=True)
class Route:
    """A function that the web calls anonymously."""

    path: str
    method: str
    call: Any

    @property
    def changes(self) -> bool:
        return self.method not in ("GET", "HEAD")


def routes() -> Iterator[Route]:
    """All but those for which the host wants a function key."""
    for function in functions():
        trigger = function.get_trigger()
        if trigger.type != "httpTrigger" or trigger.auth_level is not func.AuthLevel.ANONYMOUS:
            continue
        for method in trigger.methods:
            yield Route(trigger.route, str(method.value), function.get_user_function())


ALL = [one for one in routes() if one.path not in PUBLIC]
CHANGES = [one for one in ALL if one.changes]


class Untouched:
    """Stands for every service: notes that it was called."""

    def __init__(self, name: str, calls: list[str]) -> None:
        self._name, self._calls = name, calls

    def __getattr__(self, name: str) -> Untouched:
        return Untouched(f"{self._name}.{name}", self._calls)

    def __call__(self, *args: object, **kwargs: object) -> object:
        self._calls.append(self._name)
        raise AssertionError(self._name)


class House(Untouched):
    """The front is real, behind it nobody is at home."""

    def __init__(self, app: App) -> None:
        self.calls: list[str] = []
        self.page_context = PageContext(app.site, app.keys, app.sessions)
        super().__init__("room", self.calls)


@pytest.fixture
def app() -> App:
    return App()


@pytest.fixture
def house(app: App, monkeypatch: pytest.MonkeyPatch) -> House:
    house = House(app)
    monkeypatch.setattr("shared.bootstrap.services", lambda: cast(Services, house))
    return house


def asked(route: Route, browser: Browser, headers: Mapping[str, str]) -> func.HttpResponse:
    """What a request is answered with whose form might do something."""
    req = browser.request(route.method, f"/{route.path}", headers=headers)
    form = {"action": "release", "alias": "billing", "status": "held", "waiting": "cancel"}
    answer: func.HttpResponse = route.call(
        func.HttpRequest(
            req.method,
            req.url,
            headers=dict(req.headers),
            route_params={"alias": "billing", "id": "0" * 8},
            body=urlencode(form).encode() if route.changes else b"",
        )
    )
    return answer


def sign_in_for(route: Route) -> str:
    """A page is come back to after it, a change is not."""
    returns = not route.changes and route.path in ("mails", "setup", "docs")
    return f"/signin?to=%2F{route.path}" if returns else "/signin"


def named(all_of_them: list[Route]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "route", all_of_them, ids=[f"{one.method} {one.path}" for one in all_of_them]
    )


def kept_private(answer: func.HttpResponse) -> None:
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_there_are_routes_of_both_kinds() -> None:
    assert len(CHANGES) >= 11
    assert len(ALL) - len(CHANGES) >= 8


@named(ALL)
def test_whoever_has_no_session_is_sent_to_the_sign_in_and_nothing_is_asked_or_done(
    route: Route, house: House
) -> None:
    if route.path in WITHOUT_SESSION:
        return
    answer = asked(route, Browser(), SAME_ORIGIN)

    assert (answer.status_code, answer.headers["Location"]) == (303, sign_in_for(route))
    kept_private(answer)
    assert house.calls == []


@named(ALL)
def test_a_session_that_has_ended_is_none(route: Route, house: House, app: App) -> None:
    if route.path in WITHOUT_SESSION:
        return
    browser = Browser()
    browser.open_session(app)
    app.clock.forward(hours=8)
    answer = asked(route, browser, SAME_ORIGIN)

    assert (answer.status_code, answer.headers["Location"]) == (303, sign_in_for(route))
    assert house.calls == []


@pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN)
@named(CHANGES)
def test_a_change_from_elsewhere_is_refused_and_nothing_is_done(
    route: Route, headers: Mapping[str, str], house: House, app: App
) -> None:
    browser = Browser()
    browser.open_session(app)
    answer = asked(route, browser, headers)

    assert answer.status_code == 403
    kept_private(answer)
    policy = answer.headers["Content-Security-Policy"]
    assert "unsafe-inline" not in policy
    assert "frame-ancestors 'none'" in policy
    assert "Set-Cookie" not in answer.headers
    assert house.calls == []


def test_no_form_puts_what_is_typed_into_an_address() -> None:
    forms = [
        (path.name, form)
        for path in sorted(TEMPLATES.glob("*.html"))
        for form in re.findall(r"<form\b[^>]*>", path.read_text(encoding="utf-8"))
    ]

    assert len(forms) > 10
    others = [(name, form) for name, form in forms if 'method="post"' not in form]
    # The key's field has no name, so that nothing sends it but the script, in a header.
    assert [name for name, _ in others] == ["signin.html"]
    assert not re.search(r"<input[^>]* name=", (TEMPLATES / "signin.html").read_text("utf-8"))


def test_no_template_has_script_or_style_of_its_own() -> None:
    for path in sorted(TEMPLATES.glob("*.html")):
        text = path.read_text(encoding="utf-8")
        assert re.findall(r"<script(?![^>]* src=)|<style|\sstyle=|\son[a-z]+=", text) == [], (
            path.name
        )
