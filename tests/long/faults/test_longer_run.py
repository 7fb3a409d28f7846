"""The fault suite for longer than `make test` takes it: more mails, kills and lost answers."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.faults.__main__ import amounts
from tests.faults.run import BOTH, Progress, Run, table
from tests.faults.world import Terms, World

MAILS = 800
KILLS = 50

pytestmark = [
    pytest.mark.e2e,
    # asyncio leaves a socket that was taken in the moment its server closed to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def test_whatever_breaks_for_minutes_no_mail_is_lost_or_doubled(tmp_path: Path) -> None:
    seed = int(os.environ.get("SEED") or random.SystemRandom().randrange(10**6))
    with World(tmp_path, BOTH, Terms()) as world:
        result = Run(world, seed, MAILS, amounts(KILLS), Progress()).go()
    print(table(result))  # noqa: T201 - pytest shows it with a failure

    assert result.violations == []
    assert result.trouble == []
    assert result.told.count >= MAILS
    assert result.kills >= KILLS - 3
