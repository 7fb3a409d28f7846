"""Releasing the mails that were held for an account."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from shared.errors import PostroomError
from shared.mail.account import Account
from shared.telemetry import event


def released(
    account: Account,
    reached: Callable[[], Iterable[Account]],
    release: Callable[[Account], int],
) -> int:
    """Release the mails of an account that can send again, and of the mailboxes that are reached
    through it. Returns how many. Never raises for storage: the timer releases what is still
    held."""
    try:
        return sum(release(one) for one in (account, *reached()))
    except PostroomError:
        event("release_put_off", level=logging.WARNING, account=account.alias)
        return 0
