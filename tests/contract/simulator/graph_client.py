"""Plain `requests` against the simulated Graph, with tokens that say what a test wants."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import requests

from local.simulator.directory import TENANT_ID
from local.simulator.entra.tokens import GRAPH_AUDIENCE, Claims
from local.simulator.graph.state import GraphState
from local.simulator.server import Simulator

BILLING = "billing@contoso.com"
ADA = "ada@contoso.com"
SHARED = "info@contoso.com"
OUTSIDE = "grace@example.org"
APPLICATION = "6f1c1d8e-1111-4222-8333-944455556666"
KEY_ID = "String {66f5a359-4659-4830-9070-00047ec6ac6e} Name PostroomKey"
ALL_SCOPES = "Mail.Send Mail.ReadWrite Mail.Send.Shared Mail.ReadWrite.Shared User.Read"


def mail(subject: str = "Hello", to: str = OUTSIDE, **more: Any) -> dict[str, Any]:
    """A message as Graph's JSON wants it."""
    return {
        "subject": subject,
        "body": {"contentType": "html", "content": "<p>x</p>"},
        "toRecipients": [{"emailAddress": {"address": to}}],
        **more,
    }


def people(*addresses: str) -> list[dict[str, Any]]:
    return [{"emailAddress": {"address": address}} for address in addresses]


def file(name: str = "a.txt", content: bytes = b"hi", **more: Any) -> dict[str, Any]:
    return {
        "@odata.type": "#microsoft.graph.fileAttachment",
        "name": name,
        "contentType": "text/plain",
        "contentBytes": base64.b64encode(content).decode(),
        **more,
    }


def keyed(value: str) -> list[dict[str, str]]:
    return [{"id": KEY_ID, "value": value}]


def error_of(response: requests.Response) -> tuple[int, str]:
    """Status and code; the rest of the error's shape is checked on the way."""
    error = response.json()["error"]
    assert error.keys() <= {"code", "message", "innerError"}
    assert response.headers["request-id"]
    return response.status_code, error["code"]


class GraphClient:
    """One caller; `billing@contoso.com` with every scope unless the test says otherwise."""

    def __init__(
        self,
        simulator: Simulator,
        session: requests.Session,
        *,
        address: str | None = BILLING,
        scopes: str = ALL_SCOPES,
        roles: str = "",
    ) -> None:
        self.simulator = simulator
        self.session = session
        self.state: GraphState = simulator.state.graph
        self.base = f"{simulator.urls.http}/v1.0"
        self.token = self.issue(address=address, scopes=scopes, roles=roles)

    def acting(
        self, address: str | None = BILLING, scopes: str = ALL_SCOPES, roles: str = ""
    ) -> GraphClient:
        """Another caller of the same simulator."""
        return GraphClient(
            self.simulator, self.session, address=address, scopes=scopes, roles=roles
        )

    def issue(
        self,
        *,
        address: str | None = BILLING,
        scopes: str = ALL_SCOPES,
        roles: str = "",
        audience: str = GRAPH_AUDIENCE,
        lifetime: float = 3600,
    ) -> str:
        state = self.simulator.state
        user = state.directory.find(address) if address else None
        claims = Claims(
            audience=audience,
            tenant_id=user.tenant_id if user else TENANT_ID,
            object_id=user.object_id if user else "service-principal",
            client_id=APPLICATION,
            expires_at=state.clock.time() + lifetime,
            address=user.address if user else None,
            scopes=frozenset(scopes.split()) if user else frozenset(),
            roles=frozenset(roles.split()),
        )
        return state.tokens.issue(claims)

    def call(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **more: Any
    ) -> requests.Response:
        url = path if path.startswith("http") else self.base + path
        authorization = {"Authorization": f"Bearer {self.token}"}
        return self.session.request(
            method, url, headers={**authorization, **(headers or {})}, timeout=30, **more
        )

    def get(self, path: str, **more: Any) -> requests.Response:
        return self.call("GET", path, **more)

    def post(self, path: str, **more: Any) -> requests.Response:
        return self.call("POST", path, **more)

    def send(self, message: Any, path: str = "/me/sendMail", **more: Any) -> requests.Response:
        return self.post(path, json={"message": message, **more})

    def send_mime(self, source: bytes, path: str = "/me/sendMail") -> requests.Response:
        headers = {"Content-Type": "text/plain"}
        return self.post(path, data=base64.b64encode(source), headers=headers)

    def draft(self, message: Any = None, **more: Any) -> Any:
        response = self.post("/me/messages", json=mail() if message is None else message, **more)
        assert response.status_code == 201, response.text
        return response.json()

    def messages(self, folder: str | None = None, **query: str) -> list[Any]:
        path = "/me/messages" if folder is None else f"/me/mailFolders/{folder}/messages"
        response = self.get(path, params={f"${name}": value for name, value in query.items()})
        assert response.status_code == 200, response.text
        found: list[Any] = response.json()["value"]
        return found

    def option(self, **changes: Any) -> None:
        self.state.options = self.state.options.changed(changes)
