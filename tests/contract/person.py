"""A person at Microsoft's sign-in pages, without a browser."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html.parser import HTMLParser
from urllib.parse import parse_qsl, urljoin, urlsplit

import requests

_CALLBACK = "/api/auth/callback"


class _Forms(HTMLParser):
    """Forms as (action, fields)."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.found.append((given.get("action", ""), {}))
        elif tag == "input" and given.get("type") == "hidden" and self.found:
            self.found[-1][1][given["name"]] = given["value"]


class Person:
    """Chooses an account and accepts what is asked."""

    def __init__(self, ca_file: str) -> None:
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = ca_file

    def close(self) -> None:
        self._session.close()

    def sign_in(self, auth_uri: str, address: str, *, accept: bool = True) -> Mapping[str, str]:
        """What the browser would bring to the callback."""
        page = self._session.get(auth_uri, timeout=10, allow_redirects=False)
        choices: dict[str, dict[str, str]] = {
            "/entra/sign-in": {"username": address, "answer": "next"},
            "/entra/consent": {"answer": "accept" if accept else "cancel"},
        }
        for _ in range(4):
            if page.is_redirect:
                return dict(parse_qsl(urlsplit(page.headers["Location"]).query))
            action, fields = self._last_form(page)
            if urlsplit(action).path == _CALLBACK:
                return fields
            data = fields | choices[urlsplit(action).path]
            page = self._session.post(
                urljoin(page.url, action), data=data, timeout=10, allow_redirects=False
            )
        raise AssertionError("the pages lead nowhere")

    def enter_code(
        self, verification_uri: str, user_code: str, address: str, *, accept: bool = True
    ) -> None:
        """Type a device's code at Microsoft, choose an account and answer."""
        page = self._session.get(verification_uri, timeout=10)
        for answer in (
            {"otc": user_code},
            {"username": address, "answer": "next"},
            {"answer": "accept" if accept else "cancel"},
        ):
            action, fields = self._last_form(page)
            url = urljoin(page.url, action)
            page = self._session.post(url, data=fields | answer, timeout=10)

    def _last_form(self, page: requests.Response) -> tuple[str, dict[str, str]]:
        forms = _Forms()
        forms.feed(page.text)
        assert forms.found, re.sub(r"<[^>]+>", " ", page.text)
        return forms.found[-1]
