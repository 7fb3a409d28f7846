"""Stand-ins for the ports that signing in needs, kept in memory."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from shared.errors import LostRace
from shared.mail.account import Account, AccountKind
from shared.mail.account_list import AccountList, with_holders
from shared.mail.outcome import GraphAnswer
from shared.services.accounts.ports import AccountsSnapshot, DisconnectedMailbox, Profile
from shared.services.sign_in.ports import DeviceCode, Grant, StoredSecret
from shared.services.upkeep.ports import ListedSecret

TENANT = "11111111-1111-4111-8111-111111111111"
OBJECT = "22222222-2222-4222-8222-222222222222"
CLIENT = "33333333-3333-4333-8333-333333333333"
HOST = "https://login.microsoftonline.com"
NOW = datetime(2026, 8, 20, 12, 0, tzinfo=UTC)
CLIENT_INFO = base64.urlsafe_b64encode(b'{"uid":"u","utid":"t"}').decode().rstrip("=")


class FakeClock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **by: float) -> None:
        self.now += timedelta(**by)


@dataclass
class FakeVault:
    """Versions by name; `trouble` is raised by the next writes."""

    clock: Callable[[], datetime] = lambda: NOW
    secrets: dict[str, list[StoredSecret]] = field(default_factory=dict)
    trouble: Exception | None = None
    reads: int = 0

    def get(self, name: str) -> StoredSecret | None:
        self.reads += 1
        versions = self.secrets.get(name)
        return versions[-1] if versions else None

    def set(
        self,
        name: str,
        value: str,
        tags: Mapping[str, str] | None = None,
        *,
        expires_at: datetime | None = None,
    ) -> StoredSecret:
        if self.trouble:
            raise self.trouble
        versions = self.secrets.setdefault(name, [])
        versions.append(StoredSecret(value, f"v{len(versions) + 1}", self.clock(), expires_at))
        return versions[-1]

    def remove(self, name: str) -> None:
        if self.trouble:
            raise self.trouble
        self.secrets.pop(name, None)

    def listed(self, prefix: str) -> Iterator[ListedSecret]:
        if self.trouble:
            raise self.trouble
        for name, versions in list(self.secrets.items()):
            if name.startswith(prefix):
                yield ListedSecret(name, versions[-1].created_at)

    def grants(self) -> list[str]:
        """The names of stored grants."""
        return [name for name in self.secrets if name.startswith("postroom-grant-")]


@dataclass
class FakeAccounts:
    """Rows by alias, with ETags; `losing` many writes are overtaken, then `trouble` is raised.

    `before_enrol` runs between a snapshot and what is decided on it.
    """

    rows: dict[str, Account] = field(default_factory=dict)
    saves: int = 0
    losing: int = 0
    trouble: Exception | None = None
    registered: int = 0
    disconnected: list[DisconnectedMailbox] = field(default_factory=list)
    before_enrol: Callable[[], object] = lambda: None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def all(self, *, fresh: bool = False) -> AccountList:
        return with_holders(self.rows.values())

    def snapshot(self) -> AccountsSnapshot:
        with self.lock:
            version = f"r{self.registered}" if self.registered else None
            return AccountsSnapshot(
                with_holders(self.rows.values()), version, tuple(self.disconnected)
            )

    def register(self, account: Account, snapshot: AccountsSnapshot, *beside: Account) -> Account:
        self.before_enrol()
        with self.lock:
            if snapshot.version != (f"r{self.registered}" if self.registered else None):
                raise LostRace
            stored = self.save(account)
            for other in beside:
                self.save(other)
            self.registered += 1
            return stored

    def save(self, account: Account) -> Account:
        existing = self.rows.get(account.alias)
        if self.losing:
            self.losing -= 1
            raise LostRace
        if self.trouble:
            raise self.trouble
        if (existing.etag if existing else None) != account.etag:
            raise LostRace
        self.saves += 1
        stored = replace(account, etag=f"e{self.saves}")
        self.rows[account.alias] = stored
        return stored


@dataclass
class FakeFlows:
    """Open flows by state hash."""

    rows: dict[str, datetime] = field(default_factory=dict)

    def open(self, state_hash: str, expires_at: datetime) -> None:
        self.rows[state_hash] = expires_at

    def take(self, state_hash: str) -> datetime | None:
        return self.rows.pop(state_hash, None)

    def forget_expired(self, now: datetime, most: int) -> int:
        expired = [name for name, expires_at in self.rows.items() if expires_at <= now][:most]
        for name in expired:
            del self.rows[name]
        return len(expired)


def claims_of(**changes: object) -> dict[str, object]:
    """The id token of a work account, as Entra writes it."""
    tenant = str(changes.get("tid", TENANT))
    claims: dict[str, object] = {
        "aud": CLIENT,
        "iss": f"{HOST}/{tenant}/v2.0",
        "tid": tenant,
        "oid": OBJECT,
        "exp": int(NOW.timestamp()) + 3600,
        "nbf": int(NOW.timestamp()) - 300,
        "preferred_username": "billing@contoso.com",
    }
    claims.update(changes)
    return {name: value for name, value in claims.items() if value is not None}


def grant_of(
    claims: Mapping[str, object] | None = None,
    *,
    access_token: str = "access-1",  # noqa: S107
    refresh_token: str | None = "refresh-1",  # noqa: S107
    scopes: Sequence[str] = ("Mail.Send", "User.Read", "openid", "profile"),
    expires_in_seconds: int = 3600,
) -> Grant:
    """What a token request gave."""
    return Grant(access_token, refresh_token, frozenset(scopes), expires_in_seconds, claims)


@dataclass
class FakeIdentity:
    """Entra: answers are taken from lists, the last one again and again."""

    redeemed: list[Grant | Exception] = field(default_factory=lambda: [grant_of(claims_of())])
    refreshed: list[Grant | Exception] = field(
        default_factory=lambda: [grant_of(access_token="access-2", refresh_token="refresh-2")]
    )
    begun: list[dict[str, object]] = field(default_factory=list)
    redemptions: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    refreshes: list[tuple[str, str]] = field(default_factory=list)
    before_refresh: Callable[[], None] = lambda: None
    app_granted: list[Grant | Exception] = field(
        default_factory=lambda: [Grant("app-1", None, frozenset(), 3600, None, tenant_id=TENANT)]
    )
    app_grants: list[str] = field(default_factory=list)

    def begin(
        self,
        authority: str,
        scopes: Sequence[str],
        *,
        login_hint: str | None = None,
        prompt: str | None = None,
        domain_hint: str | None = None,
    ) -> Mapping[str, object]:
        self.begun.append(
            {
                "authority": authority,
                "scopes": tuple(scopes),
                "hint": login_hint,
                "prompt": prompt,
                "domain": domain_hint,
            }
        )
        state = f"state-{len(self.begun)}"
        return {
            "state": state,
            "auth_uri": f"{HOST}/{authority}/oauth2/v2.0/authorize?state={state}",
            "code_verifier": "verifier",
            "nonce": "nonce",
            "scope": list(scopes),
            "redirect_uri": "http://localhost:7071/api/auth/callback",
        }

    def redeem(
        self, authority: str, flow: Mapping[str, object], answer: Mapping[str, str]
    ) -> Grant:
        self.redemptions.append((authority, dict(answer)))
        return _next(self.redeemed)

    def begin_device(self, authority: str, scopes: Sequence[str]) -> DeviceCode:
        self.begun.append({"authority": authority, "scopes": tuple(scopes)})
        return DeviceCode("BCDFGHJKL", "https://microsoft.com/devicelogin", "device-1", 900, 5)

    def poll_device(self, authority: str, code: DeviceCode) -> Grant:
        self.redemptions.append((authority, {"device_code": code.device_code}))
        return _next(self.redeemed)

    def refresh(self, authority: str, refresh_token: str, scopes: Sequence[str]) -> Grant:
        self.before_refresh()
        self.refreshes.append((authority, refresh_token))
        return _next(self.refreshed)

    def app_grant(self, authority: str) -> Grant:
        self.app_grants.append(authority)
        return _next(self.app_granted)


def _next(answers: list[Grant | Exception]) -> Grant:
    answer = answers.pop(0) if len(answers) > 1 else answers[0]
    if isinstance(answer, Exception):
        raise answer
    return answer


@dataclass
class FakeMailService:
    """Graph, for `GET /me` and `GET /users/{who}`."""

    profile: Profile | Exception = field(
        default_factory=lambda: Profile(OBJECT, "billing@contoso.com", "Billing")
    )

    users: dict[str, Profile | Exception] = field(default_factory=dict)
    """Others than `profile`, by their path."""

    def send_mail(
        self, access_token: str, mailbox: str, content_type: str, body: bytes
    ) -> GraphAnswer:
        raise NotImplementedError

    def me(self, access_token: str) -> Profile:
        return self.user(access_token, "/me")

    def user(self, access_token: str, mailbox: str) -> Profile:
        found = self.users.get(mailbox, self.profile)
        if isinstance(found, Exception):
            raise found
        return found


def account_of(alias: str = "billing", **changes: object) -> Account:
    """A signed-in work account."""
    account = Account(
        alias=alias,
        account_id=f"id-{alias}",
        tenant_id=TENANT,
        object_id=OBJECT,
        address="billing@contoso.com",
        display_name="Billing",
        kind=AccountKind.WORK,
        authority=TENANT,
        scopes=frozenset({"Mail.Send", "User.Read"}),
        signed_in_at=NOW,
        etag="e0",
    )
    return replace(account, **changes)


def events_in(messages: Sequence[str]) -> list[dict[str, object]]:
    """The structured events among captured log lines."""
    return [json.loads(message) for message in messages if message.startswith("{")]
