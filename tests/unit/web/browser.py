"""A browser of few words: makes requests to handlers and keeps the cookies they set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlencode, urlsplit

import azure.functions as func

from shared.mail.pace import Pace
from shared.services.accounts.overview import AccountOverviews
from shared.services.sign_in.authorization_code import Consent
from shared.services.sign_in.connecting import Connecting, ConsentRules
from shared.services.sign_in.device_code import DeviceSignIn
from shared.services.sign_in.registration import Registration
from shared.web.auth import device_code, sign_in
from shared.web.auth.session import Sessions
from shared.web.auth.signing import Keys
from shared.web.pages import accounts_page
from shared.web.pages.rendering import Site
from tests.fakes import (
    FakeCredential,
    Faults,
    MemoryAttentionIndex,
    MemoryChecks,
    MemoryOfWatch,
    MemoryTimetables,
)
from tests.unit.sign_in_fakes import (
    CLIENT,
    CLIENT_INFO,
    HOST,
    TENANT,
    FakeAccounts,
    FakeClock,
    FakeFlows,
    FakeIdentity,
    FakeMailService,
    FakeVault,
)

ORIGIN = "https://post.contoso.com"
SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin", "Origin": "null"}
CROSS_SITE = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}


@dataclass
class App:
    """The app's pages over fakes, as function_app wires them."""

    clock: FakeClock = field(default_factory=FakeClock)
    identity: FakeIdentity = field(default_factory=FakeIdentity)
    accounts: FakeAccounts = field(default_factory=FakeAccounts)
    mail_service: FakeMailService = field(default_factory=FakeMailService)
    flows: FakeFlows = field(default_factory=FakeFlows)
    tenant: str = TENANT

    def __post_init__(self) -> None:
        self.site = Site(Registration(CLIENT, self.tenant, HOST, f"{ORIGIN}/api/auth/callback"))
        self.vault = FakeVault(self.clock)
        self.checks = MemoryChecks(Faults())
        self.memory = MemoryOfWatch(Faults())
        self.faults = Faults()
        self.timetables = MemoryTimetables(self.faults)
        self.attention = MemoryAttentionIndex(self.faults)
        self.credential = FakeCredential()
        self.overviews = AccountOverviews(
            pace=Pace(30),
            timetables=self.timetables,
            attention=self.attention,
            memory=self.memory,
            credential=self.credential,
            clock=self.clock,
        )
        self.keys = Keys(self.vault, self.clock)
        self.sessions = Sessions(self.keys, self.clock, 8 * 3600)
        rules = ConsentRules(CLIENT, self.tenant, HOST)
        self.connecting = Connecting(
            rules=rules,
            identity=self.identity,
            mail_service=self.mail_service,
            vault=self.vault,
            accounts=self.accounts,
            clock=self.clock,
        )
        self.consent = Consent(
            rules=rules,
            identity=self.identity,
            accounts=self.accounts,
            flows=self.flows,
            clock=self.clock,
            connecting=self.connecting,
        )
        self.device_sign_in = DeviceSignIn(
            identity=self.identity,
            flows=self.flows,
            clock=self.clock,
            connecting=self.connecting,
            new_handle=lambda: "handle-1",
        )

    def accounts_page(self, req: func.HttpRequest) -> func.HttpResponse:
        return accounts_page.show_accounts(
            req, self.site, self.sessions, self.keys, self.accounts, self.checks, self.memory
        )

    def login(self, req: func.HttpRequest) -> func.HttpResponse:
        return sign_in.begin_sign_in(req, self.sessions, self.consent, self.keys, self.site)

    def begin_device(self, req: func.HttpRequest) -> func.HttpResponse:
        return device_code.begin_device_sign_in(
            req, self.sessions, self.device_sign_in, self.keys, self.site
        )

    def finish_device(self, req: func.HttpRequest) -> func.HttpResponse:
        return device_code.finish_device_sign_in(
            req, self.sessions, self.device_sign_in, self.keys, self.site
        )

    def admin_consent(self, req: func.HttpRequest) -> func.HttpResponse:
        return sign_in.show_admin_consent(req, self.sessions, self.site)

    def callback(self, req: func.HttpRequest) -> func.HttpResponse:
        return sign_in.finish_sign_in(req, self.consent, self.keys, self.site)


@dataclass
class Browser:
    """Keeps cookies by name; does not mind their paths."""

    cookies: dict[str, str] = field(default_factory=dict)

    def request(
        self,
        method: str,
        path: str,
        *,
        form: Mapping[str, str] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        route_params: Mapping[str, str] | None = None,
    ) -> func.HttpRequest:
        query = f"?{urlencode(params)}" if params else ""
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        return func.HttpRequest(
            method,
            f"{ORIGIN}{path}{query}",
            headers={**({"Cookie": cookie} if cookie else {}), **(headers or {})},
            params=params,
            route_params=route_params,
            body=body if body is not None else urlencode(form or {}).encode(),
        )

    def take(self, response: func.HttpResponse) -> func.HttpResponse:
        """Keep what the response sets, drop what it clears."""
        for header in response.headers.getlist("Set-Cookie"):
            name, _, value = header.partition(";")[0].partition("=")
            if "Max-Age=0;" in header:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        return response

    def open_session(self, app: App) -> None:
        """Sign in with a function key, which the host has checked."""
        req = self.request("POST", "/session", headers={"x-functions-key": "key"})
        self.take(accounts_page.open_session(req, app.sessions))

    def log_in(self, app: App, **form: str) -> func.HttpResponse:
        """Press the button on /accounts."""
        req = self.request(
            "POST", "/auth/login", form={"alias": "billing", **form}, headers=SAME_ORIGIN
        )
        return self.take(app.login(req))

    def visit(self, app: App, path: str) -> func.HttpResponse:
        """Go to the accounts page, with what its address says."""
        params = dict(parse_qsl(urlsplit(path).query))
        req = self.request("GET", "/accounts", params=params)
        return self.take(app.accounts_page(req))

    def callback(self, app: App, **answer: str) -> func.HttpResponse:
        """Open the callback with parameters in the address."""
        return self.take(app.callback(self.request("GET", "/api/auth/callback", params=answer)))

    def ask_for_code(self, app: App, **form: str) -> func.HttpResponse:
        """Press the other button on /accounts."""
        sign_in_request = {"alias": "billing", **form}
        req = self.request("POST", "/auth/device", form=sign_in_request, headers=SAME_ORIGIN)
        return self.take(app.begin_device(req))

    def has_entered(self, app: App) -> func.HttpResponse:
        """Press the button under the code."""
        form = {"handle": "handle-1"}
        req = self.request("POST", "/auth/device/finish", form=form, headers=SAME_ORIGIN)
        return self.take(app.finish_device(req))

    def come_back(self, app: App, method: str = "POST", **changes: str) -> func.HttpResponse:
        """Bring Microsoft's answer to the newest sign-in."""
        answer = {
            "code": "code-1",
            "state": f"state-{len(app.identity.begun)}",
            "client_info": CLIENT_INFO,
        }
        answer = {name: value for name, value in {**answer, **changes}.items() if value}
        path = "/api/auth/callback"
        if method == "GET":
            req = self.request("GET", path, params=answer)
        else:
            req = self.request("POST", path, form=answer, headers={"Sec-Fetch-Site": "cross-site"})
        return self.take(app.callback(req))


def text_of(response: func.HttpResponse) -> str:
    return response.get_body().decode()
