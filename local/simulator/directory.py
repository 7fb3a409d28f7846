"""The people and mailboxes that every simulated service knows about."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

TENANT_ID = "3f2a8c14-5d6b-4c7e-9a10-b2c3d4e5f607"
TENANT_DOMAIN = "contoso.com"
PERSONAL_TENANT_ID = "9188040d-6c67-4c5b-b112-36a304b66dad"
"""The tenant of all personal Microsoft accounts
(https://learn.microsoft.com/entra/identity-platform/id-token-claims-reference)."""

Kind = Literal["work", "personal", "shared"]


@dataclass
class User:
    """One account. A shared mailbox is an account whose sign-in is blocked."""

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
        return self.enabled and self.kind != "shared"

    @property
    def addresses(self) -> frozenset[str]:
        """Every address that means this account, in lower case."""
        named = {self.address, *self.aliases, *([self.mail] if self.mail else [])}
        return frozenset(address.lower() for address in named)


class Directory:
    """All users, findable by any of their addresses or by object id."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._users: dict[str, User] = {}
        self.reset()

    def reset(self) -> None:
        """Forget every change: only the seed remains."""
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
        """Delete a user; False where there was none."""
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
) -> User:
    """A user whose object id follows from the address, so that it survives a reset."""
    return User(
        address=address,
        name=name or address.partition("@")[0].replace(".", " ").title(),
        object_id=_object_id(address, kind),
        tenant_id=PERSONAL_TENANT_ID if kind == "personal" else TENANT_ID,
        kind=kind,
        mail=address if has_mailbox else None,
        has_mailbox=has_mailbox,
        admin=admin,
    )


def _object_id(address: str, kind: Kind) -> str:
    """Personal accounts have object ids of the shape 00000000-0000-0000-xxxx-xxxxxxxxxxxx."""
    made = str(uuid.uuid5(uuid.NAMESPACE_URL, f"mailto:{address.lower()}"))
    return f"00000000-0000-0000-{made[19:]}" if kind == "personal" else made


def seed() -> list[User]:
    """The accounts that exist after every reset."""
    shared = new_user("info@contoso.com", "Contoso Info", "shared")
    shared.send_as.add("billing@contoso.com")
    return [
        new_user("billing@contoso.com", "Billing"),
        new_user("ada@contoso.com", "Ada Lovelace"),
        new_user("admin@contoso.com", "Contoso Admin", admin=True),
        shared,
        new_user("postroom.demo@outlook.com", "Postroom Demo", "personal"),
        new_user("nomailbox@contoso.com", "No Mailbox", has_mailbox=False),
    ]
