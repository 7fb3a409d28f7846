"""Draining without a pace: what bounds the mails a second, and what more worker processes bring.

The mails are in the ledger and rung for before the host starts. What is measured is the middle of the
run, from the tenth of a hundred mails to the ninetieth, when every process is up and has enough to do.
Exchange's four requests at a time for one mailbox hold; its mails a minute do not (`bench.drain`).
"""

from __future__ import annotations

import itertools
import os
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from azure.storage.queue import QueueClient

from bench import drain, processes, world
from bench.progress import Progress
from bench.wire import CountingProxy
from local.azurite import Azurite
from local.stack import Stack
from shared.adapters.storage.clients import MAILS_TABLE, Storage
from shared.adapters.storage.table_answers import RowVersion
from shared.composition.services import Services
from shared.services.delivery.concurrency import AT_A_TIME
from shared.services.intake.mail_document import read_json
from shared.settings import StorageSettings

MAILS, FULL_MAILS, QUICK_MAILS = 300, 2_000, 80
MAILBOXES = (1, 10, 50)
LATENCIES = (0.0, 0.1)
COMPARED_RUNS = 3
"""Of what is compared, by turns; `FULL=1` has runs that are long enough by themselves."""
WORKERS = (1, 2, 4)
SLOW = 1.0
"""Seconds: a latency with which one process waits more than it works, so that a second one has
something to bring even where two processors do all of it."""
THREADS = 24
"""Mails that one process sends at a time at most: `batchSize` and `newBatchThreshold` of host.json.
The host asks for more when no more than the latter are left, so that on the average it is fewer."""
SCALING_BUDGET = 1.8
LIMIT_BUDGET = 0.90
OPERATIONS_BUDGET = 8
COUNTED_MAILS, COUNTED_MAILBOXES = 200, 10
_ACCEPTING = 4
_PATIENCE = 120.0
_NO_MAILS = frozenset(
    {
        "queue poll outbox",
        "queue poll outbox-poison",
        "table query accounts",
        # Whether the queue is empty is asked by this module.
        "queue get outbox",
    }
)


@dataclass(frozen=True)
class Setting:
    """One run."""

    mailboxes: int
    latency: float
    workers: int

    @property
    def allowed(self) -> float | None:
        """Mails a second that the requests at a time leave: Exchange's for each mailbox, the host's for
        each process. None where a request takes no time."""
        if not self.latency:
            return None
        return min(AT_A_TIME * self.mailboxes, THREADS * self.workers) / self.latency


@dataclass(frozen=True)
class Run:
    """What it found."""

    setting: Setting
    mails: int
    sent: int
    rate: float
    """Mails a second."""
    calls: int
    throttled: int
    spent: Mapping[str, float]
    """Processor seconds of all mails, by process."""
    seconds: float
    """From the start of the host to its last mail."""

    @property
    def busy(self) -> float:
        """Processors that were busy, on the average."""
        return sum(self.spent.values()) / self.seconds

    @property
    def machine(self) -> float:
        """Mails a second at which every processor of this machine has nothing left."""
        return (os.cpu_count() or 1) * self.mails / sum(self.spent.values())

    @property
    def limit(self) -> float:
        """Mails a second: of the limits the lowest."""
        allowed = self.setting.allowed
        return self.machine if allowed is None else min(self.machine, allowed)

    @property
    def is_machines(self) -> bool:
        """Whether that is the machine's."""
        return self.limit == self.machine

    @property
    def throttled_share(self) -> float:
        """Of the calls to Graph, those answered 429."""
        return self.throttled / max(1, self.calls)


@dataclass(frozen=True)
class Scaling:
    """All runs, and what a mail costs in storage while many are drained."""

    runs: Sequence[Run]
    operations: Mapping[str, int]
    counted: int

    @property
    def operations_each(self) -> float:
        """Storage operations of one mail, from the request to the end of its message."""
        return sum(self.operations.values()) / self.counted

    def run(self, mailboxes: int, latency: float, workers: int) -> Run | None:
        """The one, if it was made."""
        wanted = Setting(mailboxes, latency, workers)
        return next((run for run in self.runs if run.setting == wanted), None)


def settings(*, quick: bool) -> list[Setting]:
    """Those that are run."""
    if quick:
        return [Setting(10, SLOW, workers) for workers in (1, 2)]
    every = itertools.product(MAILBOXES, LATENCIES, WORKERS)
    return [*itertools.starmap(Setting, every), *(Setting(50, SLOW, n) for n in WORKERS)]


def measure(*, quick: bool, full: bool = False) -> Scaling:
    """One run after the other on one stack; only the host is started anew."""
    mails = QUICK_MAILS if quick else FULL_MAILS if full else MAILS
    wanted = settings(quick=quick)
    if not quick and not full:
        wanted += [setting for setting in wanted if _is_compared(setting)] * (COMPARED_RUNS - 1)
    progress = Progress("scaling", len(wanted) + 2)
    most = max(setting.mailboxes for setting in wanted)
    progress.step(f"signing in {most} mailboxes")
    with drained_stack(most) as (stack, aliases), world.services(stack) as services:
        found = []
        for setting in wanted:
            progress.step(
                f"{mails:,} mails, mailboxes: {setting.mailboxes}, latency: {setting.latency} s, "
                f"processes: {setting.workers}"
            )
            found.append(_run(stack, services, aliases[: setting.mailboxes], setting, mails))
            _forget(stack)
    counted = COUNTED_MAILS // 4 if quick else COUNTED_MAILS
    progress.step(f"counting the storage operations of {counted} mails")
    return Scaling(middle(found), _operations(counted), counted)


def _is_compared(setting: Setting) -> bool:
    return setting.mailboxes == max(MAILBOXES) and setting.workers <= 2


def middle(runs: Sequence[Run]) -> Sequence[Run]:
    """Of the runs of each setting the one in the middle, by mails a second: Azurite stands still for
    some seconds now and then, which is nothing that a process more would change."""
    by_setting: dict[Setting, list[Run]] = {}
    for run in runs:
        by_setting.setdefault(run.setting, []).append(run)
    return [sorted(each, key=lambda run: run.rate)[len(each) // 2] for each in by_setting.values()]


@contextmanager
def drained_stack(
    mailboxes: int, storage: str | None = None
) -> Iterator[tuple[Stack, Sequence[str]]]:
    """A stack without a pace and with so many mailboxes, and their aliases."""
    with (
        tempfile.TemporaryDirectory(prefix="postroom-bench-") as directory,
        Stack(
            Path(directory), 0, 0, storage=storage, settings=world.QUIET, local_settings=False
        ) as stack,
    ):
        yield stack, drain.sign_in(stack, mailboxes)


def _run(
    stack: Stack, services: Services, aliases: Sequence[str], setting: Setting, mails: int
) -> Run:
    world.change_simulator(
        stack,
        "options",
        {"graph": {"latency_seconds": setting.latency, "requests_per_window": 10**9}},
    )
    _accept(services, aliases, mails)
    before, there = drain.graph_answers(stack), len(drain.deliveries(stack))
    stack.start_host(setting.workers)
    idle, began = processes.spent(stack), time.time()
    _wait(stack, sum(before.values()) - before["429"], mails)
    # The workers live on until here, so that their time can be read.
    spent = processes.difference(idle, processes.spent(stack))
    answers = drain.graph_answers(stack) - before
    stack.stop_host()
    times = sorted(
        datetime.fromisoformat(one["time"]).timestamp() for one in drain.deliveries(stack)[there:]
    )
    first, last = times[len(times) // 10], times[len(times) * 9 // 10]
    return Run(
        setting=setting,
        mails=mails,
        sent=len(times),
        rate=(len(times) * 9 // 10 - len(times) // 10) / (last - first),
        calls=answers.total(),
        throttled=answers["429"],
        spent=spent,
        seconds=times[-1] - began,
    )


def _forget(stack: Stack) -> None:
    """Empty the ledger and what the simulator keeps: the more a run before has left in Azurite's
    memory, the longer each of its calls takes."""
    world.change_simulator(stack, "deliveries", None, method="DELETE")
    settings = StorageSettings(connection_string=stack.info["storage_connection_string"])
    storage = Storage(settings, None)
    try:
        table = storage.table(MAILS_TABLE)
        rows = table.rows("forgetting", "", select=("PartitionKey", "RowKey"))
        by_day: dict[str, list[RowVersion]] = defaultdict(list)
        for row in rows:
            by_day[row["PartitionKey"]].append((row["PartitionKey"], row["RowKey"], row.etag))
        for keys in by_day.values():
            table.remove_unchanged("forgetting", keys)
    finally:
        storage.close()


def _accept(services: Services, aliases: Sequence[str], mails: int) -> None:
    """In this process: how fast that goes is for `bench.accepting` to say."""

    def accept(number: int) -> None:
        document = drain.document(aliases[number % len(aliases)], number)
        services.submission.accept(read_json(document, services.clock()))

    with ThreadPoolExecutor(_ACCEPTING) as pool:
        list(pool.map(accept, range(mails)))


def _wait(stack: Stack, before: int, mails: int) -> None:
    """Until so many more requests were answered with anything but 429, or nothing moves any more."""
    last, moved = -1, time.monotonic()
    while last < mails and time.monotonic() < moved + _PATIENCE:
        answers = drain.graph_answers(stack)
        count = answers.total() - answers["429"] - before
        if count != last:
            last, moved = count, time.monotonic()
        time.sleep(0.25)


def _operations(mails: int) -> Mapping[str, int]:
    """Counted at the wire, from the request by HTTP to the end of every message."""
    with (
        tempfile.TemporaryDirectory(prefix="postroom-bench-") as directory,
        Azurite(Path(directory) / "azurite.log") as azurite,
        CountingProxy(azurite.ports) as proxy,
        drained_stack(COUNTED_MAILBOXES, proxy.connection_string) as (stack, aliases),
    ):
        drain.accept(stack, [aliases[0]], 1)
        _empty(stack)
        proxy.clear()
        drain.accept(stack, aliases, mails)
        _empty(stack)
        counts = Counter(proxy.counts())
    return {name: count for name, count in counts.items() if name not in _NO_MAILS}


def _empty(stack: Stack) -> None:
    """Until no message is left."""
    with QueueClient.from_connection_string(
        stack.info["storage_connection_string"], stack.info["queue_name"]
    ) as queue:
        until = time.monotonic() + _PATIENCE
        while queue.get_queue_properties().approximate_message_count:
            if time.monotonic() > until:
                raise RuntimeError("the queue does not become empty")
            time.sleep(0.25)
