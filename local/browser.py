"""A browser without a window: follows redirects, keeps cookies, submits forms.

It can sign in as a person would. Tests that depend on what a real browser does use Chromium.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from urllib.parse import urlencode, urljoin, urlsplit

import requests

TIMEOUT = 30
MAX_REDIRECTS = 10


class BrowserError(Exception):
    """A page is not what was expected."""


@dataclass
class Form:
    """One form of a page."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    buttons: list[tuple[str, str]] = field(default_factory=list)


class Browser:
    """One browser window: the page that it shows, and its cookies."""

    def __init__(self) -> None:
        self._session = requests.Session()
        self._session.trust_env = False
        self._cookies: dict[tuple[str, str], str] = {}
        self.url = ""
        self.text = ""
        self.status = 0

    def close(self) -> None:
        """Close its connections."""
        self._session.close()

    def open(self, url: str) -> None:
        """Go to a page."""
        self._go("GET", url)

    def fetch(self, url: str, headers: dict[str, str]) -> int:
        """Send a POST with headers, as a page's script does. Returns the status."""
        return self._request("POST", url, headers=headers).status_code

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
        having: str | None = None,
        to: str | None = None,
    ) -> None:
        """Submit a form: the one whose action ends with `action`, that has `button`, or the field
        `having`.

        `to` is the path of a button that sends the form elsewhere (`formaction`).
        """
        for form in self.forms():
            fits_action = action is None or urlsplit(form.action).path.endswith(action)
            fits_field = having is None or having in form.fields
            if fits_action and fits_field and (button is None or button in form.buttons):
                data = {**form.fields, **(values or {}), **(dict([button]) if button else {})}
                self._send(replace(form, action=urljoin(form.action, to)) if to else form, data)
                return
        raise BrowserError(f"the page {urlsplit(self.url).path} has no such form")

    def _send(self, form: Form, data: dict[str, str]) -> None:
        if form.method == "get":
            self._go("GET", f"{form.action}?{urlencode(data)}")
        else:
            self._go("POST", form.action, data)

    def _go(self, method: str, url: str, data: dict[str, str] | None = None) -> None:
        for _ in range(MAX_REDIRECTS):
            answer = self._request(method, url, data)
            self.url, self.text, self.status = url, answer.text, answer.status_code
            if answer.status_code not in (301, 302, 303):
                return
            method, url, data = "GET", urljoin(url, answer.headers["Location"]), None
        raise BrowserError("the pages redirect without end")

    def _request(
        self,
        method: str,
        url: str,
        data: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> requests.Response:
        sent = {"Origin": self._origin()} if method == "POST" else {}
        cookies = "; ".join(self._sent_cookies(urlsplit(url).path))
        if cookies:
            sent["Cookie"] = cookies
        # The library's own cookie jar would not send Secure cookies to http://localhost, which
        # browsers do: https://www.w3.org/TR/secure-contexts/#is-origin-trustworthy
        self._session.cookies.clear()
        answer = self._session.request(
            method,
            url,
            data=data,
            headers={**sent, **(headers or {})},
            timeout=TIMEOUT,
            allow_redirects=False,
        )
        for line in answer.raw.headers.getlist("Set-Cookie"):
            self._keep(line)
        return answer

    def _keep(self, line: str) -> None:
        """Store a cookie, or remove it if it has expired (RFC 6265, 5.2)."""
        pair, *rest = (part.strip() for part in line.split(";"))
        name, _, value = pair.partition("=")
        attributes = {k.strip().lower(): v.strip() for k, _, v in (r.partition("=") for r in rest)}
        key = (attributes.get("path") or "/", name)
        if attributes.get("max-age", "1").startswith(("0", "-")):
            self._cookies.pop(key, None)
        else:
            self._cookies[key] = value

    def _sent_cookies(self, path: str) -> list[str]:
        return [
            f"{name}={value}"
            for (under, name), value in self._cookies.items()
            if path == under or path.startswith(under.rstrip("/") + "/")
        ]

    def _origin(self) -> str:
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"


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
