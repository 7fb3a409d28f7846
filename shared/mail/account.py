"""An account: a mailbox that an administrator connected, and what it may do."""

from __future__ import annotations

import hashlib
import re
import string
from datetime import datetime
from enum import StrEnum
from urllib.parse import quote

import msgspec

from shared.mail.defaults import NO_DEFAULTS, Defaults
from shared.mail.permissions import SEND_SHARED

PERSONAL_TENANT = "9188040d-6c67-4c5b-b112-36a304b66dad"
"""The tenant of every personal Microsoft account.

https://learn.microsoft.com/entra/identity-platform/v2-protocols-oidc
"""

DISCONNECTING = "disconnecting"
"""The reason of an account that is being disconnected: no mail is sent from it, and no sign-in can
change it."""

ALIAS = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")

HOLDER_GONE = "holder_gone"
NOT_GRANTED_SHARED = "shared_not_granted"
"""Why a shared mailbox cannot send: its holder (the account that it is reached through) is
disconnected or lacks the permission."""


class AccountState(StrEnum):
    """Whether an account can send now."""

    READY = "ready"
    HELD = "held"
    NEEDS_SIGN_IN = "needs-sign-in"


class AccountKind(StrEnum):
    """What kind of mailbox it is, and whose permissions Postroom uses there."""

    WORK = "work"
    """A work or school mailbox of a directory. A person signs it in."""
    PERSONAL = "personal"
    """A personal mailbox of outlook.com. A person signs it in."""
    SHARED = "shared"
    """Another person's or a shared mailbox. Postroom uses the grant of a signed-in account that has
    rights there."""
    APP = "app"
    """A mailbox of a directory that the app itself may use. Nobody signs it in."""

    @property
    def is_signed_in(self) -> bool:
        """Whether a person signs it in, so that Key Vault holds a refresh token of its own."""
        return self in (AccountKind.WORK, AccountKind.PERSONAL)


class Account(msgspec.Struct, frozen=True):
    """One mailbox to send from. It holds no secret: the refresh token is in Key Vault."""

    alias: str
    account_id: str
    """Opaque and random. The name of the Key Vault secret contains it."""
    tenant_id: str
    object_id: str
    """The user's object id in the directory; empty if the mailbox could not be looked up there."""
    address: str
    display_name: str
    kind: AccountKind
    authority: str
    """The authority that issued the grant: the last path segment, such as a tenant id or
    `consumers`. Every refresh must use the same authority."""
    scopes: frozenset[str]
    """Short names of the Graph scopes that Microsoft granted, such as `Mail.Send`."""
    allowed_from: tuple[str, ...] = ()
    """Further addresses, in lower case, that this account may put into From."""
    defaults: Defaults = NO_DEFAULTS
    """The values that all its mails have unless their callers give others."""
    state: AccountState = AccountState.READY
    reason: str | None = None
    """Why it cannot send: an error code, or the code of a hold."""
    held_until: datetime | None = None
    is_default: bool = False
    signed_in_at: datetime | None = None
    resting_until: datetime | None = None
    """The end of a pause that Microsoft asked for. It is stored in a row of its own, not with the
    account."""
    grant: str | None = None
    """Opaque and random, new for each sign-in. It is the suffix of the Key Vault secret's name, so
    that a worker that still has the data of an earlier sign-in can neither overwrite nor delete the
    grant of this one."""
    through: str | None = None
    """The account id of the holder: the signed-in account through which a shared mailbox is
    reached."""
    holder_alias: str | None = None
    """The holder's alias. It is read from the holder, like all that a shared mailbox takes from
    it."""
    etag: str | None = None

    @property
    def graph_path(self) -> str:
        """The begin of the path of every Graph request about the mailbox: `/me`, or
        `/users/{user}`."""
        return "/me" if self.kind.is_signed_in else user_path(self.object_id or self.address)

    @property
    def grant_id(self) -> str:
        """The account id whose access token is used: the holder's, or its own."""
        return self.through or self.account_id

    @property
    def can_write_drafts(self) -> bool:
        """Whether verified sending and large attachments are possible."""
        return self.needed("Mail.ReadWrite") in self.scopes

    def needed(self, scope: str) -> str:
        """The name of a permission as this account needs it. For another person's mailbox, a
        signed-in account needs the `.Shared` form."""
        return f"{scope}.Shared" if self.kind is AccountKind.SHARED else scope

    @property
    def address_hash(self) -> str:
        """SHA-256 of the address in lower case. It identifies the mailbox where the address itself
        must not be stored."""
        return hashlib.sha256(self.address.lower().encode()).hexdigest()

    def owns(self, address: str) -> bool:
        """Whether the address is the mailbox's own."""
        return address.lower() == self.address.lower()

    def may_send_as(self, address: str) -> bool:
        """Whether From may be this address."""
        return self.owns(address) or address.lower() in self.allowed_from

    @property
    def may_send_shared(self) -> bool:
        """Whether it has the permission to put another address than its own into From. For a
        mailbox of the app itself there is no such permission: Exchange alone decides."""
        return self.kind is AccountKind.APP or SEND_SHARED in self.scopes

    def can_send_at(self, now: datetime) -> bool:
        """Whether it is ready, or its hold has ended."""
        if self.state is AccountState.HELD:
            return self.held_until is not None and self.held_until <= now
        return self.state is AccountState.READY


def user_path(who: str) -> str:
    """The path of a user in Graph, by object id or address. A name that begins with '$' has another
    form.

    https://learn.microsoft.com/graph/api/user-get
    """
    if who.startswith("$"):
        literal = quote(who.replace("'", "''"), safe="$@'")
        return f"/users('{literal}')"
    return f"/users/{quote(who, safe='@')}"


def kind_of(tenant_id: str) -> AccountKind:
    """The kind of a signed-in account: all personal accounts are in one well-known tenant."""
    return AccountKind.PERSONAL if tenant_id.lower() == PERSONAL_TENANT else AccountKind.WORK


_ASCII_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def folded(address: str) -> str:
    """An address in the form in which access checks compare it: only the case of ASCII letters is
    ignored. Unicode case folding would make `straße@` and `strasse@` one mailbox."""
    return address.translate(_ASCII_LOWER)


def is_allowed(address: str, tenant_id: str, allow_list: tuple[str, ...]) -> bool:
    """Whether the allow-list admits a mailbox. An empty list admits every mailbox.

    Entries are lower-case addresses (`a@contoso.com`), domains (`contoso.com` or `@contoso.com`)
    or tenant ids.
    """
    if not allow_list:
        return True
    wanted = folded(address)
    domain = wanted.rpartition("@")[2]
    return any(
        entry in (wanted, tenant_id.lower()) or entry.removeprefix("@") == domain
        for entry in allow_list
    )
