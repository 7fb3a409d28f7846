"""Checking an account: Microsoft is asked whether it works now.

The findings are kept beside the account (`Checks`), so that a problem is announced once. Only a
refused grant marks an account, as everywhere (`TokenSource`); a temporary failure marks nothing. If
a check proves that an account works again, it makes the account ready.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from datetime import datetime

from msgspec.structs import replace

from shared.errors import (
    AnswerLost,
    ConsentRequired,
    CredentialRefused,
    LostRace,
    NotSent,
    RemoteError,
    RemoteRefused,
    RequestRejected,
)
from shared.mail import known_errors, problems
from shared.mail.account import DISCONNECTING, Account, AccountState
from shared.mail.findings import Change, Check, Finding, Result, Topic, compared
from shared.mail.graph_payload import trial_request
from shared.mail.known_errors import Actor
from shared.mail.outcome import DENIED, judge_draft
from shared.mail.permissions import SEND
from shared.services.accounts.check_findings import (
    may_write,
    passing,
    refused_draft,
    scopes_of,
    senders,
    stopped,
)
from shared.services.accounts.ports import Accounts, CheckRecord, Checks, Tokens
from shared.services.accounts.releasing import released
from shared.services.clock import Clock
from shared.services.delivery.ports import Drafts, MailService
from shared.services.sign_in.ports import Grant
from shared.telemetry import event

_JSON = "application/json"
_WRITES = 3

Announce = Callable[[Account, Check, Change, datetime | None], None]
"""Receives new findings, and the time of the account's last check, before they are stored as known.
It may therefore receive them twice. Raises RemoteError to receive them again at the next check."""


def _no_announcement(
    account: Account, check: Check, change: Change, since: datetime | None
) -> None:
    """Announces nothing."""


class Checking:
    """Checks accounts."""

    def __init__(
        self,
        *,
        accounts: Accounts,
        checks: Checks,
        tokens: Tokens,
        mail_service: MailService,
        drafts: Drafts,
        clock: Clock,
        released: Callable[[Account], int],
        announce: Announce = _no_announcement,
        ticks: Callable[[], float] = time.perf_counter,
    ) -> None:
        """`released` is called with an account that works again, and releases its mails."""
        self._accounts = accounts
        self._checks = checks
        self._tokens = tokens
        self._mail_service = mail_service
        self._drafts = drafts
        self._clock = clock
        self._released = released
        self._announce = announce
        self._ticks = ticks

    def check(self, alias: str) -> Check:
        """Check one account. Raises RequestRejected if no account has that alias."""
        account = next((a for a in self._accounts.all(fresh=True) if a.alias == alias), None)
        if account is None:
            raise RequestRejected(problems.UNKNOWN_ALIAS, "No account has this alias.")
        return self.examine(account)

    def examine(self, account: Account) -> Check:
        """Check this account. Never raises for what Microsoft does."""
        now, start = self._clock(), self._ticks()
        findings = tuple(self._findings(account))
        check = Check(
            account_id=account.account_id,
            alias=account.alias,
            checked_at=now,
            ms=round((self._ticks() - start) * 1000),
            findings=findings,
        )
        check = self._with_state(self._follow(account, check), check)
        self._keep(account, check)
        event("account_checked", account=account.alias, outcome=check.result.value, ms=check.ms)
        return check

    def _findings(self, account: Account) -> Iterator[Finding]:
        grant = self._grant(account)
        if isinstance(grant, Finding):
            yield grant
            return
        yield Finding(Topic.GRANT, Result.OK, "Microsoft gave a new token.")
        yield self._mailbox(account, grant)
        yield from scopes_of(account, grant)
        if may_write(account, grant):
            yield self._draft(account, grant)
        yield from senders(account, grant)

    def _grant(self, account: Account) -> Grant | Finding:
        try:
            return self._tokens.renew(account)
        except (ConsentRequired, CredentialRefused) as error:
            row = known_errors.find(error.code)
            known = known_errors.is_known(error.code)
            blames_app = isinstance(error, CredentialRefused)
            return Finding(
                Topic.GRANT,
                Result.NOT_OK,
                row.meaning if known else str(error),
                code=error.code,
                who=row.who if known or not blames_app else Actor.OPERATOR,
                step=row.step,
            )
        except (NotSent, AnswerLost) as error:
            return passing(Topic.GRANT, error.system)

    def _mailbox(self, account: Account, grant: Grant) -> Finding:
        try:
            profile = self._mail_service.user(grant.access_token, account.graph_path)
        except (NotSent, AnswerLost) as error:
            return passing(Topic.MAILBOX, error.system)
        except RemoteRefused as error:
            if error.code in DENIED and not account.kind.is_signed_in:
                return Finding(
                    Topic.MAILBOX,
                    Result.NOTE,
                    "The directory does not let the mailbox be looked up, which sending does not "
                    "need.",
                    code=error.code,
                )
            row = known_errors.find("mailbox_refused")
            return Finding(
                Topic.MAILBOX,
                Result.NOT_OK,
                row.meaning,
                code=error.code or "mailbox_refused",
                who=row.who,
                step=row.step,
            )
        if profile.address and profile.address.casefold() != account.address.casefold():
            return Finding(
                Topic.MAILBOX,
                Result.NOTE,
                f"The directory has its user, whose address is {profile.address} by now; mail still "
                f"goes out as {account.address}.",
                code="address_changed",
                who=known_errors.find("address_changed").who,
                step=known_errors.find("address_changed").step,
            )
        return Finding(
            Topic.MAILBOX, Result.OK, "The directory has its user, with the same address."
        )

    def _draft(self, account: Account, grant: Grant) -> Finding:
        """Make a draft and remove it; before that, remove what an earlier check may have left."""
        token, mailbox = grant.access_token, account.graph_path
        try:
            for copy in self._drafts.trials(token, mailbox).copies:
                if copy.is_draft:
                    self._drafts.remove(token, mailbox, copy.message_id)
            made = self._drafts.create(token, mailbox, _JSON, trial_request())
            if made.draft_id is None:
                return refused_draft(judge_draft(made.answer))
            # Another check at the same time may have removed it: 404.
            removed = self._drafts.remove(token, mailbox, made.draft_id)
        except (NotSent, AnswerLost) as error:
            return passing(Topic.DRAFT, error.system)
        if removed.status not in (204, 404):
            return Finding(
                Topic.DRAFT,
                Result.UNSURE,
                "A draft was made and could not be removed just now; the next check removes it.",
                code=removed.code or f"http_{removed.status}",
            )
        return Finding(Topic.DRAFT, Result.OK, "A draft was made and removed.")

    def _follow(self, account: Account, check: Check) -> Account:
        """Make an account ready that works again, and release its mails. Returns it as it is
        now."""
        row = account
        try:
            row = self._row_of(account) or account
            if not _stands_as_before(row, account) or not _is_well_again(row, check):
                return row
            ready = replace(row, state=AccountState.READY, reason=None, held_until=None)
            ready = self._accounts.save(ready)
        except LostRace:
            return row  # another process has just changed it, and has newer evidence
        except RemoteError:
            event("account_not_marked", level=logging.WARNING, account=account.alias)
            return row
        count = released(
            ready,
            lambda: self._accounts.all(fresh=True).reached_through(ready),
            self._released,
        )
        event("account_well_again", account=account.alias, released=count)
        return ready

    def _with_state(self, row: Account, check: Check) -> Check:
        """The reason that stops the account although the check found nothing wrong."""
        if row.state is AccountState.READY or row.can_send_at(self._clock()) or check.troubles:
            return check
        return replace(check, findings=(*check.findings, stopped(row)))

    def _row_of(self, account: Account) -> Account | None:
        return self._accounts.all(fresh=True).by_id(account.account_id)

    def _keep(self, account: Account, check: Check) -> None:
        """Store the check, and announce what is new. The process that stores it first announces
        it."""
        for _ in range(_WRITES):
            try:
                before = self._checks.find(account.account_id)
                if before is not None and before.check.checked_at > check.checked_at:
                    return
                change = compared(before.known if before else (), check)
                if change.broken or change.mended:
                    since = before.check.checked_at if before else None
                    self._announce(account, check, change, since)
                etag = before.etag if before else None
                self._checks.save(CheckRecord(check, change.known, etag))
            except LostRace:
                continue
            except RemoteError as error:
                event(
                    "check_not_kept",
                    level=logging.WARNING,
                    account=account.alias,
                    system=error.system,
                )
                return
            self._log_change(account, check, change)
            return

    def _log_change(self, account: Account, check: Check, change: Change) -> None:
        for finding in check.findings:
            # A grant that has ended marked the account, and that was announced already.
            ended = finding.topic is Topic.GRANT and finding.who is not Actor.OPERATOR
            if finding.trouble in change.broken and not ended:
                event(
                    "account_trouble_found",
                    level=logging.ERROR,
                    account=account.alias,
                    kind=finding.topic.value,
                    code=finding.code,
                )
        if change.mended:
            event("account_trouble_over", account=account.alias)


def _stands_as_before(row: Account, account: Account) -> bool:
    """Whether the account was neither marked nor signed in since the check began. If it was, that
    is newer than what the check found."""
    begun = (account.state, account.reason, account.held_until, account.signed_in_at)
    return begun == (row.state, row.reason, row.held_until, row.signed_in_at)


def _is_well_again(row: Account, check: Check) -> bool:
    """Whether the check proves that the account can send.

    A check shows that the grant, the app's credential and the mailbox work, and which permissions
    there are. It does not show that a limit or a block of sending has ended: that ends by time, or
    with the first mail that is sent.
    """
    reason = row.reason or ""
    missing = any(
        one.topic is Topic.SCOPE and one.result is Result.NOT_OK and one.subject == row.needed(SEND)
        for one in check.findings
    )
    if not check.is_ok(Topic.GRANT) or missing or reason == DISCONNECTING:
        return False
    if row.state is AccountState.HELD and reason in DENIED:
        # A right in Exchange was missing; a sign-in does not give it.
        return check.is_ok(Topic.DRAFT)
    if row.state is AccountState.HELD:
        return known_errors.is_known(reason) and known_errors.find(reason).blames_the_app
    if row.state is not AccountState.NEEDS_SIGN_IN or row.through is not None:
        return False  # a shared mailbox works as soon as its holder does
    # The token had the permission when the mailbox refused. Only the mailbox can show that this has
    # ended, and a draft is the only test that sends nothing.
    proof = Topic.DRAFT if reason in DENIED else Topic.MAILBOX
    return check.is_ok(proof)
