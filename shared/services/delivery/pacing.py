"""Pacing: when each mail of a mailbox goes, agreed among all instances with few calls.

A process sends a few mails a minute unasked, so that quiet mailboxes cost nothing; beyond that it
reserves slots in the mailbox's timetable, several at a time, and what went out unasked is counted
in. Pacing is politeness: where the timetable cannot be reached, mails go at once.
"""

from __future__ import annotations

import logging
from bisect import insort
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from threading import Lock

import msgspec
from msgspec.structs import replace

from shared.errors import LostRace, RemoteError
from shared.mail.account import Account
from shared.mail.mail import Mail
from shared.mail.pace import Pace, Timetable
from shared.mail.status import Status
from shared.services.clock import Clock
from shared.services.delivery.ports import Timetables
from shared.telemetry import event

SOON = timedelta(seconds=1)
"""A slot that is not farther away than this is now: a wake-up is not that exact."""
KEPT_FOR = timedelta(minutes=1)
"""A slot may be used so long after its time. Then it is gone, or mails that were stopped together
would go together."""
MOST_IN_HAND = 1000
"""Slots that a process keeps for a mailbox; what is given back beyond that is lost."""
UNPACED_SHARE = 10
"""Slots that are taken at a time where there is a daily cap and no pace."""
_MINUTE = timedelta(minutes=1)
_TRIES = 4
_COUNTED_TRIES = 30
"""Where slots are counted: to go on without the others' count would be more than politeness."""

_Step = Callable[[Timetable], tuple[tuple[datetime, ...], Timetable]]


class _Mailbox(msgspec.Struct):
    """What this process knows of one mailbox. Guarded by `lock`."""

    lock: Lock = msgspec.field(default_factory=Lock)
    timetable: Timetable = msgspec.field(default_factory=Timetable)
    etag: str | None = None
    slots: deque[datetime] = msgspec.field(default_factory=deque)
    unasked: deque[datetime] = msgspec.field(default_factory=deque)
    """When mails went without a slot, within the last minute."""
    owed: int = 0
    """Mails that went without a slot and are not in the timetable yet."""
    resting_until: datetime | None = None
    counted: deque[datetime] = msgspec.field(default_factory=deque)
    """Slots in hand that count for a daily cap: each can be used until its day ends."""


def counted_at_a_time(cap: int, pace: Pace) -> int:
    """How many slots a process takes at a time for a mailbox with a daily cap: a twentieth of the cap
    at most, since what it does not use by midnight is lost; and no more than without one."""
    return max(1, min(cap // 20, pace.share if pace.is_limited else UNPACED_SHARE))


class Pacing:
    """Gives out slots."""

    def __init__(self, timetables: Timetables, clock: Clock, pace: Pace) -> None:
        self._timetables = timetables
        self._clock = clock
        self._pace = pace
        self._lock = Lock()
        self._mailboxes: dict[str, _Mailbox] = {}

    def slot(self, account: Account, *, urgent: bool = False) -> datetime:
        """When the next mail of this account may go: now, or later. Never raises for storage.

        Urgent mail does not queue behind the rest: it goes at once, up to a minute's mails a
        minute, and the rest moves back by as much.
        """
        if account.defaults.daily_cap is not None:
            return self._counted_slot(account, account.defaults.daily_cap, urgent=urgent)
        return self._uncounted_slot(account, urgent=urgent)

    def is_capped(self, account: Account, slot: datetime) -> bool:
        """Whether a slot is not today because today's mails are all given away, as far as this
        process knows."""
        cap, today = account.defaults.daily_cap, self._clock().date()
        if cap is None or slot.date() <= today:
            return False
        return self._box(account).timetable.given_on(today) >= cap

    def slot_today(self, account: Account, *, urgent: bool = False) -> datetime | None:
        """A slot of today for a mail that waits for another day, by the daily cap as it is now; None
        if the daily cap has no free place today. Never raises for storage."""
        cap = account.defaults.daily_cap
        if cap is None:
            return self._uncounted_slot(account, urgent=urgent)
        now, box = self._clock(), self._box(account)
        with box.lock:
            start = _latest(now, box.resting_until, account.resting_until) or now
            while box.counted and box.counted[0].date() < now.date():
                box.counted.popleft()
            if box.counted and box.counted[0].date() == start.date() == now.date():
                return max(start, box.counted.popleft())

            def step(timetable: Timetable) -> tuple[tuple[datetime, ...], Timetable]:
                slots, after = timetable.reserve_capped(now, 1, self._pace, cap)
                is_today = max(start, slots[0]).date() == now.date()
                return (slots, after) if is_today else ((), timetable)

            slots = self._change(account, box, step, _COUNTED_TRIES)
            return max(start, slots[0]) if slots else None

    def _counted_slot(self, account: Account, cap: int, *, urgent: bool) -> datetime:
        """When the next mail may go that counts for the day's cap. Urgent mail counts as well; it
        only does not wait for its minute."""
        now, box = self._clock(), self._box(account)
        with box.lock:
            rest = _latest(box.resting_until, account.resting_until)
            start = _latest(now, rest) or now
            while box.counted and box.counted[0].date() < start.date():
                box.counted.popleft()
            if not box.counted:
                count = counted_at_a_time(cap, self._pace)
                box.counted.extend(
                    self._change(
                        account,
                        box,
                        lambda timetable: timetable.reserve_capped(now, count, self._pace, cap),
                        _COUNTED_TRIES,
                    )
                )
            slot = max(start, box.counted.popleft())
            goes_now = urgent and start == now and slot.date() == now.date()
            return now if goes_now and self._has_room_for_urgent(box, now) else slot

    def _has_room_for_urgent(self, box: _Mailbox, now: datetime) -> bool:
        while box.unasked and box.unasked[0] <= now - _MINUTE:
            box.unasked.popleft()
        if self._pace.is_limited and len(box.unasked) >= self._pace.mails_per_minute:
            return False
        box.unasked.append(now)
        return True

    def _uncounted_slot(self, account: Account, *, urgent: bool) -> datetime:
        now, box = self._clock(), self._box(account)
        with box.lock:
            rest = _latest(box.resting_until, account.resting_until)
            while box.slots and (
                box.slots[0] < now - KEPT_FOR or (rest is not None and box.slots[0] < rest)
            ):
                box.slots.popleft()
            if rest is None or rest <= now:
                if not self._pace.is_limited or self._goes_unasked(box, now, urgent=urgent):
                    return now
            elif urgent or not self._pace.is_limited:
                box.owed += 1
                return rest
            if not box.slots:
                box.slots.extend(self._reserve(account, box, self._pace.share))
            return max(now, box.slots.popleft())

    def with_slot(self, mail: Mail, account: Account) -> Mail:
        """A queued mail, due at the slot of its mailbox, as far as that is known now; any other mail
        unchanged."""
        if mail.status is not Status.QUEUED:
            return mail
        slot = self.slot(account, urgent=mail.urgent)
        return self.with_reason(replace(mail, due_at=max(mail.due_at, slot)), account)

    def with_slot_today(self, mail: Mail, account: Account) -> Mail | None:
        """A mail that waits for another day, due today; None if the daily cap has no free place today."""
        slot = self.slot_today(account, urgent=mail.urgent)
        return replace(mail, due_at=slot, reason=None, help=None) if slot is not None else None

    def with_reason(self, mail: Mail, account: Account) -> Mail:
        """A mail that has its slot, with the reason where it is not today's."""
        cap = account.defaults.daily_cap
        if cap is None or not self.is_capped(account, mail.due_at):
            return mail
        return mail.capped(cap)

    def give_back_slot(self, mail: Mail, account: Account) -> None:
        """Let another mail have the slot of one that will not go then."""
        if mail.waits_its_turn(self._clock()):
            self.give_back(account, mail.due_at)

    def slots(self, account: Account, count: int) -> Sequence[datetime]:
        """When the next `count` mails of this account may go, taken in one go."""
        if account.defaults.daily_cap is not None:
            return [self.slot(account) for _ in range(count)]
        now, box = self._clock(), self._box(account)
        with box.lock:
            if not self._pace.is_limited:
                first = _latest(now, account.resting_until, box.resting_until) or now
                return [first] * count
            return [max(now, slot) for slot in self._reserve(account, box, count)]

    def give_back(self, account: Account, slot: datetime) -> None:
        """Take back the slot of a mail that will not go then: the next mail of this process has it,
        unless that one may go on an earlier day."""
        box, today = self._box(account), self._clock().date()
        with box.lock:
            cap = account.defaults.daily_cap
            counts = cap is not None
            if not (self._pace.is_limited or counts) or slot <= self._clock() + SOON:
                return
            if slot.date() > today and cap is None:
                # From a cap that is no more: the next mail would wait for that day.
                return
            if slot.date() > today and cap is not None and box.timetable.given_on(today) < cap:
                day = slot.date()
                self._change(account, box, lambda timetable: ((), timetable.taken_back(day)))
                return
            slots = box.counted if counts else box.slots
            insort(slots, slot)
            if len(slots) > MOST_IN_HAND:
                slots.pop()

    def put_off(self, mail: Mail, account: Account) -> datetime | None:
        """Until when a mail that is due has to wait all the same; None where it goes now."""
        now, box = self._clock(), self._box(account)
        rest = _latest(box.resting_until, account.resting_until)
        resting = rest is not None and rest > now
        has_slot = mail.status is Status.QUEUED and now - mail.due_at <= KEPT_FOR
        if has_slot and not resting:
            return None
        if mail.status is Status.QUEUED and mail.due_at.date() == now.date():
            # It was counted today, and has only missed its minute.
            slot = self._uncounted_slot(account, urgent=mail.urgent)
        else:
            slot = self.slot(account, urgent=mail.urgent)
        return slot if slot > now + SOON else None

    def rest(self, account: Account, until: datetime) -> None:
        """Microsoft asked for a pause: no instance gives out a slot before `until`."""
        box = self._box(account)
        with box.lock:
            box.resting_until = _latest(box.resting_until, until)
            self._change(account, box, lambda timetable: ((), timetable.rested(until)))

    def _goes_unasked(self, box: _Mailbox, now: datetime, *, urgent: bool) -> bool:
        while box.unasked and box.unasked[0] <= now - _MINUTE:
            box.unasked.popleft()
        most = self._pace.mails_per_minute if urgent else self._pace.share
        # Whoever has slots in hand is past that.
        if len(box.unasked) >= most or (box.slots and not urgent):
            return False
        box.unasked.append(now)
        box.owed += 1
        return True

    def _reserve(self, account: Account, box: _Mailbox, count: int) -> tuple[datetime, ...]:
        now = self._clock()
        # What is owed for more than a minute of sending would hold up the mailbox for nothing.
        owed = min(box.owed, self._pace.mails_per_minute)
        slots = self._change(
            account,
            box,
            lambda timetable: timetable.reserve(now, count, self._pace, owed=owed),
        )
        box.owed = 0
        return slots

    def _change(
        self, account: Account, box: _Mailbox, step: _Step, tries: int = _TRIES
    ) -> tuple[datetime, ...]:
        """Apply a step to the shared timetable; to what is known of it where it is out of reach."""
        name = account.account_id
        try:
            for _ in range(tries):
                slots, after = step(box.timetable)
                try:
                    box.etag = self._timetables.write(name, after, box.etag)
                except LostRace:
                    box.timetable, box.etag = self._timetables.read(name)
                    continue
                box.timetable = after
                return slots
        except RemoteError:
            event("pace_not_kept", level=logging.WARNING, account=account.alias)
        slots, box.timetable = step(box.timetable)
        return slots

    def _box(self, account: Account) -> _Mailbox:
        with self._lock:
            return self._mailboxes.setdefault(account.account_id, _Mailbox())


def _latest(*moments: datetime | None) -> datetime | None:
    return max((moment for moment in moments if moment is not None), default=None)
