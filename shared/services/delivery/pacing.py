"""Pacing: when each mail of a mailbox is sent. All instances agree on this with few storage calls.

A process sends a few mails a minute without a slot, so a quiet mailbox costs no call. For more
mails it reserves slots in the mailbox's timetable, several at a time, and adds the mails that it
sent without a slot. If the timetable cannot be reached, mails are sent at once.
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
"""A slot that is nearer than this counts as now: a wake-up is not more exact."""
KEPT_FOR = timedelta(minutes=1)
"""A slot can be used for this long after its time. Older slots are dropped; otherwise mails that
were stopped together would be sent together."""
MOST_IN_HAND = 1000
"""How many slots a process keeps for a mailbox. Further slots that are given back are lost."""
UNPACED_SHARE = 10
"""How many slots are reserved at a time if there is a daily cap and no pace."""
_MINUTE = timedelta(minutes=1)
_TRIES = 4
_COUNTED_TRIES = 30
"""The daily cap counts slots, so it must not be passed when the timetable cannot be reached."""

_Step = Callable[[Timetable], tuple[tuple[datetime, ...], Timetable]]


class _Mailbox(msgspec.Struct):
    """What this process knows of one mailbox. Guarded by `lock`."""

    lock: Lock = msgspec.field(default_factory=Lock)
    timetable: Timetable = msgspec.field(default_factory=Timetable)
    etag: str | None = None
    slots: deque[datetime] = msgspec.field(default_factory=deque)
    unasked: deque[datetime] = msgspec.field(default_factory=deque)
    """When mails were sent without a slot, within the last minute."""
    owed: int = 0
    """How many mails were sent without a slot and are not in the timetable yet."""
    resting_until: datetime | None = None
    counted: deque[datetime] = msgspec.field(default_factory=deque)
    """Reserved slots that count for a daily cap. Each can be used until its day ends."""


def counted_at_a_time(cap: int, pace: Pace) -> int:
    """How many slots a process reserves at a time for a mailbox with a daily cap: at most a
    twentieth of the cap, because slots that are not used by midnight are lost; and not more than
    without a cap."""
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
        """When the next mail of this account may be sent: now, or later. Never raises for storage.

        Urgent mail does not wait for other mail: it is sent at once, up to as many mails as the
        pace allows in a minute, and the other mail is delayed by the same number of slots.
        """
        if account.defaults.daily_cap is not None:
            return self._counted_slot(account, account.defaults.daily_cap, urgent=urgent)
        return self._uncounted_slot(account, urgent=urgent)

    def is_capped(self, account: Account, slot: datetime) -> bool:
        """Whether this slot is on a later day because this process knows that today's mails are all
        used."""
        cap, today = account.defaults.daily_cap, self._clock().date()
        if cap is None or slot.date() <= today:
            return False
        return self._box(account).timetable.given_on(today) >= cap

    def slot_today(self, account: Account, *, urgent: bool = False) -> datetime | None:
        """A slot of today for a mail that waits for a later day, by the daily cap as it is now;
        None if the daily cap has no free place today. Never raises for storage."""
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
        """When the next mail that counts for the daily cap may be sent. Urgent mail counts too; it
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
        """A queued mail with the time of its slot, as far as it is known now. Any other mail is
        returned unchanged."""
        if mail.status is not Status.QUEUED:
            return mail
        slot = self.slot(account, urgent=mail.urgent)
        return self.with_reason(replace(mail, due_at=max(mail.due_at, slot)), account)

    def with_slot_today(self, mail: Mail, account: Account) -> Mail | None:
        """A mail that waits for a later day, now due today; None if the daily cap has no free place
        today."""
        slot = self.slot_today(account, urgent=mail.urgent)
        return replace(mail, due_at=slot, reason=None, help=None) if slot is not None else None

    def with_reason(self, mail: Mail, account: Account) -> Mail:
        """A mail that has a slot, with the reason if the slot is on a later day."""
        cap = account.defaults.daily_cap
        if cap is None or not self.is_capped(account, mail.due_at):
            return mail
        return mail.capped(cap)

    def give_back_slot(self, mail: Mail, account: Account) -> None:
        """Give the slot of a mail that will not be sent then to another mail."""
        if mail.waits_its_turn(self._clock()):
            self.give_back(account, mail.due_at)

    def slots(self, account: Account, count: int) -> Sequence[datetime]:
        """When the next `count` mails of this account may be sent, reserved in one call."""
        if account.defaults.daily_cap is not None:
            return [self.slot(account) for _ in range(count)]
        now, box = self._clock(), self._box(account)
        with box.lock:
            if not self._pace.is_limited:
                first = _latest(now, account.resting_until, box.resting_until) or now
                return [first] * count
            return [max(now, slot) for slot in self._reserve(account, box, count)]

    def give_back(self, account: Account, slot: datetime) -> None:
        """Take back the slot of a mail that will not be sent then. The next mail of this process
        gets it, unless that mail may be sent on an earlier day."""
        box, today = self._box(account), self._clock().date()
        with box.lock:
            cap = account.defaults.daily_cap
            counts = cap is not None
            if not (self._pace.is_limited or counts) or slot <= self._clock() + SOON:
                return
            if slot.date() > today and cap is None:
                # The slot is from a cap that was removed: the next mail would wait for that day.
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
        """Until when a mail that is due has to wait; None if it can be sent now."""
        now, box = self._clock(), self._box(account)
        rest = _latest(box.resting_until, account.resting_until)
        resting = rest is not None and rest > now
        has_slot = mail.status is Status.QUEUED and now - mail.due_at <= KEPT_FOR
        if has_slot and not resting:
            return None
        if mail.status is Status.QUEUED and mail.due_at.date() == now.date():
            # It was counted today already, and has only missed its minute.
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
        # Slots that were reserved before this are after the pause already.
        if len(box.unasked) >= most or (box.slots and not urgent):
            return False
        box.unasked.append(now)
        box.owed += 1
        return True

    def _reserve(self, account: Account, box: _Mailbox, count: int) -> tuple[datetime, ...]:
        now = self._clock()
        # More than a minute of mails sent without slots would delay the mailbox for no reason.
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
        """Change the shared timetable; if it cannot be reached, change the copy that this process
        has."""
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
