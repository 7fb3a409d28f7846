"""Places: how many requests for one mailbox are under way at a time.

Exchange serves four of an application for one mailbox and refuses the fifth.
https://learn.microsoft.com/graph/throttling-limits#outlook-service-limits
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition

import msgspec

from shared.mail.account import Account

AT_A_TIME = 4
PLACE_SECONDS = 0.2
"""Seconds a worker waits for a free place among the requests for a mailbox. The mail is not claimed
meanwhile."""


class _Mailbox(msgspec.Struct):
    taken: int = 0
    is_silent: bool = False


class ConcurrencyLimiter:
    """Four places for each mailbox, in this process; one for a mailbox that did not answer, so that a
    few silent mailboxes do not keep every thread from the others."""

    def __init__(self, at_a_time: int = AT_A_TIME) -> None:
        self._at_a_time = at_a_time
        self._changed = Condition()
        self._mailboxes: dict[str, _Mailbox] = {}

    @contextmanager
    def of(self, account: Account, wait_seconds: float) -> Iterator[bool]:
        """Hold a place of the account's mailbox; False where none came free in time."""
        with self._changed:
            mailbox = self._mailboxes.setdefault(account.account_id, _Mailbox())
            got = self._changed.wait_for(lambda: self._has_room(mailbox), wait_seconds)
            mailbox.taken += got
        try:
            yield got
        finally:
            with self._changed:
                mailbox.taken -= got
                self._changed.notify_all()

    def result(self, account: Account, *, in_time: bool) -> None:
        """Whether Microsoft answered the last request for the account's mailbox in time."""
        with self._changed:
            self._mailboxes.setdefault(account.account_id, _Mailbox()).is_silent = not in_time
            self._changed.notify_all()

    def _has_room(self, mailbox: _Mailbox) -> bool:
        return mailbox.taken < (1 if mailbox.is_silent else self._at_a_time)
