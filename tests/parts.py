"""`make test`: all tests, in parts that run beside each other. `pytest -q` runs the same one by one.

    python -m tests.parts             # all parts, one more at once than there are cores
    python -m tests.parts mails infra   # some
    python -m tests.parts --at-once 1

Half of the parts wait for clocks and other processes most of their time, the others compute. Each is
a pytest of its own with a log of its own; a part that fails shows the end of it.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOGS = ROOT / ".local" / "logs"
PATIENCE = 240
"""Seconds for a test that says nothing else: twice of what it gets alone."""
AT_ONCE = (os.cpu_count() or 1) + 1
"""One more than there are cores: the parts wait for other processes and clocks half of the time."""
SHOWN = 20_000
"""Characters of a log that are shown of a part that failed."""


@dataclass(frozen=True)
class Part:
    """Folders whose tests run in one process."""

    name: str
    folders: Sequence[str]


# The longest first, so that none begins when the others are done.
PARTS = (
    Part("infra", ["tests/infra", "tests/packaging"]),
    Part("mails", ["tests/e2e/mails"]),
    Part("accounts", ["tests/e2e/accounts"]),
    Part("contract", ["tests/contract"]),
    Part("faults", ["tests/faults"]),
    Part("fast", ["tests/unit", "tests/functional"]),
)


class Running:
    """A part under way."""

    def __init__(self, part: Part, options: Sequence[str]) -> None:
        self.part = part
        self.log = LOGS / f"test-{part.name}.log"
        self._began = time.monotonic()
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own tests
                [*command, *part.folders], cwd=ROOT, stdout=log, stderr=subprocess.STDOUT
            )

    def ended(self) -> bool:
        """Whether it is over."""
        return self._process.poll() is not None

    def wait(self) -> None:
        """Until it is over."""
        self._process.wait()

    def report(self) -> bool:
        """Tell what it came to, all of it where it failed. Returns whether all passed."""
        seconds = round(time.monotonic() - self._began)
        text = self.log.read_text(encoding="utf-8", errors="replace")
        passed = self._process.returncode == 0
        if not passed:
            print(f"\n{text[-SHOWN:]}\n{self.log.relative_to(ROOT)} has all of it.", flush=True)
        print(
            f"{'ok    ' if passed else 'FAILED'}  {self.part.name:<10}"
            f"{seconds // 60:>3}:{seconds % 60:02}   {counted(text)}",
            flush=True,
        )
        return passed


def counted(log: str) -> str:
    """What pytest counted: `1029 passed, 3 deselected`."""
    found = re.findall(r"^=*\s*(\d+ \w+(?:, \d+ \w+)*) in [\d.]+s", log, re.MULTILINE)
    return str(found[-1]) if found else "no result"


def run(parts: Sequence[Part], at_once: int, options: Sequence[str]) -> bool:
    """Run the parts, at most so many at a time. Returns whether all passed."""
    LOGS.mkdir(parents=True, exist_ok=True)
    waiting, running, passed = list(parts), list[Running](), True
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                running.append(Running(waiting.pop(0), options))
            for one in [one for one in running if one.ended()]:
                running.remove(one)
                passed = one.report() and passed
            time.sleep(0.2)
    except KeyboardInterrupt:
        # The terminal interrupts the parts too: they stop what they have started.
        for one in running:
            one.wait()
        raise
    return passed


def main() -> int:
    """Returns the exit code."""
    names = [part.name for part in PARTS]
    parser = argparse.ArgumentParser(description="Run all tests, in parts beside each other.")
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of {', '.join(names)}")
    parser.add_argument("--at-once", type=int, default=AT_ONCE, help="parts at a time")
    options, further = parser.parse_known_args()
    unknown = set(options.parts) - set(names)
    if unknown:
        parser.error(f"no part is called {', '.join(sorted(unknown))}: {', '.join(names)}")
    chosen = [part for part in PARTS if not options.parts or part.name in options.parts]
    began = time.monotonic()
    print(f"Tests in {len(chosen)} parts; their logs are .local/logs/test-*.log", flush=True)
    try:
        passed = run(
            chosen, max(1, options.at_once), ["-m", "not live", f"--timeout={PATIENCE}", *further]
        )
    except KeyboardInterrupt:
        print("\nStopped.")
        return 130
    seconds = round(time.monotonic() - began)
    print(f"{'All passed' if passed else 'Not all passed'} in {seconds // 60}:{seconds % 60:02}.")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
