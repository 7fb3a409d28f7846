"""Places: how many requests for one mailbox are under way at a time.

Exchange serves four of an application for one mailbox and refuses the fifth.
https://learn.microsoft.com/graph/throttling-limits#outlook-service-limits
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Condition

import msgspec

from shared.mail.account import Account

AT_A_TIME = 4
SLOW_SECONDS = 10.0
"""A call that takes longer is slow: Graph answers a send within a second or two."""
MANY_SLOW_CALLS = 8
"""Of the 24 calls that one instance has under way at most (`host.json`)."""
PLACE_SECONDS = 0.2
"""Seconds a worker waits for a free place among the requests for a mailbox. The mail is not claimed
meanwhile."""


class _Mailbox(msgspec.Struct):
    begun: list[float] = msgspec.field(default_factory=list)
    """When each call under way took its place, on the limiter's clock."""
    is_silent: bool = False

    def slow_calls(self, now: float) -> int:
        return sum(now - begun >= SLOW_SECONDS for begun in self.begun)


class ConcurrencyLimiter:
    """Four places for each mailbox, in this process.

    A mailbox with a slow call under way has two, so that a large upload does not stop its other
    mails; one that did not answer the last time has one, and so has every slow one while there are
    many slow calls. Slow mailboxes thus leave threads to the others from their first slow call on.
    """

    def __init__(
        self, at_a_time: int = AT_A_TIME, seconds: Callable[[], float] = time.monotonic
    ) -> None:
        self._at_a_time = at_a_time
        self._seconds = seconds
        self._changed = Condition()
        self._mailboxes: dict[str, _Mailbox] = {}

    @contextmanager
    def of(self, account: Account, wait_seconds: float) -> Iterator[bool]:
        """Hold a place of the account's mailbox; False where none came free in time."""
        with self._changed:
            mailbox = self._mailboxes.setdefault(account.account_id, _Mailbox())
            got = self._changed.wait_for(lambda: self._has_place(mailbox), wait_seconds)
            begun = self._seconds()
            if got:
                mailbox.begun.append(begun)
        try:
            yield got
        finally:
            with self._changed:
                if got:
                    mailbox.begun.remove(begun)
                self._changed.notify_all()

    def result(self, account: Account, *, in_time: bool) -> None:
        """Whether Microsoft answered the last request for the account's mailbox in time."""
        with self._changed:
            self._mailboxes.setdefault(account.account_id, _Mailbox()).is_silent = not in_time
            self._changed.notify_all()

    def _has_place(self, mailbox: _Mailbox) -> bool:
        return len(mailbox.begun) < self._places(mailbox)

    def _places(self, mailbox: _Mailbox) -> int:
        if mailbox.is_silent:
            return 1
        now = self._seconds()
        if not mailbox.slow_calls(now):
            return self._at_a_time
        many = sum(one.slow_calls(now) for one in self._mailboxes.values()) >= MANY_SLOW_CALLS
        return 1 if many else 2
