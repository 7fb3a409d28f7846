"""How many calls for one mailbox are under way at a time, while some of them are slow."""

from __future__ import annotations

from contextlib import ExitStack

from shared.services.delivery.concurrency import (
    AT_A_TIME,
    MANY_SLOW_CALLS,
    SLOW_SECONDS,
    ConcurrencyLimiter,
)
from tests.fakes import account_of

BILLING = account_of("billing")


class Seconds:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def places_of(concurrency: ConcurrencyLimiter, alias: str, held: ExitStack) -> int:
    """Take every place of a mailbox that is free; returns how many."""
    return sum(held.enter_context(concurrency.of(account_of(alias), 0)) for _ in range(6))


def test_a_mailbox_with_a_slow_call_has_two_places() -> None:
    """A large upload is slow too: the mailbox's other mails go on one by one."""
    seconds = Seconds()
    concurrency = ConcurrencyLimiter(seconds=seconds)
    with ExitStack() as held, concurrency.of(BILLING, 0):
        seconds.now = SLOW_SECONDS

        assert places_of(concurrency, "billing", held) == 1
        assert places_of(concurrency, "sales", held) == AT_A_TIME


def test_a_mailbox_has_all_places_again_when_its_slow_call_is_over() -> None:
    seconds = Seconds()
    concurrency = ConcurrencyLimiter(seconds=seconds)
    with concurrency.of(BILLING, 0):
        seconds.now = SLOW_SECONDS

    with ExitStack() as held:
        assert places_of(concurrency, "billing", held) == AT_A_TIME


def test_while_many_calls_are_slow_each_slow_mailbox_has_one_place() -> None:
    """So that twelve slow mailboxes do not take all 24 calls of an instance."""
    seconds = Seconds()
    concurrency = ConcurrencyLimiter(seconds=seconds)
    with ExitStack() as held:
        for index in range(MANY_SLOW_CALLS):
            assert held.enter_context(concurrency.of(account_of(f"slow-{index}"), 0))
        seconds.now = SLOW_SECONDS

        assert [
            places_of(concurrency, f"slow-{index}", held) for index in range(MANY_SLOW_CALLS)
        ] == [0] * MANY_SLOW_CALLS
        assert places_of(concurrency, "sales", held) == AT_A_TIME
