"""`make faults`: break everything for some minutes, then compare. Exit code 1 where it differs."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.faults.plan import Amounts
from tests.faults.run import BOTH, DIRECT, Progress, Run, table
from tests.faults.stories import (
    KILL_INSTANCES,
    KILL_WORKERS,
    SWEEP_EVERY,
    killed_under_way,
    revoked_grant,
)
from tests.faults.world import STEADY, Terms, World

SECONDS_A_KILL = 1.8
STORY_MAILS = 500


def main() -> int:
    """Run the suite. Returns the exit code."""
    given = _parser().parse_args()
    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(10**6)
    again = f"make faults MAILS={given.mails} KILLS={given.kills} SEED={seed}"
    print(f"{given.mails} mails, {given.kills} kills; the same plan again: {again}", flush=True)
    with tempfile.TemporaryDirectory(prefix="postroom-faults-") as directory:
        folder = Path(given.keep or directory)
        with World(folder / "run", BOTH, Terms(flaw=given.flaw)) as world:
            run = Run(world, seed, given.mails, amounts(given.kills), Progress())
            result = run.go()
        print(table(result), flush=True)
        told = [] if given.run_only else [*stories(folder, min(given.mails, STORY_MAILS))]
    return 1 if result.violations or result.trouble or not all(told) else 0


def stories(folder: Path, mails: int) -> Iterator[bool]:
    """The stories, each with its line; whether each ended well. `mails` meet a revoked grant."""
    with World(folder / "revoked", DIRECT, STEADY) as world:
        revoked = revoked_grant(world, DIRECT[0], mails)
    print(f"\na grant revoked in the middle of {revoked.accepted} mails")
    print(f"  before signing in again: {dict(revoked.before)}; alerts: {list(revoked.alerts)}")
    print(f"  after: {dict(revoked.after)}", flush=True)
    yield revoked.ended_well
    for whom in (KILL_INSTANCES, KILL_WORKERS):
        with World(folder / whom.folder, DIRECT, STEADY) as world:
            killed = killed_under_way(world, DIRECT[0], 6, whom)
        print(f"\n{whom.title} while {killed.mails} mails were under way")
        print(
            f"  gone on after {killed.seconds:.1f} s (lease {STEADY.lease} s, a sweep every ",
            end="",
        )
        print(f"{SWEEP_EVERY:.0f} s, the host's lock 600 s): {dict(killed.after)}", flush=True)
        yield killed.within(STEADY.lease)


def amounts(kills: int) -> Amounts:
    """All kinds of faults, in proportion to the kills."""
    host_kills, worker_kills = kills // 5, kills // 5 * 2
    return Amounts(
        seconds=kills * SECONDS_A_KILL,
        kills=kills - host_kills - worker_kills,
        host_kills=host_kills,
        worker_kills=worker_kills,
        stops=max(1, kills // 8),
        freezes=max(1, kills // 15),
        rules=kills * 3,
        storage_losses=kills // 2,
        storage_restarts=max(1, kills // 30),
        bells=kills,
        expiries=max(1, kills // 15),
        revocations=max(1, kills // 25),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument("--mails", type=int, default=2000, help="mails to be accepted, at least")
    parser.add_argument(
        "--kills", type=int, default=100, help="instances, hosts and workers to be killed"
    )
    parser.add_argument("--seed", type=int, help="repeats a plan")
    parser.add_argument("--run-only", action="store_true", help="without the stories")
    parser.add_argument("--flaw", default="", help="a sender broken on purpose, see flaws.py")
    parser.add_argument("--keep", help="a folder for the data and the logs")
    return parser


if __name__ == "__main__":
    sys.exit(main())
