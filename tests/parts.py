"""`make test` and `make long`: all tests, in parts that run beside each other.

    python -m tests.parts               # the parts of `make test`
    python -m tests.parts mails infra   # some
    python -m tests.parts --long        # the parts of `make long`
    python -m tests.parts --at-once 1

Each part is a process of its own (mostly pytest) with a log of its own; a part that fails shows the end
of it. `pytest -q` runs the tests of `make test` one by one.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOGS = ROOT / ".local" / "logs"
TEST_SECONDS = 240
"""For a test that sets no limit itself: twice of what it gets alone."""
LONG_TEST_SECONDS = 900
"""The same in `make long`."""
AT_ONCE = 2 * (os.cpu_count() or 1)
"""Parts at a time: most of them wait for other processes, browsers and clocks half of the time."""
SHOWN = 20_000
"""Characters of a log that are shown of a part that failed."""

_BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Part:
    """What runs in one process: the tests of some folders, or a command."""

    name: str
    folders: Sequence[str] = ()
    without: Sequence[str] = ()
    """Folders within `folders` that are another part's."""
    commands: Sequence[Sequence[str]] = ()
    """Run one after another instead of pytest, up to the first that fails."""


MANY = ["tests/e2e/mails/test_many_mails.py", "tests/contract/test_many_mails.py"]
"""Thousands of mails in the tables: for `make long`."""

# Those that take longest come first, so that none begins when the others are done.
PARTS = (
    Part("contract", ["tests/contract"], without=[*MANY, "tests/contract/host"]),
    Part("mails", ["tests/e2e/mails"], without=MANY),
    Part("accounts", ["tests/e2e/accounts"]),
    Part("unit", ["tests/unit"]),
    Part("faults", ["tests/faults"]),
    Part("host", ["tests/contract/host"]),
    Part("types", commands=[[str(_BIN / "mypy")]]),
    Part("infra", ["tests/infra"]),
    Part("packaging", ["tests/packaging"]),
    Part("functional", ["tests/functional"]),
    Part(
        "lint",
        commands=[
            [str(_BIN / "ruff"), "check", "."],
            [str(_BIN / "ruff"), "format", "--check", "--quiet", "."],
        ],
    ),
)

LONG = (
    Part("mutations", commands=[[sys.executable, "-m", "tests.mutations", "--at-once", "1"]]),
    Part("long-faults", ["tests/long/faults"]),
    Part("many", MANY),
    Part("long", ["tests/long"], without=["tests/long/faults"]),
)


class Running:
    """A part under way."""

    def __init__(self, part: Part, options: Sequence[str]) -> None:
        self.part = part
        self.log = LOGS / f"test-{part.name}.log"
        self._began = time.monotonic()
        self._waiting = list(part.commands) or [_pytest(part, options)]
        self.log.write_bytes(b"")
        self._process = self._start()

    def ended(self) -> bool:
        """Whether it is over."""
        if self._process.poll() is None:
            return False
        if self._process.returncode == 0 and self._waiting:
            self._process = self._start()
            return False
        return True

    def wait(self) -> None:
        """Until its present command is over."""
        self._process.wait()

    @property
    def text(self) -> str:
        """Its log so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def report(self) -> bool:
        """Tell what it came to, all of it where it failed. Returns whether all passed."""
        seconds = time.monotonic() - self._began
        passed = self._process.returncode == 0
        if not passed:
            print(
                f"\n{self.text[-SHOWN:]}\n{self.log.relative_to(ROOT)} has all of it.", flush=True
            )
        print(
            f"{'ok    ' if passed else 'FAILED'}  {self.part.name:<12}{_minutes(seconds):>6}   "
            f"{counted(self.text) if self.part.folders else last_line(self.text)}",
            flush=True,
        )
        return passed

    def _start(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(  # noqa: S603 - our own tests
                self._waiting.pop(0), cwd=ROOT, stdout=log, stderr=subprocess.STDOUT
            )


def counted(log: str) -> str:
    """What pytest counted: `1029 passed, 3 deselected`."""
    found = re.findall(r"^=*\s*(\d+ \w+(?:, \d+ \w+)*) in [\d.]+s", log, re.MULTILINE)
    return str(found[-1]) if found else "no result"


def last_line(log: str) -> str:
    """What a command that is not pytest says in the end."""
    lines = log.split("\n")
    return next((line for line in reversed(lines) if line.strip()), "nothing to say")


def closing_line(logs: Sequence[str], seconds: float) -> str:
    """The sums of all parts, in the form in which pytest ends."""
    sums: Counter[str] = Counter()
    for log in logs:
        for number, what in re.findall(r"(\d+) (\w+)", counted(log)):
            sums[what.rstrip("s") if what.startswith("error") else what] += int(number)
    order = ("failed", "passed", "skipped", "deselected")
    names = [*order, *sorted(set(sums) - set(order))]
    told = ", ".join(f"{sums[name]} {name}" for name in names if sums[name])
    return f"====== {told or 'no tests ran'} in {seconds:.2f}s ({_minutes(seconds)}) ======"


def run(parts: Sequence[Part], at_once: int, options: Sequence[str]) -> bool:
    """Run the parts, at most so many at a time. Returns whether all passed."""
    LOGS.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    waiting, running, passed, logs = list(parts), list[Running](), True, list[str]()
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                running.append(Running(waiting.pop(0), options))
            for one in [one for one in running if one.ended()]:
                running.remove(one)
                passed = one.report() and passed
                if one.part.folders:
                    logs.append(one.text)
            time.sleep(0.2)
    except KeyboardInterrupt:
        # The terminal interrupts the parts too: they stop what they have started.
        for one in running:
            one.wait()
        raise
    seconds = time.monotonic() - began
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(
        f"{'All passed' if passed else 'Not all passed'} in {_minutes(seconds)}; processor time "
        f"{_minutes(used.ru_utime + used.ru_stime)} of {os.cpu_count() or 1} cores."
    )
    if logs:
        print(closing_line(logs, seconds), flush=True)
    return passed


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(description="Run all tests, in parts beside each other.")
    parser.add_argument("parts", nargs="*", metavar="part", help="names; all by default")
    parser.add_argument("--long", action="store_true", help="the parts of `make long`")
    parser.add_argument("--at-once", type=int, default=AT_ONCE, help="parts at a time")
    options, further = parser.parse_known_args()
    there = LONG if options.long else PARTS
    names = [part.name for part in there]
    unknown = set(options.parts) - set(names)
    if unknown:
        parser.error(f"no part is called {', '.join(sorted(unknown))}: {', '.join(names)}")
    chosen = [part for part in there if not options.parts or part.name in options.parts]
    limit = LONG_TEST_SECONDS if options.long else TEST_SECONDS
    version = ".".join(map(str, sys.version_info[:3]))
    print(
        f"Python {version}: {len(chosen)} parts; their logs are .local/logs/test-*.log", flush=True
    )
    try:
        passed = run(
            chosen, max(1, options.at_once), ["-m", "not live", f"--timeout={limit}", *further]
        )
    except KeyboardInterrupt:
        print("\nStopped.")
        return 130
    return 0 if passed else 1


def _pytest(part: Part, options: Sequence[str]) -> list[str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options]
    return [*command, *(f"--ignore={folder}" for folder in part.without), *part.folders]


def _minutes(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole // 60}:{whole % 60:02}"


if __name__ == "__main__":
    sys.exit(main())
