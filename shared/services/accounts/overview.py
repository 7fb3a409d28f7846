"""What a person wants to know of an account besides its row: its pace, its held mails, and how long
the app's credential is valid. If a service does not answer, that part is left out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

import msgspec

from shared.errors import PostroomError
from shared.mail import ids
from shared.mail.account import Account
from shared.mail.expiry import Expiry
from shared.mail.pace import Pace
from shared.mail.status import Status
from shared.services.clock import Clock
from shared.services.delivery.ports import Timetables
from shared.services.mails.ports import AttentionIndex
from shared.services.sign_in.ports import AppCredentialStatus
from shared.services.upkeep.ports import WatchMemory
from shared.services.upkeep.watch import newest_expiry

MOST_CASES = 1000

T = TypeVar("T")


class Held(msgspec.Struct, frozen=True):
    """The mails that are held for an account."""

    count: int
    oldest: datetime | None
    """When the oldest of them was accepted."""
    more: bool
    """Whether there may be more mails than were counted, and older ones."""


class Rate(msgspec.Struct, frozen=True):
    """The pace of an account, and until when its slots are used."""

    pace: Pace
    given_until: datetime | None = None
    """Until when mails wait for their slots; None if the next one is sent at once."""
    resting_until: datetime | None = None
    """Until when Microsoft asked for a pause."""
    daily_cap: int | None = None
    given_today: int = 0


class AccountOverview(msgspec.Struct, frozen=True):
    """None means that it could not be read."""

    rate: Rate | None
    held: Held | None
    credential: Expiry | None
    """Also None if nothing expires."""
    days_left: int | None


class AccountOverviews:
    """Reads them."""

    def __init__(
        self,
        *,
        pace: Pace,
        timetables: Timetables,
        attention: AttentionIndex,
        memory: WatchMemory,
        credential: AppCredentialStatus,
        clock: Clock,
    ) -> None:
        self._pace = pace
        self._timetables = timetables
        self._cases = attention
        self._memory = memory
        self._credential = credential
        self._clock = clock

    def of(self, account: Account) -> AccountOverview:
        """The account as it is now. Raises nothing if a service does not answer."""
        expiry = _or_none(self._expiry)
        return AccountOverview(
            rate=_or_none(lambda: self._rate(account)),
            held=_or_none(lambda: self._held(account)),
            credential=expiry,
            days_left=expiry.days_left(self._clock()) if expiry else None,
        )

    def _rate(self, account: Account) -> Rate:
        timetable, _ = self._timetables.read(account.account_id)
        now = self._clock()
        return Rate(
            self._pace,
            _if_later(timetable.next_at, now) if self._pace.is_limited else None,
            _if_later(timetable.resting_until, now),
            account.defaults.daily_cap,
            timetable.given_on(now.date()),
        )

    def _held(self, account: Account) -> Held:
        attention = self._cases.newest(MOST_CASES)
        mine = [
            one for one in attention if one.status is Status.HELD and one.account == account.alias
        ]
        oldest = ids.time_of(mine[-1].mail_id) if mine else None
        return Held(len(mine), oldest, len(attention) == MOST_CASES)

    def _expiry(self) -> Expiry | None:
        """Reading what the watch saw last costs a row. Before its first run the vault is asked."""
        return self._memory.recall().credential or newest_expiry(self._credential.describe())


def _or_none(read: Callable[[], T | None]) -> T | None:
    try:
        return read()
    except PostroomError:
        return None


def _if_later(moment: datetime | None, now: datetime) -> datetime | None:
    return moment if moment is not None and moment > now else None
