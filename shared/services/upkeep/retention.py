"""Retention: once a day, removes what was kept for long enough, and what nothing refers to any
more.

If one part fails, the others still run. What is not done in time is done the next day. A mail that
still waits is never removed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec
from msgspec.structs import replace

from shared.errors import LostRace, PostroomError
from shared.mail import ids
from shared.mail.mail import Payload
from shared.mail.status import Status
from shared.services.clock import BEGINNING, Clock
from shared.services.mails.ports import Ledger
from shared.services.upkeep.ports import (
    Archive,
    Expiring,
    SettledMail,
    StoredPayloads,
    WaitingIndex,
)
from shared.services.upkeep.sweep import Upkeep
from shared.telemetry import event

MOST_SECONDS = 240.0
"""Seconds of a run. The host would end it later (`functionTimeout` in host.json)."""
A_DAY = timedelta(days=1)
"""A payload is stored before its row, so a payload without a row may belong to a mail that is being
accepted."""

FINISHED = frozenset({Status.SENT, Status.FAILED, Status.CANCELLED})
STANDING = frozenset({Status.UNKNOWN, Status.HELD})
"""The statuses of mails that need a person, of any age."""
MOST_EXPIRED = 50_000

KEEPS_PAYLOAD = frozenset({Status.FAILED, Status.UNKNOWN})
LOT = 100
"""How many rows are removed at a time: one storage transaction."""

Part = Callable[[datetime], int]
"""Does its part until a time. Returns how many things it removed."""


class Keeping(msgspec.Struct, frozen=True):
    """How long each kind is kept."""

    mails: timedelta
    """Finished mails, after their last change."""
    payloads: timedelta
    """The contents of failed and unknown mails."""


class Retention:
    """Removes what was kept for long enough."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        archive: Archive,
        waiting: WaitingIndex,
        payloads: StoredPayloads,
        expiring: Mapping[str, Expiring],
        upkeep: Upkeep,
        clock: Clock,
        keeping: Keeping,
        further: Mapping[str, Part] | None = None,
    ) -> None:
        """`expiring` and `further`: by the names under which their results are counted."""
        self._ledger = ledger
        self._archive = archive
        self._waiting = waiting
        self._payloads = payloads
        self._upkeep = upkeep
        self._clock = clock
        self._keeping = keeping
        self._needing_a_person = 0
        self._parts: dict[str, Part] = {
            "behind_the_watermark": self._look_behind,
            "mails": self._remove_mails,
            "payloads": self._strip_payloads,
            "orphans": self._remove_orphans,
            **{name: self._expired(table) for name, table in expiring.items()},
            **(further or {}),
        }

    def sweep(self) -> Mapping[str, int]:
        """One run. Returns how many of each kind were removed; the log has all of it in one
        line."""
        start, counts, failed = self._clock(), {}, 0
        self._needing_a_person = 0
        for place, (name, part) in enumerate(self._parts.items(), start=1):
            # The time that a part does not use is left to the next ones.
            share = MOST_SECONDS * place / len(self._parts)
            try:
                counts[name] = part(start + timedelta(seconds=share))
            except PostroomError as error:
                failed += 1
                event(
                    "sweep_part_failed",
                    level=logging.WARNING,
                    operation=name,
                    kind=type(error).__name__,
                )
        if counts.get("behind_the_watermark"):
            event(
                "behind_the_watermark",
                level=logging.WARNING,
                count=counts["behind_the_watermark"],
            )
        event("swept", **counts, needing_a_person=self._needing_a_person, failed_parts=failed)
        return counts

    def _expired(self, table: Expiring) -> Part:
        return lambda stop: table.forget_expired(self._clock(), MOST_EXPIRED)

    def _look_behind(self, stop: datetime) -> int:
        cursor = self._waiting.bookmark("look_behind")
        found, cursor = self._upkeep.look_behind(cursor, stop)
        self._waiting.set_bookmark("look_behind", cursor)
        return found

    def _remove_mails(self, stop: datetime) -> int:
        before = self._clock() - self._keeping.mails
        removed, cursor = 0, None
        while True:
            page = self._archive.settled(FINISHED | STANDING, BEGINNING, before, cursor)
            old = [mail for mail in page.mails if mail.status in FINISHED]
            self._needing_a_person += len(page.mails) - len(old)
            for begin in range(0, len(old), LOT):
                removed += self._remove(old[begin : begin + LOT])
                if self._clock() >= stop:
                    return removed
            cursor = page.cursor
            if cursor is None or self._clock() >= stop:
                return removed

    def _remove(self, mails: Sequence[SettledMail]) -> int:
        """The rows are removed first: a mail that somebody retries at this moment keeps its row and
        its content. Content without a row is removed with the orphans."""
        gone = self._archive.remove(mails)
        for mail in gone:
            if mail.status in KEEPS_PAYLOAD:
                for blob in mail.blobs:
                    self._payloads.delete(blob)
        return len(gone)

    def _strip_payloads(self, stop: datetime) -> int:
        """Each mail once: the bookmark has the time of change up to which this is done."""
        done = self._waiting.bookmark("payloads")
        since = datetime.fromisoformat(done) if done else BEGINNING
        before = self._clock() - self._keeping.payloads
        stripped, cursor = 0, None
        while True:
            page = self._archive.settled(KEEPS_PAYLOAD, since, before, cursor)
            for mail in page.mails:
                stripped += self._strip(mail.mail_id, before)
                if self._clock() >= stop:
                    return stripped
            cursor = page.cursor
            if cursor is None:
                self._waiting.set_bookmark("payloads", before.isoformat())
                return stripped
            if self._clock() >= stop:
                return stripped

    def _strip(self, mail_id: str, before: datetime) -> bool:
        found = self._ledger.get(mail_id)
        if found is None or found.mail.next_check_at is not None or found.mail.updated_at >= before:
            return False
        payload = found.mail.payload
        if payload == Payload():
            return False
        try:
            self._ledger.update(
                replace(found.mail, payload=Payload()), found.etag, new_payload=True
            )
        except LostRace:
            return False  # somebody retries it at this moment
        for blob in payload.blobs:
            self._payloads.delete(blob)
        return True

    def _remove_orphans(self, stop: datetime) -> int:
        """Remove payloads of mails that are not in the ledger, or that do not need them any
        more."""
        removed = 0
        for name in self._payloads.older_than(self._clock() - A_DAY):
            if self._clock() >= stop:
                break
            mail_id = name.partition("/")[0]
            if not ids.is_id(mail_id):
                continue  # not a name that Postroom makes
            mail = self._ledger.summary(mail_id)
            if mail is None or mail.status in (Status.SENT, Status.CANCELLED):
                self._payloads.delete(name)
                removed += 1
        return removed
