"""The sweep: finds mails that wait too long, and enqueues wake-ups for them.

It finds them without searching the whole ledger: see `WaitingIndex` and
`docs/decisions/0012-index-of-waiting-mails.md`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from msgspec.structs import replace

from shared.errors import LostRace
from shared.mail.account import Account
from shared.mail.status import Status
from shared.services.accounts.ports import Accounts
from shared.services.clock import BEGINNING, Clock
from shared.services.intake.ports import WakeUps
from shared.services.mails.ports import Ledger, MailSummary, Span
from shared.services.upkeep.ports import Entry, HeldMark, WaitingIndex, Watermark
from shared.telemetry import event

MOST_ENQUEUED = 500
"""How many entries of the index a run handles, and for how many further mails it enqueues
wake-ups."""
PAGE = 1000
MOST_SECONDS = 50.0
"""A run that takes longer leaves the rest to the next run."""
MARGIN = timedelta(minutes=15)
"""How far the watermark stays behind the clock: longer than a function may run (`host.json`) plus
the difference between clocks."""
OVERLAP = timedelta(minutes=5)
"""A row can become visible later than the times in it, so each run reads this much of the past
again."""
QUIET = timedelta(minutes=5)
"""A run that found nothing moves the watermark only this often, which saves the write."""


class Upkeep:
    """Enqueues wake-ups for mails whose own wake-up is lost, or that have none."""

    def __init__(
        self,
        ledger: Ledger,
        waiting: WaitingIndex,
        wake_ups: WakeUps,
        accounts: Accounts,
        clock: Clock,
    ) -> None:
        self._ledger = ledger
        self._waiting = waiting
        self._wake_ups = wake_ups
        self._accounts = accounts
        self._clock = clock

    def requeue_overdue(self) -> int:
        """Enqueue wake-ups for mails whose wake-up was lost, whose worker died, or whose account
        can send again. Returns how many. What one run cannot do is left to the next."""
        run = self._run()
        snapshot = self._waiting.snapshot(run.now, MOST_ENQUEUED)
        run.apply(snapshot.due)
        for mark in snapshot.held:
            run.release(mark)
        run.look_through(snapshot.watermark or Watermark(BEGINNING, BEGINNING))
        if run.enqueued:
            event("rung_again", count=run.enqueued)
        return run.enqueued

    def release(self, account: Account) -> int:
        """Enqueue wake-ups for the mails that are held for an account, oldest first. Returns how
        many. The timer does what one run cannot do."""
        run = self._run()
        watermark = self._waiting.snapshot(run.now, 0).watermark
        run.apply(self._waiting.of_account(account.alias, MOST_ENQUEUED))
        run.release_new(account, watermark.noted_before if watermark else BEGINNING)
        if run.enqueued:
            event("mails_released", account=account.alias, released=run.enqueued)
        return run.enqueued

    def look_behind(self, cursor: str | None, stop: datetime) -> tuple[int, str | None]:
        """Find mails that wait behind the watermark and are not in the index, and note them.

        Reads the whole ledger from `cursor` on, until `stop`. Returns how many there were (there
        should be none), and where to continue.
        """
        watermark = self._waiting.snapshot(self._clock(), 0).watermark
        if watermark is None:
            return 0, None
        nowhere = watermark.noted_before
        span = Span(BEGINNING, watermark.noted_before, nowhere, nowhere)
        noted = set(self._waiting.mail_ids())
        missing: list[MailSummary] = []
        while True:
            page = self._ledger.waiting(span, PAGE, cursor)
            missing += [mail for mail in page.mails if mail.mail_id not in noted]
            cursor = page.cursor
            if cursor is None or self._clock() >= stop:
                break
        if missing:
            # An entry that was moved during the first reading may have been missed.
            noted = set(self._waiting.mail_ids())
        search_count = {
            m.mail_id: m.next_check_at
            for m in missing
            if m.next_check_at and m.mail_id not in noted
        }
        self._waiting.note_all(search_count)
        return len(search_count), cursor

    def _run(self) -> _Run:
        return _Run(self._ledger, self._waiting, self._wake_ups, self._accounts, self._clock)


class _Run:
    """One run, with the mails for which it enqueued wake-ups."""

    def __init__(
        self,
        ledger: Ledger,
        waiting: WaitingIndex,
        wake_ups: WakeUps,
        accounts: Accounts,
        clock: Clock,
    ) -> None:
        self._ledger = ledger
        self._waiting = waiting
        self._wake_ups = wake_ups
        self._clock = clock
        self._accounts = accounts
        self._known: Mapping[str, Account] | None = None
        self.now = clock()
        self._stop = self.now + timedelta(seconds=MOST_SECONDS)
        self._rung: set[str] = set()

    @property
    def enqueued(self) -> int:
        """For how many mails it enqueued wake-ups."""
        return len(self._rung)

    def apply(self, entries: Sequence[Entry]) -> None:
        """Read the mails of these entries, enqueue wake-ups for those that are overdue, and note when
        to check them again."""
        search_count: dict[str, datetime] = {}
        stuck: dict[str, list[str]] = {}
        done: list[Entry] = []
        for entry in entries:
            if self._is_late:
                break
            mail = self._ledger.summary(entry.mail_id)
            if mail is None or mail.next_check_at is None:
                # The process that noted it may be about to write the mail.
                if self.now - entry.noted_at < MARGIN:
                    search_count[entry.mail_id] = self.now + MARGIN
            elif self._is_stuck(mail):
                if entry.held_for == mail.account:
                    continue
                stuck.setdefault(mail.account or "", []).append(mail.mail_id)
            elif mail.next_check_at > self.now:
                search_count[entry.mail_id] = mail.next_check_at
            else:
                self._ring(entry.mail_id)
                search_count[entry.mail_id] = next_look(mail.next_check_at, self.now)
            done.append(entry)
        self._note(search_count, stuck)
        self._waiting.drop(done)

    def release(self, mark: HeldMark) -> None:
        """Enqueue wake-ups for the mails that are noted as held for an account, if it can send again."""
        account = self._account(mark.alias)
        if account is None or not account.can_send_at(self.now) or self._is_late:
            return
        entries = self._waiting.of_account(mark.alias, MOST_ENQUEUED)
        self.apply(entries)
        if not entries and self.now - mark.noted_at >= MARGIN:
            self._waiting.unmark(mark)

    def release_new(self, account: Account, since: datetime) -> None:
        """Enqueue wake-ups for mails that are held for an account and too new to be in the index."""
        for_all = self.now + timedelta(days=1)
        page = self._ledger.waiting(
            Span(since, for_all, self.now, self.now), MOST_ENQUEUED, held_for=account.alias
        )
        search_count = {}
        for mail in sorted(page.mails, key=lambda mail: mail.mail_id):
            self._ring(mail.mail_id)
            search_count[mail.mail_id] = next_look(mail.next_check_at or self.now, self.now)
        self._note(search_count, {})

    def look_through(self, watermark: Watermark) -> None:
        """Note what the watermark passes and what became overdue since the last run, enqueue wake-ups
        for the latter, and only then move the watermark."""
        newly_after, begun_before = watermark.looked_until, watermark.under_way is not None
        most = self.enqueued + MOST_ENQUEUED
        while True:
            span = watermark.under_way or Span(
                watermark.noted_before,
                max(watermark.noted_before, self.now - MARGIN),
                max(watermark.looked_until, BEGINNING + OVERLAP) - OVERLAP,
                self.now,
            )
            page = self._ledger.waiting(span, PAGE, watermark.cursor)
            self._take_note(page.mails, newly_after, most)
            ended = page.cursor is None
            recent = watermark.etag is not None and self.now - watermark.looked_until < QUIET
            if ended and recent and not (begun_before or page.mails):
                return
            after = (
                Watermark(span.before, span.until, etag=watermark.etag)
                if ended
                else replace(watermark, under_way=span, cursor=page.cursor)
            )
            try:
                watermark = self._waiting.advance(after)
            except LostRace:
                return  # another sweep runs
            if ended or self._is_late:
                return
            begun_before = True

    def _take_note(self, mails: Sequence[MailSummary], newly_after: datetime, most: int) -> None:
        search_count: dict[str, datetime] = {}
        stuck: dict[str, list[str]] = {}
        for mail in sorted(mails, key=lambda mail: mail.next_check_at or self.now):
            next_check_at = mail.next_check_at or self.now
            if self._is_stuck(mail):
                stuck.setdefault(mail.account or "", []).append(mail.mail_id)
            elif next_check_at > self.now:
                search_count[mail.mail_id] = next_check_at
            elif next_check_at <= newly_after:
                # An earlier run enqueued a wake-up; this computes the same moment again.
                search_count[mail.mail_id] = next_look(next_check_at, self.now)
            elif self.enqueued < most and not self._is_late:
                self._ring(mail.mail_id)
                search_count[mail.mail_id] = next_look(next_check_at, self.now)
            else:
                search_count[mail.mail_id] = next_check_at
        self._note(search_count, stuck)

    def _note(self, search_count: Mapping[str, datetime], stuck: Mapping[str, list[str]]) -> None:
        self._waiting.note_all(search_count)
        for alias, mail_ids in stuck.items():
            self._waiting.hold_all(alias, mail_ids)

    def _ring(self, mail_id: str) -> None:
        if mail_id not in self._rung:
            self._wake_ups.enqueue(mail_id)
            self._rung.add(mail_id)

    def _is_stuck(self, mail: MailSummary) -> bool:
        if mail.status is not Status.HELD:
            return False
        account = self._account(mail.account)
        return account is None or not account.can_send_at(self.now)

    def _account(self, alias: str | None) -> Account | None:
        if self._known is None:
            self._known = {row.alias: row for row in self._accounts.all(fresh=True)}
        return self._known.get(alias or "")

    @property
    def _is_late(self) -> bool:
        return self._clock() >= self._stop


def next_look(overdue_since: datetime, now: datetime) -> datetime:
    """When to check a mail again after a wake-up was enqueued for it.

    The times depend on `overdue_since` alone, so that several notes of a mail become one.
    """
    age = now - overdue_since
    if age < timedelta(minutes=10):
        step = timedelta(minutes=2)
    elif age < timedelta(hours=2):
        step = timedelta(minutes=10)
    else:
        step = timedelta(hours=1)
    return overdue_since + step * (age // step + 1)
