"""The shorter run of `make faults`, and the two stories. They print their figures: `pytest -s`."""

from __future__ import annotations

import gc
import os
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.faults.comparison import Mailbox
from tests.faults.plan import Act, Amounts
from tests.faults.run import BOTH, DIRECT, Progress, Result, Run, table
from tests.faults.stories import (
    KILL_INSTANCES,
    KILL_WORKERS,
    Whom,
    killed_under_way,
    revoked_grant,
)
from tests.faults.world import STEADY, Terms, World

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(300),
    # asyncio leaves a socket that was taken in the moment its server closed to the garbage collector.
    # It is the wire's: what is tested runs in processes of its own.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

SHORT = Amounts(
    seconds=10.0,
    kills=3,
    host_kills=2,
    worker_kills=3,
    stops=2,
    freezes=1,
    rules=40,
    storage_losses=5,
    storage_restarts=1,
    bells=10,
    expiries=1,
    revocations=1,
)
"""Every kind of fault; tests/long/faults has more of each."""
MISCHIEF = Amounts(
    seconds=4.0,
    kills=0,
    host_kills=0,
    worker_kills=0,
    stops=0,
    freezes=0,
    rules=60,
    storage_losses=0,
    storage_restarts=0,
    bells=10,
    expiries=0,
    revocations=0,
)
"""Enough to find out a broken sender, and no more."""

Start = Callable[..., World]


@pytest.fixture
def seed() -> int:
    """Another one each time; `SEED=` repeats it."""
    return int(os.environ.get("SEED") or random.SystemRandom().randrange(10**6))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Start]:
    """Starts a world, and ends it after the test."""
    running: list[World] = []

    def start(terms: Terms, mailboxes: Sequence[Mailbox] = DIRECT) -> World:
        running.append(World(tmp_path, mailboxes, terms))
        return running[-1].start()

    yield start
    for each in running:
        each.stop()
    gc.collect()  # here, where that is known, and not in the middle of another test


def run(world: World, seed: int, mails: int, amounts: Amounts) -> Result:
    """A run whose table shows up where a test fails."""
    result = Run(world, seed, mails, amounts, Progress()).go()
    print(table(result))  # noqa: T201 - pytest shows it with a failure
    return result


def test_whatever_breaks_no_mail_is_lost_or_doubled(world: Start, seed: int) -> None:
    result = run(world(Terms(), BOTH), seed, 100, SHORT)

    assert result.violations == []
    assert result.trouble == []
    assert result.told.count >= 100
    assert result.kills >= SHORT.all_kills - 1
    assert result.faults[Act.STOP] == SHORT.stops
    assert result.faults[Act.STORAGE_RESTART] == 1


def test_a_sender_that_retries_blindly_is_caught(world: Start, seed: int) -> None:
    result = run(world(Terms(flaw="retries-blindly")), seed, 60, MISCHIEF)

    assert {violation.wrong.name for violation in result.violations} == {"DOUBLED"}


def test_a_grant_revoked_in_the_middle_raises_one_alert_and_fails_no_mail(world: Start) -> None:
    history = revoked_grant(world(STEADY), DIRECT[0], 60)

    assert history.alerts == ["account_needs_sign_in"]
    assert history.after == {"sent": 60}
    assert history.ended_well


@pytest.mark.parametrize("whom", [KILL_INSTANCES, KILL_WORKERS], ids=lambda whom: whom.folder)
def test_after_a_kill_mails_go_on_within_the_lease_and_one_sweep(world: Start, whom: Whom) -> None:
    history = killed_under_way(world(STEADY), DIRECT[0], 6, whom)

    print(f"{history.seconds:.1f} seconds after the SIGKILL: {dict(history.after)}")  # noqa: T201
    assert history.within(STEADY.lease)
    assert sum(history.after.values()) == history.mails
