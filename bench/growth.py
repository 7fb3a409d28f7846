"""Growth: time and memory of one mail against its size.

Each size goes the same way: posted as JSON with one file, accepted and delivered in this process, by a
draft, to which larger files are uploaded. Growth with the ledger is `bench.accepting`'s to measure.
"""

from __future__ import annotations

import base64
import json
import random
import statistics
import time
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bench import calls, world
from bench.progress import Progress
from shared.composition.services import Services

MEGABYTE = 1_000_000
SIZES = (
    1_000,
    10_000,
    100_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    15_000_000,
    20_000_000,
)
QUICK_SIZES = (1_000, 1_000_000, 5_000_000)
RUNS, QUICK_RUNS = 9, 2
STRAIGHT = 0.95
"""R² of a line that counts as straight."""
MEMORY_BUDGET = 32 * 1024 * 1024
_LIMITS = {"requests_per_window": 10**9, "upload_bytes_per_window": 10**12}


@dataclass(frozen=True)
class Line:
    """The straight line that fits best, by least squares."""

    base: float
    slope: float
    r_squared: float

    @classmethod
    def through(cls, sizes: Sequence[float], values: Sequence[float]) -> Line:
        """`values` against `sizes`."""
        slope, base = statistics.linear_regression(sizes, values)
        return cls(base, slope, statistics.correlation(sizes, values) ** 2)


@dataclass
class Grown:
    """One size of file. Seconds of every run, and bytes of memory at most."""

    size: int
    accept: list[float] = field(default_factory=list)
    deliver: list[float] = field(default_factory=list)
    accept_peak: int = 0
    deliver_peak: int = 0


@dataclass(frozen=True)
class Growth:
    """All sizes, the smallest first."""

    sizes: Sequence[Grown]

    def line(self, of: str) -> Line:
        """Of `accept` or `deliver`, seconds, or `accept_peak`, bytes; for each byte of the file."""
        values = [getattr(one, of) for one in self.sizes]
        medians = [statistics.median(v) if isinstance(v, list) else v for v in values]
        return Line.through([one.size for one in self.sizes], medians)


def measure(*, quick: bool) -> Growth:
    """Round by round, each with every size, so that a busy machine slows all of them alike."""
    sizes = [Grown(size) for size in (QUICK_SIZES if quick else SIZES)]
    runs = QUICK_RUNS if quick else RUNS
    progress = Progress("growth", runs + 2)
    progress.step("starting")
    with (
        world.signed_in(consented=("Mail.ReadWrite",)) as stack,
        world.services(stack) as services,
    ):
        world.change_simulator(stack, "options", {"graph": _LIMITS})
        for number in range(runs):
            progress.step(f"round {number + 1} of {runs}")
            for one in sizes:
                _timed(services, one)
        progress.step("memory")
        for one in sizes:
            _traced(services, one)
    return Growth(sizes)


def document(size: int) -> bytes:
    """A mail with a file of so many bytes, which do not compress."""
    content = random.Random(size).randbytes(size)  # noqa: S311 - filler
    file = {"filename": "scan.pdf", "content": base64.b64encode(content).decode("ascii")}
    mail = {"to": "ada@contoso.com", "subject": "Grown", "text": "-", "attachments": [file]}
    return json.dumps(mail).encode()


def _timed(services: Services, one: Grown) -> None:
    mail = document(one.size)
    began = time.perf_counter()
    mail_id = calls.accept(services, mail)
    accepted = time.perf_counter()
    calls.deliver_one(services, mail_id)
    one.accept.append(accepted - began)
    one.deliver.append(time.perf_counter() - accepted)


def _traced(services: Services, one: Grown) -> None:
    mail, ids = document(one.size), list[str]()
    one.accept_peak = _peak(lambda: ids.append(calls.accept(services, mail)))
    one.deliver_peak = _peak(lambda: calls.deliver_one(services, ids[0]))


def _peak(work: Callable[[], object]) -> int:
    """Bytes beside what is there already."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def as_json(found: Growth) -> dict[str, object]:
    """The raw figures: bytes and milliseconds."""
    return {
        "sizes": [
            {
                "bytes": one.size,
                "accept_ms": [round(value * 1000, 2) for value in one.accept],
                "deliver_ms": [round(value * 1000, 2) for value in one.deliver],
                "accept_peak_bytes": one.accept_peak,
                "deliver_peak_bytes": one.deliver_peak,
            }
            for one in found.sizes
        ],
        "lines": {
            name: {
                "base": line.base,
                "slope_for_a_byte": line.slope,
                "r_squared": round(line.r_squared, 4),
            }
            for name in ("accept", "deliver", "accept_peak")
            for line in (found.line(name),)
        },
    }
