"""A person with a browser: follows the pages by the names that `entra/pages.py` promises."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any, Self
from urllib.parse import parse_qs, urljoin, urlsplit

import msal  # type: ignore[import-untyped]
import requests

from local.simulator.server import Simulator

CALLBACK = "http://localhost:7071/api/auth/callback"
SEND = "https://graph.microsoft.com/Mail.Send"
READ_WRITE = "https://graph.microsoft.com/Mail.ReadWrite"
ME = "https://graph.microsoft.com/User.Read"
BILLING = "billing@contoso.com"
ADA = "ada@contoso.com"
ADMIN = "admin@contoso.com"
PERSONAL = "postroom.demo@outlook.com"
FABRIKAM_USER = "orders@fabrikam.com"
FABRIKAM_ADMIN = "admin@fabrikam.com"
GUEST = "grace@fabrikam.com"
"""At home in Fabrikam, a guest of Contoso."""


@dataclass
class Form:
    """A form with the values it would send, and its buttons by id or value."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    buttons: list[dict[str, str]] = field(default_factory=list)


class Page(HTMLParser):
    """Forms and elements of one page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.ids: set[str] = set()
        self.scopes: list[str] = []
        self.texts: dict[str, str] = {}
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self._inside = values.get("id", "")
        self.ids.add(self._inside)
        if "data-scope" in values:
            self.scopes.append(values["data-scope"])
        if tag == "form":
            self.forms.append(Form(values["action"], values["method"]))
        elif tag == "input" and values.get("type") != "checkbox":
            self.forms[-1].fields[values["name"]] = values.get("value", "")
        elif tag == "button":
            self.forms[-1].buttons.append(values)

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.texts[self._inside] = self.texts.get(self._inside, "") + data

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    @property
    def accounts(self) -> list[str]:
        """Whom the sign-in page offers."""
        every = [button for form in self.forms for button in form.buttons]
        return [button["value"] for button in every if button.get("name") == "username"]


class Person:
    """Drives the pages without script; a redirect or form to the application ends in `answer`."""

    def __init__(self, simulator: Simulator, session: requests.Session) -> None:
        self.simulator = simulator
        self.session = session
        self.page = Page("")
        self.status = 0
        self.answer: dict[str, str] = {}
        self.answered_by = ""

    def open(self, url: str) -> Self:
        """Follow a link."""
        return self._took(self.session.get(url, allow_redirects=False))

    def press(self, button: str, more: Mapping[str, str] | None = None, **typed: str) -> Self:
        """Press a button by id or value, after typing into fields by name."""
        for form in self.page.forms:
            for found in form.buttons:
                if button in (found.get("id"), found.get("value")):
                    values = form.fields | typed | dict(more or {})
                    if found.get("name"):
                        values[found["name"]] = found["value"]
                    url = urljoin(self.simulator.urls.http, form.action)
                    return self._took(self.session.post(url, values, allow_redirects=False))
        raise AssertionError(f"no button {button}")

    def sign_in(self, address: str = BILLING) -> dict[str, str]:
        """Choose the account, type a code and accept, each where asked; return what the application
        got."""
        if self.page.accounts:
            self.press(address)
        if "verify" in self.page.ids:
            self.press("verify", code="123456")
        if "accept" in self.page.ids:
            self.press("accept")
        return self.answer

    def _took(self, response: requests.Response) -> Self:
        self.status = response.status_code
        self.answer, self.answered_by = {}, ""
        if response.status_code == 302:
            self.page = Page("")
            self._redirected(response.headers["Location"])
            return self
        self.page = Page(response.text)
        if "continue" in self.page.ids:
            form = self.page.forms[0]
            self.answer, self.answered_by = form.fields, form.action
        return self

    def _redirected(self, location: str) -> None:
        parts = urlsplit(location)
        pairs = parse_qs(parts.query or parts.fragment, keep_blank_values=True)
        self.answer = {name: values[0] for name, values in pairs.items()}
        self.answered_by = location.partition("?")[0].partition("#")[0]


def application(simulator: Simulator, **more: Any) -> msal.ConfidentialClientApplication:
    """MSAL as Postroom would use it against the simulator."""
    stack = simulator.stack()
    values = {
        "client_credential": stack["client_secret"],
        "authority": stack["authority"],
        "instance_discovery": False,
        "verify": stack["ca_file"],
        **more,
    }
    return msal.ConfidentialClientApplication(stack["client_id"], **values)


def signed_in(
    app: msal.ConfidentialClientApplication, person: Person, address: str = BILLING, **more: Any
) -> dict[str, Any]:
    """The whole flow: link, pages, callback."""
    flow = app.initiate_auth_code_flow([SEND, ME], CALLBACK, response_mode="form_post", **more)
    answer = person.open(flow["auth_uri"]).sign_in(address)
    result: dict[str, Any] = app.acquire_token_by_auth_code_flow(flow, answer)
    return result


def authorize_url(
    simulator: Simulator, tenant: str | None = "contoso.com", **changes: str | None
) -> str:
    """An authorize request by hand; None leaves a parameter out."""
    asked: dict[str, str | None] = {
        "client_id": simulator.stack()["client_id"],
        "response_type": "code",
        "redirect_uri": CALLBACK,
        "scope": f"openid profile offline_access {SEND}",
        "state": "st4te",
        # The challenge of VERIFIER, from RFC 7636 appendix B.
        "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        "code_challenge_method": "S256",
        **changes,
    }
    known = {name: value for name, value in asked.items() if value is not None}
    url = f"{simulator.urls.http}/{tenant}/oauth2/v2.0/authorize"
    prepared = requests.Request("GET", url, params=known).prepare()
    assert prepared.url is not None
    return prepared.url


VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"


class TokenEndpoint:
    """The token endpoint by hand."""

    def __init__(self, simulator: Simulator, session: requests.Session) -> None:
        self._stack = simulator.stack()
        self._session = session
        self._base = simulator.urls.https

    def post(self, tenant: str = "contoso.com", **form: str | None) -> requests.Response:
        """Any grant; None leaves a parameter out."""
        asked: dict[str, str | None] = {
            "client_id": self._stack["client_id"],
            "client_secret": self._stack["client_secret"],
            **form,
        }
        known = {name: value for name, value in asked.items() if value is not None}
        return self._session.post(f"{self._base}/{tenant}/oauth2/v2.0/token", known)

    def code(self, code: str, tenant: str = "contoso.com", **more: str | None) -> requests.Response:
        """Redeem an authorization code."""
        asked: dict[str, str | None] = {"redirect_uri": CALLBACK, "code_verifier": VERIFIER, **more}
        return self.post(tenant, grant_type="authorization_code", code=code, **asked)

    def refresh(
        self, token: str, tenant: str = "contoso.com", **more: str | None
    ) -> requests.Response:
        """Use a refresh token."""
        return self.post(tenant, grant_type="refresh_token", refresh_token=token, **more)


def refused_with(response: requests.Response) -> tuple[int, str, int]:
    """HTTP status, OAuth error and AADSTS number; the shape is checked on the way."""
    document = response.json()
    assert document.keys() >= {
        "error",
        "error_description",
        "error_codes",
        "timestamp",
        "trace_id",
        "correlation_id",
    }
    number = document["error_codes"][0]
    assert document["error_description"].startswith(f"AADSTS{number}: ")
    return response.status_code, document["error"], number


class Control:
    """The control surface by its paths."""

    def __init__(self, simulator: Simulator, http: requests.Session) -> None:
        self._base = simulator.urls.control
        self._http = http

    def __call__(self, method: str, path: str, document: Any = None) -> Any:
        response = self._http.request(method, f"{self._base}/{path}", json=document)
        assert response.status_code == 200, response.text
        return response.json()

    def unsupported(self) -> list[str]:
        """What the request log names as not simulated, in order."""
        requests = self("GET", "requests")["requests"]
        return [one["unsupported"] for one in requests if "unsupported" in one]

    def refusal(self, path: str, document: Any) -> str:
        response = self._http.post(f"{self._base}/{path}", json=document)
        assert response.status_code == 400
        return str(response.json()["error"])
