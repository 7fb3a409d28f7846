"""Places: how many requests for one mailbox are under way at a time.

Exchange serves four of an application for one mailbox and refuses the fifth.
https://learn.microsoft.com/graph/throttling-limits#outlook-service-limits
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore, Lock

from shared.mail.account import Account

AT_A_TIME = 4


class Places:
    """Four places for each mailbox, in this process."""

    def __init__(self, at_a_time: int = AT_A_TIME) -> None:
        self._at_a_time = at_a_time
        self._lock = Lock()
        self._mailboxes: dict[str, BoundedSemaphore] = {}

    @contextmanager
    def of(self, account: Account, wait_seconds: float) -> Iterator[bool]:
        """Hold a place of the account's mailbox; False where none came free in time."""
        with self._lock:
            places = self._mailboxes.setdefault(
                account.account_id, BoundedSemaphore(self._at_a_time)
            )
        got = places.acquire(timeout=wait_seconds)
        try:
            yield got
        finally:
            if got:
                places.release()
