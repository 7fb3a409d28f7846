"""An account: a mailbox that an administrator linked, and what it may do."""

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
"""The reason of an account that is being taken out: nobody sends from it, or signs it in, any more."""

ALIAS = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")

HOLDER_GONE = "holder_gone"
NOT_GRANTED_SHARED = "shared_not_granted"
"""Why a shared mailbox cannot send: the account that it is reached by is gone, or lacks the
permission."""


class AccountState(StrEnum):
    """Whether an account can send now."""

    READY = "ready"
    HELD = "held"
    NEEDS_SIGN_IN = "needs-sign-in"


class AccountKind(StrEnum):
    """What sort of mailbox it is, and in whose name Postroom goes there."""

    WORK = "work"
    """Signed in, in a directory."""
    PERSONAL = "personal"
    """Signed in, of outlook.com."""
    SHARED = "shared"
    """Another's mailbox, in the name of a signed-in account that has rights there."""
    APP = "app"
    """A mailbox of a directory, in the app's own name: nobody is signed in."""

    @property
    def is_signed_in(self) -> bool:
        """Whether a person signs it in, so that it has a grant of its own in the vault."""
        return self in (AccountKind.WORK, AccountKind.PERSONAL)


class Account(msgspec.Struct, frozen=True):
    """One mailbox to send from. Holds nothing secret: the refresh token is in Key Vault."""

    alias: str
    account_id: str
    """Opaque and random: names the Key Vault secret."""
    tenant_id: str
    object_id: str
    """The user's id in the directory; empty for a mailbox that could not be looked up there."""
    address: str
    display_name: str
    kind: AccountKind
    authority: str
    """The authority that issued the grant: the last path segment, such as a tenant id or
    `consumers`. The same one must serve every refresh."""
    scopes: frozenset[str]
    """Short names of the Graph scopes that were really granted, such as `Mail.Send`."""
    allowed_from: tuple[str, ...] = ()
    """Further addresses, lower case, that this account may put into From."""
    defaults: Defaults = NO_DEFAULTS
    """What all its mails have unless their callers say otherwise."""
    state: AccountState = AccountState.READY
    reason: str | None = None
    """Why it cannot send: an error code, or the code of a hold."""
    held_until: datetime | None = None
    is_default: bool = False
    signed_in_at: datetime | None = None
    resting_until: datetime | None = None
    """Microsoft asked for a pause; kept beside the account, not with it."""
    grant: str | None = None
    """Opaque and random, another one for each sign-in: what the Key Vault secret is called after.
    Whoever still knows an earlier sign-in can then neither overwrite this one's grant nor remove it."""
    through: str | None = None
    """The account id of the holder: the signed-in account that a shared mailbox is reached by."""
    holder_alias: str | None = None
    """Its alias by now; kept at the holder, like all that a shared mailbox takes from it."""
    etag: str | None = None

    @property
    def graph_path(self) -> str:
        """What every address of the mailbox in Graph begins with: `/me`, or `/users/` and who."""
        return "/me" if self.kind.is_signed_in else user_path(self.object_id or self.address)

    @property
    def grant_id(self) -> str:
        """The account id that the access token belongs to: the holder's, or its own."""
        return self.through or self.account_id

    @property
    def can_write_drafts(self) -> bool:
        """Whether verified sending and large attachments are possible."""
        return self.needed("Mail.ReadWrite") in self.scopes

    def needed(self, scope: str) -> str:
        """The name of a permission where it is about this mailbox: at another's mailbox, a signed-in
        account needs the `.Shared` form."""
        return f"{scope}.Shared" if self.kind is AccountKind.SHARED else scope

    @property
    def address_hash(self) -> str:
        """SHA-256 of the address in lower case: by it a mailbox is known again where no address may
        be kept."""
        return hashlib.sha256(self.address.lower().encode()).hexdigest()

    def owns(self, address: str) -> bool:
        """Whether it is the mailbox's own address."""
        return address.lower() == self.address.lower()

    def may_send_as(self, address: str) -> bool:
        """Whether From may be this address."""
        return self.owns(address) or address.lower() in self.allowed_from

    @property
    def may_send_shared(self) -> bool:
        """Whether it has the permission to put an address into From that is not its own. In the
        app's own name there is no such permission: Exchange alone decides."""
        return self.kind is AccountKind.APP or SEND_SHARED in self.scopes

    def can_send_at(self, now: datetime) -> bool:
        """Whether it is ready, or held only until a moment that has passed."""
        if self.state is AccountState.HELD:
            return self.held_until is not None and self.held_until <= now
        return self.state is AccountState.READY


def user_path(who: str) -> str:
    """A user in Graph, by object id or address. A name that begins with '$' has a form of its own.

    https://learn.microsoft.com/graph/api/user-get
    """
    if who.startswith("$"):
        literal = quote(who.replace("'", "''"), safe="$@'")
        return f"/users('{literal}')"
    return f"/users/{quote(who, safe='@')}"


def kind_of(tenant_id: str) -> AccountKind:
    """Personal accounts all live in one well-known tenant."""
    return AccountKind.PERSONAL if tenant_id.lower() == PERSONAL_TENANT else AccountKind.WORK


_ASCII_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def folded(address: str) -> str:
    """An address as it is compared where it lets somebody in: without regard to the case of ASCII
    letters alone. Unicode's folding would make `straße@` and `strasse@` one mailbox."""
    return address.translate(_ASCII_LOWER)


def is_allowed(address: str, tenant_id: str, allow_list: tuple[str, ...]) -> bool:
    """Whether the allow-list admits a mailbox. An empty list admits every one.

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
