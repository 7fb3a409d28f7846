"""Adding a mailbox that nobody signs in: one that is shared, or one of a directory in the app's name.

What Microsoft can be asked without sending is asked first; on any refusal nothing is stored.
"""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Callable

import msgspec
from msgspec.structs import replace

from shared import telemetry
from shared.errors import (
    ConsentRequired,
    CredentialRefused,
    FieldProblem,
    NotSent,
    PostroomError,
    RemoteError,
    RemoteRefused,
    RequestRejected,
)
from shared.mail import known_errors, problems, rights
from shared.mail.account import (
    ALIAS,
    DISCONNECTING,
    PERSONAL_TENANT,
    Account,
    AccountKind,
    AccountState,
    is_allowed,
    user_path,
)
from shared.mail.address import BadAddress, make
from shared.mail.graph_payload import trial_request
from shared.mail.outcome import DENIED, Outcome, Verdict, judge_draft
from shared.mail.permissions import DRAFTS, DRAFTS_SHARED, SEND, SEND_SHARED
from shared.services.accounts.ports import (
    AccountRegister,
    AccountsSnapshot,
    DisconnectedMailbox,
    Tokens,
)
from shared.services.accounts.registering import by_alias, registered
from shared.services.clock import Clock
from shared.services.delivery.ports import Drafts, MailService
from shared.services.delivery.sending import Acting
from shared.services.intake.address_fields import holds_several
from shared.services.sign_in.ports import Grant

_CONCRETE = re.compile(
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}"
)
_SEVERAL = ("organizations", "common")

SHARED_BOX = (
    "sign it in again on /accounts with the box 'Shared mailboxes and other From addresses'"
)

UNTRIED_SHARED = (
    "Whether the rights in Exchange are there (Full Access, and Send as or Send on behalf) shows with "
    "the first mail: nothing short of sending tells while Mail.ReadWrite.Shared is not granted."
)
UNTRIED_SEND = (
    "Whether 'Send as' or 'Send on behalf' is there shows with the first mail: only sending tells."
)
UNTRIED_APP = (
    "Whether the app may send from this mailbox shows with the first mail: it takes the application "
    "permission Mail.Send or, for single mailboxes, the role 'Application Mail.Send' in Exchange (RBAC "
    "for Applications)."
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
    """Of a shared mailbox: the alias of the account that it is reached by."""
    tenant: str | None = None
    """Of an app-only mailbox: its directory, where the setting names none."""
    verified: bool = False


class Added(msgspec.Struct, frozen=True):
    """A mailbox that was added, or whose row was renewed, with what could not be found out."""

    account: Account
    is_new: bool
    notes: tuple[str, ...] = ()


class Adding:
    """Adds mailboxes."""

    def __init__(
        self,
        *,
        tenant: str,
        allowed_mailboxes: tuple[str, ...],
        accounts: AccountRegister,
        tokens: Tokens,
        mail_service: MailService,
        drafts: Drafts,
        clock: Clock,
        released: Callable[[Account], int] = lambda account: 0,
        new_account_id: Callable[[], str] = lambda: secrets.token_hex(16),
    ) -> None:
        self._tenant = tenant
        self._allowed = allowed_mailboxes
        self._accounts = accounts
        self._tokens = tokens
        self._mail_service = mail_service
        self._drafts = drafts
        self._acting = Acting(tokens)
        self._clock = clock
        self._released = released
        self._new_account_id = new_account_id

    def add(self, request: Request) -> Added:
        """Add a mailbox under an alias; doing it again renews what is there.

        Raises RequestRejected, or RemoteError where something did not answer; then nothing was stored.
        """
        request = _checked(request)
        if request.kind is AccountKind.SHARED:
            account = self._shared(request)
        else:
            account = self._app(request)
        self._admit(account)
        before: list[Account | None] = []

        def row_on(snapshot: AccountsSnapshot) -> Account:
            before.append(by_alias(snapshot.accounts, account.alias))
            return _row_on(snapshot, account, request)

        _row_on(self._accounts.snapshot(), account, request)
        self._try_out(account)
        row = registered(self._accounts, row_on)
        is_new = before[-1] is None
        released = self._release(row)
        telemetry.event("account_added", account=row.alias, kind=row.kind.value, released=released)
        return Added(row, is_new, untried(account))

    def _shared(self, request: Request) -> Account:
        holder = _fit(by_alias(self._accounts.snapshot().accounts, request.through or ""), request)
        return Account(
            alias=request.alias,
            account_id=self._new_account_id(),
            tenant_id=holder.tenant_id,
            # Looking others up takes a permission that nothing else here needs.
            object_id="",
            address=request.mailbox,
            display_name="",
            kind=AccountKind.SHARED,
            authority=holder.authority,
            scopes=holder.scopes,
            signed_in_at=holder.signed_in_at,
            through=holder.account_id,
            holder_alias=holder.alias,
        )

    def _app(self, request: Request) -> Account:
        tenant = self._directory(request)
        account = Account(
            alias=request.alias,
            account_id=self._new_account_id(),
            tenant_id=tenant,
            object_id="",
            address=request.mailbox,
            display_name="",
            kind=AccountKind.APP,
            authority=tenant,
            scopes=frozenset({SEND, DRAFTS} if request.verified else {SEND}),
            signed_in_at=self._clock(),
        )
        grant = self._app_grant(account)
        account = replace(account, tenant_id=grant.tenant_id or tenant)
        try:
            found = self._mail_service.user(grant.access_token, user_path(request.mailbox))
        except RemoteRefused as error:
            if error.code in DENIED:
                return account
            raise _refused(
                "mailbox", f"is not known in the directory {tenant}: check the address"
            ) from error
        return replace(
            account,
            object_id=found.object_id,
            address=found.address or request.mailbox,
            display_name=found.display_name,
        )

    def _directory(self, request: Request) -> str:
        """The directory of an app-only mailbox. Raises RequestRejected where it is not one."""
        tenant = (request.tenant or self._tenant).strip().lower()
        if tenant in ("consumers", PERSONAL_TENANT):
            raise _refused(
                "tenant",
                "is the place of personal accounts, in which no app acts in its own name: give the "
                "directory (tenant) id of a work or school directory, or sign the mailbox in",
            )
        if tenant in _SEVERAL:
            raise _refused(
                "tenant",
                f"is needed: '{tenant}' stands for many directories. Give the directory (tenant) id "
                "from Entra's overview, or a domain of the directory",
            )
        if not _CONCRETE.fullmatch(tenant):
            raise _refused(
                "tenant", "must be a directory (tenant) id or a domain, such as contoso.com"
            )
        return tenant

    def _app_grant(self, account: Account) -> Grant:
        try:
            return self._tokens.renew(account)
        except (ConsentRequired, CredentialRefused) as error:
            row = known_errors.find(error.code)
            step = rights.APP_REFUSED if isinstance(error, ConsentRequired) else row.step
            raise RequestRejected(
                problems.ACCOUNT_NOT_ADDED,
                f"Microsoft gave the app no token of its own for this directory: {row.meaning} "
                f"({row.code})",
                [FieldProblem("tenant", f"gives the app no token ({row.code})")],
                help=step,
            ) from error

    def _admit(self, account: Account) -> None:
        if not is_allowed(account.address, account.tenant_id, self._allowed):
            raise _refused(
                "mailbox",
                "is not among the mailboxes that may be connected here: whoever runs Postroom adds "
                "the address, its domain or its directory's id to POSTROOM_ALLOWED_MAILBOXES",
            )

    def _try_out(self, account: Account) -> None:
        """Make a draft and remove it, where that is permitted: it shows that the mailbox is there
        and may be opened."""
        if not account.can_write_drafts:
            return
        made: list[str] = []

        def make_draft(token: str) -> Outcome:
            try:
                found = self._drafts.create(
                    token, account.graph_path, "application/json", trial_request()
                )
                if found.draft_id is None:
                    return judge_draft(found.answer)
                # One that stays behind is removed by the next check.
                self._drafts.remove(token, account.graph_path, found.draft_id)
            except RemoteError as error:
                if not made:
                    return Outcome(Verdict.AGAIN, "not_reached", retry_after=error.retry_after)
            made.append("")
            return Outcome(Verdict.SENT)

        outcome = self._acting.act(account, make_draft)
        if outcome.verdict in (Verdict.AGAIN, Verdict.THROTTLED, Verdict.UNKNOWN):
            raise NotSent(
                "graph",
                "whether the mailbox works was not found out",
                retry_after=outcome.retry_after,
            )
        if outcome.verdict is not Verdict.SENT:
            raise _refused_by_microsoft(outcome, app_only=account.kind is AccountKind.APP)

    def _release(self, account: Account) -> int:
        try:
            return self._released(account)
        except PostroomError:
            # The mailbox is added all the same; the timer releases what is still held.
            telemetry.event("release_put_off", level=logging.WARNING, account=account.alias)
            return 0


def untried(account: Account) -> tuple[str, ...]:
    """What adding a mailbox leaves open, in sentences; nothing for one that a person signs in."""
    if account.kind is AccountKind.SHARED:
        return (UNTRIED_SEND if account.can_write_drafts else UNTRIED_SHARED,)
    if account.kind is AccountKind.APP:
        return (UNTRIED_APP,) if account.object_id else (NOT_LOOKED_UP, UNTRIED_APP)
    return ()


def _checked(request: Request) -> Request:
    """The request in canonical form. Raises RequestRejected naming every field that is wrong."""
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


def _fit(holder: Account | None, request: Request) -> Account:
    """The account that a shared mailbox is to be reached by. Raises RequestRejected where it cannot be."""
    if holder is None:
        raise _refused("through", "names no account that is there: /accounts lists them")
    trouble = _unfit(holder, request)
    if trouble is not None:
        raise _refused(*trouble)
    return holder


def _unfit(holder: Account, request: Request) -> tuple[str, str] | None:
    """Why a shared mailbox cannot be reached by an account: the field, and the words."""
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


def _row_on(snapshot: AccountsSnapshot, account: Account, request: Request) -> Account:
    """The row for a roll: a new one, or the one that is there, renewed. Raises RequestRejected where the
    alias or the mailbox is another's or on its way out, or the holder is not what it was."""
    if account.through is not None:
        account = _reached(snapshot, account, request)
    for row in snapshot.accounts:
        if row.alias != account.alias and _is_same_mailbox(row, account):
            raise _taken("mailbox", f"is connected already, as '{row.alias}'")
    existing = by_alias(snapshot.accounts, account.alias)
    if existing is None:
        # Disconnected and connected again: the mails that waited are its own.
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
    """A shared mailbox with what it takes from its holder on a roll. Raises RequestRejected where the
    account that was asked is not there any more, or is not fit by now."""
    holder = next((row for row in snapshot.accounts if row.account_id == account.through), None)
    if holder is None:
        raise _refused(
            "through",
            "was disconnected, or became another mailbox, meanwhile: /accounts lists the accounts "
            "there are",
        )
    holder = _fit(holder, request)
    return replace(
        account,
        authority=holder.authority,
        scopes=holder.scopes,
        signed_in_at=holder.signed_in_at,
    )


def _had(gone: DisconnectedMailbox, account: Account) -> bool:
    """Whether it is the mailbox that had its alias. Where one of the two was not looked up in the
    directory, the address decides."""
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


def _refused(field: str, message: str) -> RequestRejected:
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


def _refused_by_microsoft(outcome: Outcome, *, app_only: bool) -> RequestRejected:
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
