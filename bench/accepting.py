"""Accepting: `POST /api/send` from many callers at a time, with few and with many mails in the ledger.

One worker process of the local host. What is accepted is not sent: the queue's trigger is off, and
the bells are cleared away.
"""

from __future__ import annotations

import contextlib
import http.client
import statistics
import threading
import time
import tracemalloc
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import urlsplit

from azure.storage.queue import QueueClient

from bench import calls, seeded, world
from bench.mails import samples
from bench.progress import Progress
from local.stack import Stack
from shared.adapters.storage.clients import MAILS_TABLE, Storage
from shared.adapters.storage.mail_rows import to_row
from shared.adapters.storage.table_service import Table
from shared.composition.services import Services
from shared.settings import StorageSettings

LEDGERS = (0, 10_000, 100_000)
CALLERS = (1, 8, 32)
ROUNDS, REQUESTS = 7, 192
QUICK_LEDGERS, QUICK_ROUNDS, QUICK_REQUESTS = (0, 10_000), 2, 64
DELIVERIES, QUICK_DELIVERIES = 60, 10
_PATIENCE = 120.0
_PAYLOAD = bytes(800)
FLAT = 0.10
"""How far a figure may be off for it to count as the same."""


class NotAcceptedError(Exception):
    """A request was answered with something else than 202."""


@dataclass
class Accepting:
    """With so many mails in the ledger and so many callers."""

    ledger: int
    callers: int
    rates: list[float] = field(default_factory=list)
    """Requests a second, round by round."""
    seconds: list[float] = field(default_factory=list)
    """Of every request."""

    @property
    def rate(self) -> float:
        """Requests a second, the median of the rounds."""
        return statistics.median(self.rates)

    def percentile(self, of_hundred: int) -> float:
        """Seconds within which so many of a hundred requests were answered."""
        return statistics.quantiles(self.seconds, n=100)[of_hundred - 1]


@dataclass
class Warm:
    """Accepting and delivering one mail after the other, in this process."""

    ledger: int
    insert: list[float] = field(default_factory=list)
    """Of accepting, what storage alone takes to insert the row of such a mail."""
    accept: list[float] = field(default_factory=list)
    deliver: list[float] = field(default_factory=list)
    peak: int = 0
    """Bytes of memory that a delivery takes at most."""


@dataclass(frozen=True)
class Accepted:
    """All of it."""

    cells: Sequence[Accepting]
    warm: Sequence[Warm]
    requests: int

    def cell(self, ledger: int, callers: int) -> Accepting:
        """The one."""
        return next(c for c in self.cells if (c.ledger, c.callers) == (ledger, callers))

    @property
    def ledgers(self) -> list[int]:
        """Sizes, the smallest first."""
        return sorted({cell.ledger for cell in self.cells})

    def own_against_empty(self) -> float:
        """What accepting takes beside the insert, with the largest ledger against an empty one."""
        full, empty = (
            statistics.median(a - b for a, b in zip(one.accept, one.insert, strict=True))
            for one in (self.warm[-1], self.warm[0])
        )
        return full / empty

    def against_empty(self, callers: int) -> float:
        """Requests a second with the largest ledger, of those with an empty one: the median of the
        rounds, each of which asked both within seconds."""
        full, empty = (self.cell(self.ledgers[at], callers) for at in (-1, 0))
        return statistics.median(a / b for a, b in zip(full.rates, empty.rates, strict=True))


def measure(*, quick: bool) -> Accepted:
    """Round by round, each of them with every ledger and every number of callers."""
    ledgers = QUICK_LEDGERS if quick else LEDGERS
    rounds = QUICK_ROUNDS if quick else ROUNDS
    requests = QUICK_REQUESTS if quick else REQUESTS
    progress = Progress("accepting", rounds + 2)
    cells = [Accepting(ledger, callers) for callers in CALLERS for ledger in ledgers]
    progress.step(f"{len(ledgers)} stacks, the largest ledger with {ledgers[-1]:,} mails")
    with seeded.stacks(ledgers, {"AzureWebJobs.deliver.Disabled": "true"}) as stacks:
        for stack in stacks.values():
            _ask(stack, max(CALLERS), requests // 3)
        for number in range(rounds):
            progress.step(f"round {number + 1} of {rounds}")
            # Who is first may be at an advantage, so that it is another one each time.
            for cell in cells if number % 2 else reversed(cells):
                rate, seconds = _ask(stacks[cell.ledger], cell.callers, requests)
                cell.rates.append(rate)
                cell.seconds += seconds
        progress.step("one mail after the other, without the host")
        warm = _warm(stacks, QUICK_DELIVERIES if quick else DELIVERIES)
    return Accepted(cells, warm, requests)


def _ask(stack: Stack, callers: int, requests: int) -> tuple[float, list[float]]:
    """Requests a second, and the seconds that each took."""
    each, ready = requests // callers, threading.Barrier(callers + 1)

    def call() -> list[float]:
        caller = _Caller(stack)
        try:
            caller.warm_up()
            ready.wait(_PATIENCE)
            return [caller.send() for _ in range(each)]
        except BaseException:
            ready.abort()
            raise
        finally:
            caller.close()

    with ThreadPoolExecutor(callers) as pool:
        asked = [pool.submit(call) for _ in range(callers)]
        ready.wait(_PATIENCE)
        began = time.perf_counter()
        seconds = [one for future in asked for one in future.result()]
        took = time.perf_counter() - began
    with _outbox(stack) as queue:
        queue.clear_messages()
    return len(seconds) / took, seconds


class _Caller:
    """One connection, kept open. As lean as can be: it shares the machine with what it measures."""

    def __init__(self, stack: Stack) -> None:
        parts = urlsplit(stack.app_url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        self._headers = {
            "x-functions-key": stack.function_key,
            "Content-Type": "application/json",
        }
        self._body = samples()[0].document

    def send(self) -> float:
        """Seconds until the whole answer was there."""
        began = time.perf_counter()
        self._connection.request("POST", "/api/send", self._body, self._headers)
        answer = self._connection.getresponse()
        content = answer.read()
        took = time.perf_counter() - began
        if answer.status != 202:
            raise NotAcceptedError(f"the send was answered {answer.status}: {content!r}")
        return took

    def warm_up(self) -> None:
        """Send once. Azurite closes a connection that was idle for five seconds, which Postroom may
        find out by a lost answer: only so long as this one is not measured."""
        with contextlib.suppress(NotAcceptedError):
            self.send()
        self.send()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def _outbox(stack: Stack) -> QueueClient:
    info = stack.info
    return QueueClient.from_connection_string(info["storage_connection_string"], info["queue_name"])


def _warm(stacks: Mapping[int, Stack], runs: int) -> list[Warm]:
    """By turns, so that a busy machine slows all of them alike."""
    document = samples()[0].document
    found = {ledger: Warm(ledger) for ledger in stacks}
    with ExitStack() as every:
        rooms: dict[int, Services] = {}
        for ledger, stack in stacks.items():
            rooms[ledger] = every.enter_context(world.services(stack))
            # While the environment is this one's: a token is fetched with what it says.
            calls.deliver_one(rooms[ledger], calls.accept(rooms[ledger], document))
        tables = {ledger: every.enter_context(_mails(stack)) for ledger, stack in stacks.items()}
        for number in range(runs):
            for ledger, services in rooms.items():
                _one(services, document, found[ledger])
                row = to_row(seeded.mail(datetime.now(UTC), number, inline=_PAYLOAD))
                began = time.perf_counter()
                tables[ledger].insert("inserting a row", row)
                found[ledger].insert.append(time.perf_counter() - began)
        for ledger, services in rooms.items():
            mail_id = calls.accept(services, document)
            tracemalloc.start()
            try:
                calls.deliver_one(services, mail_id)
                found[ledger].peak = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
    return list(found.values())


@contextmanager
def _mails(stack: Stack) -> Iterator[Table]:
    """The ledger's table, by the adapter that Postroom speaks to it with."""
    settings = StorageSettings(connection_string=stack.info["storage_connection_string"])
    storage = Storage(settings, None)
    try:
        yield storage.table(MAILS_TABLE)
    finally:
        storage.close()


def _one(services: Services, document: bytes, found: Warm) -> None:
    began = time.perf_counter()
    mail_id = calls.accept(services, document)
    accepted = time.perf_counter()
    calls.deliver_one(services, mail_id)
    found.accept.append(accepted - began)
    found.deliver.append(time.perf_counter() - accepted)


def as_json(found: Accepted) -> dict[str, object]:
    """The raw figures, in milliseconds."""
    return {
        "requests": found.requests,
        "cells": [
            {
                "ledger": cell.ledger,
                "callers": cell.callers,
                "requests_a_second": [round(rate, 1) for rate in cell.rates],
                **{
                    f"p{of_hundred}_ms": round(cell.percentile(of_hundred) * 1000, 2)
                    for of_hundred in (50, 95, 99)
                },
            }
            for cell in found.cells
        ],
        "warm": [
            {
                "ledger": one.ledger,
                "insert_ms": [round(value * 1000, 2) for value in one.insert],
                "accept_ms": [round(value * 1000, 2) for value in one.accept],
                "deliver_ms": [round(value * 1000, 2) for value in one.deliver],
                "peak_bytes": one.peak,
            }
            for one in found.warm
        ],
    }
