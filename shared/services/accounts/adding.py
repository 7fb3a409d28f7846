"""Adding a mailbox that nobody signs in: a shared mailbox, or a mailbox of a directory in the app's
own name.

Everything that Microsoft can be asked without sending is asked first. After any refusal nothing is
stored.
"""

from __future__ import annotations

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
    RemoteError,
    RemoteRefused,
    RequestRejected,
)
from shared.mail import known_errors, problems, rights
from shared.mail.account import (
    PERSONAL_TENANT,
    Account,
    AccountKind,
    is_allowed,
    user_path,
)
from shared.mail.graph_payload import trial_request
from shared.mail.outcome import DENIED, Outcome, Verdict, judge_draft
from shared.mail.permissions import DRAFTS, SEND
from shared.services.accounts.adding_rules import (
    CONCRETE,
    NOT_LOOKED_UP,
    SEVERAL,
    Request,
    checked,
    fit_of,
    refused,
    refused_by_microsoft,
    row_on_of,
)
from shared.services.accounts.ports import (
    AccountRegister,
    AccountsSnapshot,
    Tokens,
)
from shared.services.accounts.registering import registered
from shared.services.accounts.releasing import released
from shared.services.clock import Clock
from shared.services.delivery.ports import Drafts, MailService
from shared.services.delivery.sending import Acting
from shared.services.sign_in.ports import Grant

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


class Added(msgspec.Struct, frozen=True):
    """A mailbox that was added or renewed, with what could not be found out."""

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
        """Add a mailbox under an alias; adding it again renews it. Raises RequestRejected, or
        RemoteError if a service did not answer; then nothing was stored."""
        request = checked(request)
        if request.kind is AccountKind.SHARED:
            account = self._shared(request)
        else:
            account = self._app(request)
        self._admit(account)
        before: list[Account | None] = []

        def row_on(snapshot: AccountsSnapshot) -> Account:
            before.append(snapshot.accounts.by_alias(account.alias))
            return row_on_of(snapshot, account, request)

        row_on_of(self._accounts.snapshot(), account, request)
        self._try_out(account)
        row = registered(self._accounts, row_on)
        is_new = before[-1] is None
        released = self._release(row)
        telemetry.event("account_added", account=row.alias, kind=row.kind.value, released=released)
        return Added(row, is_new, untried(account))

    def _shared(self, request: Request) -> Account:
        holder = fit_of(self._accounts.snapshot().accounts.by_alias(request.through), request)
        return Account(
            alias=request.alias,
            account_id=self._new_account_id(),
            tenant_id=holder.tenant_id,
            # Reading other users needs a permission that nothing else here needs.
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
            raise refused(
                "mailbox", f"is not known in the directory {tenant}: check the address"
            ) from error
        return replace(
            account,
            object_id=found.object_id,
            address=found.address or request.mailbox,
            display_name=found.display_name,
        )

    def _directory(self, request: Request) -> str:
        """The directory of an app-only mailbox. Raises RequestRejected if it is not one."""
        tenant = (request.tenant or self._tenant).strip().lower()
        if tenant in ("consumers", PERSONAL_TENANT):
            raise refused(
                "tenant",
                "is the place of personal accounts, in which no app acts in its own name: give the "
                "directory (tenant) id of a work or school directory, or sign the mailbox in",
            )
        if tenant in SEVERAL:
            raise refused(
                "tenant",
                f"is needed: '{tenant}' stands for many directories. Give the directory (tenant) id "
                "from Entra's overview, or a domain of the directory",
            )
        if not CONCRETE.fullmatch(tenant):
            raise refused(
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
            raise refused(
                "mailbox",
                "is not among the mailboxes that may be connected here: whoever runs Postroom adds "
                "the address, its domain or its directory's id to POSTROOM_ALLOWED_MAILBOXES",
            )

    def _try_out(self, account: Account) -> None:
        """Make a draft and remove it, if that is permitted: this shows that the mailbox exists and
        can be opened."""
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
                # A draft that is not removed here is removed by the next check.
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
            raise refused_by_microsoft(outcome, app_only=account.kind is AccountKind.APP)

    def _release(self, account: Account) -> int:
        return released(account, tuple, self._released)


def untried(account: Account) -> tuple[str, ...]:
    """What is not known after adding a mailbox, in sentences; nothing for a mailbox that a person
    signs in."""
    if account.kind is AccountKind.SHARED:
        return (UNTRIED_SEND if account.can_write_drafts else UNTRIED_SHARED,)
    if account.kind is AccountKind.APP:
        return (UNTRIED_APP,) if account.object_id else (NOT_LOOKED_UP, UNTRIED_APP)
    return ()
