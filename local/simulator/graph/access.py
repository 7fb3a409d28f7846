"""The caller of a request, the mailbox that it names, and the caller's rights there (graph-mail.md
5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from local.simulator.directory import Directory, User
from local.simulator.entra.tokens import (
    GRAPH_AUDIENCE,
    AccessTokens,
    Claims,
    ExpiredToken,
    UnknownToken,
    WrongAudience,
)
from local.simulator.graph.errors import (
    AccessDenied,
    AppAccessPolicyDenied,
    InvalidAuthenticationToken,
    InvalidUser,
    MailboxNotEnabled,
    MeNeedsDelegation,
    SendAsDenied,
)
from local.simulator.graph.items import Address
from local.simulator.wire import Request

GRAPH_CLIENT_ID = "00000003-0000-0000-c000-000000000000"

READ = ("Mail.Read", "Mail.ReadWrite")
READ_BASIC = ("Mail.ReadBasic", "Mail.ReadBasic.All", *READ)
WRITE = ("Mail.ReadWrite",)
SEND = ("Mail.Send",)


@dataclass(frozen=True)
class Access:
    """A caller at a mailbox, before the scopes are checked."""

    claims: Claims
    user: User
    """The owner of the mailbox."""

    @property
    def is_own(self) -> bool:
        return self.claims.object_id == self.user.object_id

    def require(self, permissions: tuple[str, ...]) -> None:
        """Scopes per endpoint (2.1, 3.1): someone else's mailbox needs the `.Shared` form."""
        if self.claims.app_only:
            granted, wanted = self.claims.roles, set(permissions)
        else:
            granted = self.claims.scopes
            shared = {f"{one}.Shared" for one in permissions}
            wanted = shared | set(permissions) if self.is_own else shared
        if not granted & wanted:
            raise AccessDenied

    def has(self, permissions: tuple[str, ...]) -> bool:
        try:
            self.require(permissions)
        except AccessDenied:
            return False
        return True


def bearer(authorization: str, tokens: AccessTokens) -> Claims:
    """The caller's claims. The texts are Graph's [con: resolve-auth-errors]."""
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise _unauthenticated("Access token is empty.")
    try:
        return tokens.find(token.strip(), GRAPH_AUDIENCE)
    except ExpiredToken as error:
        raise _unauthenticated("Lifetime validation failed, the token is expired.") from error
    except WrongAudience as error:
        raise _unauthenticated("Access token validation failure. Invalid audience.") from error
    except UnknownToken as error:
        raise _unauthenticated(
            "IDX14100: JWT is not well formed, there are no dots (.)."
            if "." not in token
            else "InvalidAuthenticationToken: CompactToken validation failed."
        ) from error


def _unauthenticated(message: str) -> InvalidAuthenticationToken:
    challenge = f'Bearer realm="", client_id="{GRAPH_CLIENT_ID}"'
    return InvalidAuthenticationToken(message, [("WWW-Authenticate", challenge)])


def named_user(request: Request) -> str | None:
    """The user in the path; None for `/me`."""
    return request.params.get("user")


def mailbox_owner(claims: Claims, named: str | None, directory: Directory) -> User:
    """The user of `/me` or `/users/{named}`. `enter` checks whether a mailbox exists."""
    if named is None:
        if claims.app_only:
            raise MeNeedsDelegation
        named = claims.object_id
    user = directory.find(named) or directory.find(_long_id(named))
    if user is None or user.tenant_id != claims.tenant_id:
        raise InvalidUser.named(named)
    return user


def _long_id(named: str) -> str:
    """The object id behind the short one by which Graph may call a personal account."""
    return f"00000000-0000-0000-{named[:4]}-{named[4:]}" if len(named) == 16 else named


def enter(claims: Claims, user: User, allowed: Sequence[str] | None) -> Access:
    """Open a mailbox: it must exist, and the caller must be allowed to open it.

    `allowed` are the addresses that an application may use; None means all of its tenant.
    """
    if not user.has_mailbox:
        raise MailboxNotEnabled
    access = Access(claims, user)
    if claims.app_only:
        if allowed is not None and not user.addresses & {one.lower() for one in allowed}:
            raise AppAccessPolicyDenied
    elif not access.is_own and not _named(claims.address, user.full_access):
        raise AccessDenied
    return access


def _named(address: str | None, those: set[str]) -> bool:
    return address is not None and address.lower() in {one.lower() for one in those}


@dataclass(frozen=True)
class Authors:
    """`from` and `sender` of a mail."""

    from_: Address
    sender: Address
    other: User | None = None
    """The mailbox sent from, if it is not the one that submits."""

    @property
    def on_behalf(self) -> bool:
        return self.from_.key != self.sender.key


def authors(
    access: Access, requested: Address | None, directory: Directory, *, keep_alias: bool = False
) -> Authors:
    """The rights matrix of graph-mail.md 5.3.

    Names come from the directory and cannot be overridden [EvotecIT/Mailozaurr#39]; an alias
    becomes the primary address, unless `keep_alias`. Which error a missing `.Shared` scope gives is
    UNCONFIRMED.
    """
    wanted = directory.find(requested.address) if requested else access.user
    if wanted is None or wanted.tenant_id != access.user.tenant_id:
        raise SendAsDenied
    acting = access.user if access.claims.app_only else directory.find(access.claims.object_id)
    acting = acting or access.user
    address = primary(wanted)
    if keep_alias and requested:
        address = Address(requested.address, wanted.name)
    if wanted.object_id == acting.object_id:
        return Authors(address, address, None)
    if not access.claims.app_only and "Mail.Send.Shared" not in access.claims.scopes:
        raise AccessDenied
    other = wanted if wanted.object_id != access.user.object_id else None
    if _named(acting.address, wanted.send_as):
        return Authors(address, address, other)
    if _named(acting.address, wanted.send_on_behalf):
        return Authors(address, primary(acting), other)
    raise SendAsDenied


def primary(user: User) -> Address:
    return Address(user.mail or user.address, user.name)
