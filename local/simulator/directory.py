"""The people and mailboxes that every simulated service knows."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

TENANT_ID = "3f2a8c14-5d6b-4c7e-9a10-b2c3d4e5f607"
TENANT_DOMAIN = "contoso.com"
FABRIKAM_ID = "8b1d9f36-2c47-4e0a-b5d8-6a7e90c1f243"
FABRIKAM_DOMAIN = "fabrikam.com"
PERSONAL_TENANT_ID = "9188040d-6c67-4c5b-b112-36a304b66dad"
"""The tenant of all personal Microsoft accounts
(https://learn.microsoft.com/entra/identity-platform/id-token-claims-reference)."""

Kind = Literal["work", "personal", "shared", "guest"]


@dataclass
class User:
    """One account. A shared mailbox is an account whose sign-in is blocked. A guest is the account
    that an organisation has for somebody who signs in at another one."""

    address: str
    """The sign-in name (user principal name)."""
    name: str
    object_id: str
    tenant_id: str
    kind: Kind = "work"
    mail: str | None = None
    """The `mail` property in Graph: None for a user without a mailbox."""
    has_mailbox: bool = True
    admin: bool = False
    enabled: bool = True
    """False blocks sign-in and refresh (AADSTS50057)."""
    assigned: bool = False
    """Whether they may use the application if assignment is required (else 50105)."""
    locked: bool = False
    """Too many wrong passwords: no sign-in (50053); existing grants stay valid."""
    password_expired: bool = False
    """No sign-in (50055); a confidential client's refresh token stays valid (entra-oauth.md
    3.1)."""
    mfa: bool = False
    """They must use multi-factor authentication, whatever their organisation requires."""
    mfa_registered: bool = True
    """False: they must register a second factor first (50079)."""
    conditional_access: str | None = None
    """One of `organisations.CONDITIONAL_ACCESS`, for this user."""
    suspended: bool = False
    """A personal account that Outlook.com does not let send (ErrorAccountSuspend)."""
    copy_sent_as: bool = False
    """MessageCopyForSentAsEnabled of this mailbox."""
    copy_sent_on_behalf: bool = False
    """MessageCopyForSendOnBehalfEnabled of this mailbox."""
    home_id: str | None = None
    """For a guest: the object id in the home directory."""
    aliases: set[str] = field(default_factory=set)
    """Further SMTP addresses of the same mailbox."""
    send_as: set[str] = field(default_factory=set)
    """Addresses of the users who may send as this mailbox."""
    send_on_behalf: set[str] = field(default_factory=set)
    """Addresses of the users who may send on behalf of this mailbox."""
    full_access: set[str] = field(default_factory=set)
    """Addresses of the users who may open this mailbox."""

    @property
    def can_sign_in(self) -> bool:
        """Whether a person can sign in with this account."""
        return self.enabled and self.kind not in ("shared", "guest")

    @property
    def addresses(self) -> frozenset[str]:
        """Every address of this account, in lower case."""
        if self.kind == "guest":
            # A guest's mail is in the home directory, and so is the account of that address.
            return frozenset({self.address.lower()})
        named = {self.address, *self.aliases, *([self.mail] if self.mail else [])}
        return frozenset(address.lower() for address in named)


class Directory:
    """All users. They are found by any of their addresses or by object id."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._users: dict[str, User] = {}
        self.reset()

    def reset(self) -> None:
        """Undo every change: only the seed remains."""
        with self._lock:
            self._users = {}
            for user in seed():
                self.put(user)

    def put(self, user: User) -> User:
        """Add a user, or replace the one with the same address."""
        with self._lock:
            previous = self.find(user.address)
            if previous:
                del self._users[previous.object_id]
            self._users[user.object_id] = user
            return user

    def remove(self, address: str) -> bool:
        """Delete a user; False if there was none."""
        with self._lock:
            user = self.find(address)
            return bool(user and self._users.pop(user.object_id, None))

    def find(self, key: str) -> User | None:
        """The user with this address (any of them, case-insensitive) or object id."""
        with self._lock:
            user = self._users.get(key)
            if user:
                return user
            wanted = key.lower()
            return next((u for u in self._users.values() if wanted in u.addresses), None)

    def guest(self, home_id: str, tenant_id: str) -> User | None:
        """The guest account that an organisation has for a user of another one; None if there is
        none."""
        with self._lock:
            return next(
                (
                    u
                    for u in self._users.values()
                    if (u.home_id, u.tenant_id) == (home_id, tenant_id)
                ),
                None,
            )

    def home_of(self, user: User) -> User | None:
        """The account that the person signs in with: for most users the same one."""
        return user if user.home_id is None else self.find(user.home_id)

    def __iter__(self) -> Iterator[User]:
        with self._lock:
            return iter(list(self._users.values()))


def new_user(
    address: str,
    name: str = "",
    kind: Kind = "work",
    *,
    has_mailbox: bool = True,
    admin: bool = False,
    tenant_id: str = TENANT_ID,
) -> User:
    """A user whose object id is derived from the address, so that a reset does not change it."""
    return User(
        address=address,
        name=name or address.partition("@")[0].replace(".", " ").title(),
        object_id=_object_id(address, kind),
        tenant_id=PERSONAL_TENANT_ID if kind == "personal" else tenant_id,
        kind=kind,
        mail=address if has_mailbox else None,
        has_mailbox=has_mailbox,
        admin=admin,
    )


def new_guest(home: User, tenant_id: str, domain: str) -> User:
    """The guest account of an invited user: no mailbox, and a sign-in name made from the user's
    address (https://learn.microsoft.com/entra/external-id/user-properties)."""
    name = f"{home.address.replace('@', '_')}#EXT#@{domain}"
    return User(
        address=name,
        name=home.name,
        object_id=_object_id(name, "guest"),
        tenant_id=tenant_id,
        kind="guest",
        mail=home.mail,
        has_mailbox=False,
        home_id=home.object_id,
    )


def _object_id(address: str, kind: Kind) -> str:
    """Personal accounts have object ids of the form 00000000-0000-0000-xxxx-xxxxxxxxxxxx."""
    made = str(uuid.uuid5(uuid.NAMESPACE_URL, f"mailto:{address.lower()}"))
    return f"00000000-0000-0000-{made[19:]}" if kind == "personal" else made


def seed() -> list[User]:
    """The accounts that exist after every reset."""
    shared = new_user("info@contoso.com", "Contoso Info", "shared")
    shared.send_as.add("billing@contoso.com")
    grace = new_user("grace@fabrikam.com", "Grace Hopper", tenant_id=FABRIKAM_ID)
    return [
        new_user("billing@contoso.com", "Billing"),
        new_user("ada@contoso.com", "Ada Lovelace"),
        new_user("admin@contoso.com", "Contoso Admin", admin=True),
        shared,
        new_user("postroom.demo@outlook.com", "Postroom Demo", "personal"),
        new_user("nomailbox@contoso.com", "No Mailbox", has_mailbox=False),
        new_user("orders@fabrikam.com", "Fabrikam Orders", tenant_id=FABRIKAM_ID),
        new_user("admin@fabrikam.com", "Fabrikam Admin", admin=True, tenant_id=FABRIKAM_ID),
        grace,
        new_guest(grace, TENANT_ID, "contoso.onmicrosoft.com"),
    ]
