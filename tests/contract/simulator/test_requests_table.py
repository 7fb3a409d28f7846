"""Each row of the table of requests in docs/local-stack.md holds, and the table has every route."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from local.simulator.entra import routes as entra_routes
from local.simulator.entra.policy import Strength
from local.simulator.identity import routes as identity_routes
from local.simulator.key_vault import routes as key_vault_routes
from local.simulator.server import Simulator
from local.simulator.state import SimulatorState
from tests.contract.simulator.person import (
    ADA,
    BILLING,
    CALLBACK,
    SEND,
    VERIFIER,
    Control,
    Person,
    TokenEndpoint,
    authorize_url,
)
from tests.contract.simulator.signer import Signer, claims_for
from tests.contract.simulator.vault_client import vault_token

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "local-stack.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("## Requests of Entra, the managed identity and Key Vault")[2]
ROW = re.compile(r"^\| `([A-Z]+) ([^`]+)` \| (.*?) ?\| (.+?) \|$", re.MULTILINE)
ANSWER = re.compile(r"executed|refused: (\d{3})(?:, (\w+))?(; logged)?")
PAGES_OWN = {"sign_in", "second_factor", "consent", "device_entered", "style", "script"}
"""What only the simulator's own pages ask for."""


@dataclass(frozen=True)
class Row:
    """A row of the table."""

    method: str
    path: str
    sent: tuple[str, ...]
    answer: str

    def __str__(self) -> str:
        return f"{self.method} {self.path} {' '.join(self.sent)}"


ROWS = [
    Row(m[1], m[2], tuple(re.findall(r"`([^`]+)`", m[3])), m[4])
    for m in ROW.finditer(SECTION.partition("\n## ")[0])
]


class Sender:
    """Sends the request of a row, with what it leaves out for brevity."""

    def __init__(self, simulator: Simulator, person: Person, signer: Signer) -> None:
        self._simulator = simulator
        self._state = simulator.state
        self._person = person
        self._signer = signer
        self._tokens = TokenEndpoint(simulator, person.session)

    def __call__(self, row: Row) -> requests.Response:
        if row.path.startswith("/identity"):
            return self._identity(row)
        vault = (
            "/secrets",
            "/deletedsecrets",
            "/keys",
            "/certificates",
            "/storage",
            "/deletedkeys",
        )
        return self._vault(row) if row.path.startswith(vault) else self._entra(row)

    def _entra(self, row: Row) -> requests.Response:
        path = row.path.format(tenant="contoso.com", user=BILLING)
        stack = self._simulator.stack()
        sent = {"client_id": stack["client_id"], **self._defaults(row), **self._named(row)}
        headers = {}
        if row.path.endswith("/userinfo"):
            headers["Authorization"] = f"Bearer {self._user_tokens()['access_token']}"
        body = row.method == "POST"
        return self._person.session.request(
            row.method,
            self._simulator.urls.https + path,
            params=None if body else sent,
            data=sent if body else None,
            headers=headers,
            allow_redirects=False,
        )

    def _defaults(self, row: Row) -> dict[str, str]:
        if row.path.endswith("/token"):
            secret = self._simulator.stack()["client_secret"]
            proof = "" if any(one.startswith("client_assertion") for one in row.sent) else secret
            more = {"redirect_uri": CALLBACK, "code_verifier": VERIFIER, "client_secret": proof}
            scope = {} if "/v2.0/" not in row.path else {"scope": self._scope(row)}
            return more | scope
        return (
            {"redirect_uri": CALLBACK} if "authorize" in row.path or "consent" in row.path else {}
        )

    def _scope(self, row: Row) -> str:
        by_itself = "grant_type=client_credentials" in row.sent
        return "https://graph.microsoft.com/.default" if by_itself else SEND

    def _named(self, row: Row) -> dict[str, str]:
        found = dict(one.split("=", 1) for one in row.sent)
        made: Mapping[str, Callable[[], str]] = {
            "client_secret": lambda: str(self._simulator.stack()["client_secret"]),
            "client_assertion": self._assertion,
            "code": self._code,
            "refresh_token": lambda: str(self._user_tokens()["refresh_token"]),
            "device_code": self._device_code,
            "username": lambda: ADA,
            "password": lambda: "not-it",
        }
        filled = {n: made[n]() if value == "…" else value for n, value in found.items()}
        if "client_assertion" in filled:
            kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
            filled["client_assertion_type"] = kind
        return filled

    def _assertion(self) -> str:
        self._state.entra.application.add_certificate(self._signer.pem)
        audience = f"{self._simulator.urls.https}/contoso.com/oauth2/v2.0/token"
        client_id = self._simulator.stack()["client_id"]
        return self._signer.sign(claims_for(client_id, audience, self._state.clock.time()))

    def _code(self) -> str:
        return self._person.open(authorize_url(self._simulator)).sign_in(ADA)["code"]

    def _user_tokens(self) -> dict[str, Any]:
        found: dict[str, Any] = self._tokens.code(self._code()).json()
        return found

    def _device_code(self) -> str:
        self._code()
        user = self._state.directory.find(ADA)
        assert user is not None
        form = {"client_id": self._simulator.stack()["client_id"], "scope": SEND}
        url = f"{self._simulator.urls.https}/contoso.com/oauth2/v2.0/devicecode"
        device = self._person.session.post(url, form).json()
        grant = self._state.entra.grants.device_by_user_code(device["user_code"])
        assert grant is not None
        grant.user_id, grant.strength = user.object_id, Strength(self._state.clock.time())
        return str(device["device_code"])

    def _identity(self, row: Row) -> requests.Response:
        return self._person.session.request(
            row.method,
            self._simulator.urls.http + row.path,
            params=dict(one.split("=", 1) for one in row.sent),
            headers={"X-IDENTITY-HEADER": self._simulator.stack()["identity_header"]},
        )

    def _vault(self, row: Row) -> requests.Response:
        _, version = self._state.vault.set("a", {"value": "v"})
        backup = self._state.vault.backup("a")
        if row.path.startswith("/deleted") or row.path == "/secrets/restore":
            self._state.vault.delete("a")
        if row.path == "/secrets/restore":
            self._state.vault.purge("a")
        given = (json.loads(one) for one in row.sent if one.startswith("{"))
        body: dict[str, str] = next(given, {})
        if body.get("value") == "…":
            body = {"value": backup}
        query = dict(one.split("=", 1) for one in row.sent if not one.startswith("{"))
        return self._person.session.request(
            row.method,
            self._simulator.urls.vault + row.path.format(name="a", version=version.identifier),
            params={"api-version": "2026-04-01", **query},
            json=body if row.method in ("PUT", "PATCH", "POST") else None,
            headers=vault_token(self._state),
        )


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_row_holds(
    simulator: Simulator, control: Control, person: Person, signer: Signer, row: Row
) -> None:
    said = ANSWER.fullmatch(row.answer)
    assert said, row.answer

    answer = Sender(simulator, person, signer)(row)

    if row.answer == "executed":
        assert answer.status_code in (200, 204), answer.text
        assert control.unsupported() == []
        return
    assert answer.status_code == int(said[1]), answer.text
    where = answer.text + answer.headers.get("Location", "")
    assert (said[2] or "") in where
    assert bool(control.unsupported()) == bool(said[3])


def test_the_table_has_every_route(state: SimulatorState) -> None:
    missing = []
    for service in (entra_routes, identity_routes, key_vault_routes):
        for route in service.routes(state):
            if route.name.partition(".")[2] in PAGES_OWN:
                continue
            if not any(_leads_to(row, route.method, route.match) for row in ROWS):
                missing.append(f"{route.method} {route.template}")

    assert missing == []


def _leads_to(row: Row, method: str, match: Callable[[str, str], Any]) -> bool:
    path = row.path.format(tenant="contoso.com", user=BILLING, name="a", version="0" * 32)
    return match(row.method if method != "*" else "*", path) is not None


def test_the_table_is_read() -> None:
    assert len(ROWS) > 80
