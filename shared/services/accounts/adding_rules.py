"""Which mailboxes may be added without a sign-in, and their rows."""

from __future__ import annotations

import re

import msgspec
from msgspec.structs import replace

from shared.errors import (
    FieldProblem,
    RequestRejected,
)
from shared.mail import problems, rights
from shared.mail.account import (
    ALIAS,
    DISCONNECTING,
    Account,
    AccountKind,
    AccountState,
)
from shared.mail.address import BadAddress, make
from shared.mail.outcome import DENIED, Outcome
from shared.mail.permissions import DRAFTS_SHARED, SEND_SHARED
from shared.services.accounts.ports import (
    AccountsSnapshot,
    DisconnectedMailbox,
)
from shared.services.intake.address_fields import holds_several

CONCRETE = re.compile(
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}"
)


SEVERAL = ("organizations", "common")


SHARED_BOX = (
    "sign it in again on /accounts with the box 'Shared mailboxes and other From addresses'"
)


NOT_LOOKED_UP = (
    "The directory does not let the app look users up (User.Read.All), which sending does not need: "
    "the address is taken as it was written."
)


class Request(msgspec.Struct, frozen=True):
    """What an administrator wants to add."""

    alias: str
    kind: AccountKind
    mailbox: str
    """Its address."""
    through: str | None = None
    """Of a shared mailbox: the alias of the account through which it is reached."""
    tenant: str | None = None
    """Of an app-only mailbox: its directory, if the setting names none."""
    verified: bool = False


def checked(request: Request) -> Request:
    """The request in canonical form. Raises RequestRejected, which names every wrong field."""
    found = []
    alias = request.alias.strip().lower()
    if not ALIAS.fullmatch(alias):
        found.append(
            FieldProblem(
                "alias", "Use 1 to 40 of a-z, 0-9 and '-', beginning with a letter or digit."
            )
        )
    mailbox = request.mailbox
    try:
        mailbox = make(request.mailbox.strip()).email
    except BadAddress as error:
        several = "has several addresses: add one mailbox at a time"
        found.append(
            FieldProblem("mailbox", several if holds_several(request.mailbox) else str(error))
        )
    through = (request.through or "").strip().lower() or None
    shared = request.kind is AccountKind.SHARED
    if shared and through is None:
        found.append(
            FieldProblem(
                "through", "is needed: the alias of the signed-in account that has rights there"
            )
        )
    if shared and request.tenant:
        found.append(FieldProblem("tenant", "is that of the account in 'through': leave it out"))
    if not shared and through is not None:
        found.append(FieldProblem("through", "belongs to shared mailboxes: leave it out"))
    if found:
        raise RequestRejected(
            problems.INVALID_REQUEST, "The mailbox cannot be added as written.", found
        )
    return replace(request, alias=alias, mailbox=mailbox, through=through)


def fit_of(holder: Account | None, request: Request) -> Account:
    """The account through which a shared mailbox is reached. Raises RequestRejected if it cannot be
    used."""
    if holder is None:
        raise refused("through", "names no account that is there: /accounts lists them")
    trouble = _unfit(holder, request)
    if trouble is not None:
        raise refused(*trouble)
    return holder


def _unfit(holder: Account, request: Request) -> tuple[str, str] | None:
    """Why a shared mailbox cannot be reached through an account: the field, and the words."""
    if holder.kind is not AccountKind.WORK:
        return "through", "must be a work or school account that is signed in"
    if holder.reason == DISCONNECTING:
        return "through", "is being disconnected: name another account"
    if holder.state is AccountState.NEEDS_SIGN_IN:
        return "through", "needs to be signed in again on /accounts first"
    if SEND_SHARED not in holder.scopes:
        return "through", f"was not granted {SEND_SHARED}: {SHARED_BOX} ticked"
    if request.verified and DRAFTS_SHARED not in holder.scopes:
        return (
            "verified",
            f"takes {DRAFTS_SHARED}, which '{holder.alias}' was not granted: {SHARED_BOX} and the "
            "one for verified sending ticked; an administrator of the directory has to consent",
        )
    return None


def row_on_of(snapshot: AccountsSnapshot, account: Account, request: Request) -> Account:
    """The row to write: a new one, or the present one renewed. Raises RequestRejected if the alias
    or the mailbox belongs to another account or is being disconnected, or if the holder has
    changed."""
    if account.through is not None:
        account = _reached(snapshot, account, request)
    for row in snapshot.accounts:
        if row.alias != account.alias and _is_same_mailbox(row, account):
            raise _taken("mailbox", f"is connected already, as '{row.alias}'")
    existing = snapshot.accounts.by_alias(account.alias)
    if existing is None:
        # It was disconnected and is connected again: the mails that waited belong to it.
        own = (gone.account_id for gone in snapshot.disconnected if _had(gone, account))
        return replace(
            account,
            account_id=next(own, account.account_id),
            is_default=not snapshot.accounts,
        )
    if existing.reason == DISCONNECTING:
        raise _taken(
            "alias",
            "is being disconnected, and that did not come to its end: disconnect it once more at "
            f"/accounts/{existing.alias}/disconnect, then add the mailbox",
        )
    if existing.kind is not account.kind or not _is_same_mailbox(existing, account):
        raise _taken("alias", "is another mailbox's: choose another alias, or disconnect that one")
    return replace(
        existing,
        tenant_id=account.tenant_id,
        object_id=account.object_id or existing.object_id,
        address=account.address,
        display_name=account.display_name or existing.display_name,
        authority=account.authority,
        scopes=account.scopes,
        state=AccountState.READY,
        reason=None,
        held_until=None,
        signed_in_at=account.signed_in_at,
        through=account.through,
        holder_alias=account.holder_alias,
    )


def _reached(snapshot: AccountsSnapshot, account: Account, request: Request) -> Account:
    """A shared mailbox with the values of its holder. Raises RequestRejected if the account that
    was asked does not exist any more, or cannot be a holder now."""
    holder = snapshot.accounts.by_id(account.through)
    if holder is None:
        raise refused(
            "through",
            "was disconnected, or became another mailbox, meanwhile: /accounts lists the accounts "
            "there are",
        )
    holder = fit_of(holder, request)
    return replace(
        account,
        authority=holder.authority,
        scopes=holder.scopes,
        signed_in_at=holder.signed_in_at,
    )


def _had(gone: DisconnectedMailbox, account: Account) -> bool:
    """Whether it is the mailbox that had its alias before. If one of the two was not looked up in
    the directory, the addresses are compared."""
    if gone.kind is None or gone.kind.is_signed_in:
        return False
    if (gone.alias, gone.tenant_id.lower()) != (account.alias, account.tenant_id.lower()):
        return False
    if gone.object_id and account.object_id:
        return gone.object_id.lower() == account.object_id.lower()
    return gone.address_hash == account.address_hash


def _is_same_mailbox(one: Account, other: Account) -> bool:
    if one.tenant_id.lower() != other.tenant_id.lower():
        return False
    return one.owns(other.address) or (
        bool(one.object_id) and one.object_id.lower() == other.object_id.lower()
    )


def refused(field: str, message: str) -> RequestRejected:
    return RequestRejected(
        problems.ACCOUNT_NOT_ADDED,
        "The mailbox cannot be added: nothing was stored.",
        [FieldProblem(field, message)],
    )


def _taken(field: str, message: str) -> RequestRejected:
    return RequestRejected(
        problems.ACCOUNT_TAKEN,
        "The alias or the mailbox is taken: nothing was stored.",
        [FieldProblem(field, message)],
    )


def refused_by_microsoft(outcome: Outcome, *, app_only: bool) -> RequestRejected:
    help_text = outcome.help
    if app_only and outcome.reason in DENIED:
        help_text = rights.NO_APP_DRAFTS
    return RequestRejected(
        problems.ACCOUNT_NOT_ADDED,
        f"Microsoft does not let Postroom make a draft in the mailbox ({outcome.reason}): nothing "
        "was stored.",
        [FieldProblem("mailbox", f"cannot be opened ({outcome.reason})")],
        help=help_text,
    )
