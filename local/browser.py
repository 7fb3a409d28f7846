"""A browser without a window: follows redirects, keeps cookies, submits forms.

Enough to sign in as a person would, without running a real one. The tests that must know what a
real browser does use Chromium.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.cookiejar import Cookie, DefaultCookiePolicy
from urllib.parse import urljoin, urlsplit
from urllib.request import Request

import requests

TIMEOUT = 30


class BrowserError(Exception):
    """A page was not what was expected."""


class _Trusting(DefaultCookiePolicy):
    """Sends Secure cookies to http://localhost, as browsers do: it is a trustworthy origin.

    https://www.w3.org/TR/secure-contexts/#is-origin-trustworthy
    """

    def return_ok_secure(self, cookie: Cookie, request: Request) -> bool:
        local = urlsplit(request.get_full_url()).hostname == "localhost"
        return local or bool(super().return_ok_secure(cookie, request))


@dataclass
class Form:
    """One form of a page."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    buttons: list[tuple[str, str]] = field(default_factory=list)


class Browser:
    """One window: the page it shows, and its cookies."""

    def __init__(self) -> None:
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.cookies.set_policy(_Trusting())
        self.url = ""
        self.text = ""
        self.status = 0

    def close(self) -> None:
        """Close its connections."""
        self._session.close()

    def open(self, url: str) -> None:
        """Go to a page."""
        self._show(self._session.get(url, timeout=TIMEOUT))

    def fetch(self, url: str, headers: dict[str, str]) -> int:
        """What a page's script does: a POST with headers. Returns the status."""
        answer = self._session.post(
            url, headers={"Origin": self._origin(), **headers}, timeout=TIMEOUT
        )
        return answer.status_code

    def forms(self) -> list[Form]:
        """The forms of the page."""
        reader = _FormReader(self.url)
        reader.feed(self.text)
        return reader.forms

    def submit(
        self,
        values: dict[str, str] | None = None,
        *,
        action: str | None = None,
        button: tuple[str, str] | None = None,
    ) -> None:
        """Submit a form: the one whose action ends with `action`, or that has `button`."""
        for form in self.forms():
            fits_action = action is None or urlsplit(form.action).path.endswith(action)
            if fits_action and (button is None or button in form.buttons):
                data = {**form.fields, **(values or {}), **(dict([button]) if button else {})}
                self._send(form, data)
                return
        raise BrowserError(f"the page {urlsplit(self.url).path} has no such form")

    def _send(self, form: Form, data: dict[str, str]) -> None:
        if form.method == "get":
            self._show(self._session.get(form.action, params=data, timeout=TIMEOUT))
            return
        self._show(
            self._session.post(
                form.action, data=data, headers={"Origin": self._origin()}, timeout=TIMEOUT
            )
        )

    def _origin(self) -> str:
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"

    def _show(self, answer: requests.Response) -> None:
        self.url, self.text, self.status = answer.url, answer.text, answer.status_code


class _FormReader(HTMLParser):
    def __init__(self, base: str) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._base = base
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        at = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._inside = True
            self.forms.append(
                Form(urljoin(self._base, at.get("action", "")), at.get("method", "get").lower())
            )
        elif self._inside and tag == "input" and at.get("name"):
            if at.get("type") in ("checkbox", "radio") and "checked" not in at:
                return
            self.forms[-1].fields[at["name"]] = at.get("value", "")
        elif self._inside and tag == "button" and at.get("name"):
            self.forms[-1].buttons.append((at["name"], at.get("value", "")))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False
