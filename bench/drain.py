"""Draining: thousands of mails over many mailboxes, under Exchange Online's real limits.

Every mailbox may send 30 mails a minute and be asked by four requests at a time. How near Postroom
comes to what these limits allow, how often it is told to slow down, and what became of each mail.
"""

from __future__ import annotations

import itertools
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import requests

from bench import world
from local import demo
from local.stack import Stack

MAILS, FULL_MAILS, QUICK_MAILS = 3_000, 10_000, 200
MAILBOXES = 50
LIMIT = 30
"""Mails a minute and mailbox: https://learn.microsoft.com/office365/servicedescriptions/exchange-online-service-description/exchange-online-limits"""
CALLERS = 4
WORKERS = 2
BUDGET = 0.90
THROTTLED_BUDGET = 0.01
_PATIENCE = 180.0
"""Seconds without any progress that end the run."""


@dataclass(frozen=True)
class Drained:
    """What one run found."""

    mails: int
    mailboxes: int
    accepting_seconds: float
    seconds: float
    """From the first acceptance to the last mail handed to transport."""
    allowed_seconds: float
    """What the limit alone would take: the mails of one mailbox at its pace."""
    calls: int
    throttled: int
    statuses: dict[str, int]
    copies: int
    """Mails handed to transport."""
    doubled: int
    poisoned: int

    @property
    def share(self) -> float:
        """Of what the limits allow. Above 1 where the first mails went as a burst."""
        return self.allowed_seconds / self.seconds

    @property
    def throttled_share(self) -> float:
        """Calls to Graph that were answered 429."""
        return self.throttled / max(1, self.calls)


def measure(*, quick: bool = False, full: bool = False) -> Drained:
    """One run, with a progress bar on a terminal."""
    mails = QUICK_MAILS if quick else FULL_MAILS if full else MAILS
    with _stack() as stack:
        aliases = sign_in(stack, MAILBOXES)
        world.change_simulator(stack, "options", {"graph": {"preset": "exchange-online"}})
        with requests.Session() as session:
            session.trust_env = False
            session.delete(f"{stack.info['control_url']}/counts", timeout=30)
        began = time.time()
        accepting = accept(stack, aliases, mails)
        _wait(stack, mails)
        return _found(stack, mails, began, accepting)


@contextmanager
def _stack() -> Iterator[Stack]:
    with (
        tempfile.TemporaryDirectory(prefix="postroom-bench-") as directory,
        Stack(
            Path(directory),
            0,
            0,
            instances=WORKERS,
            settings=world.AS_DEPLOYED,
            local_settings=False,
        ) as stack,
    ):
        yield stack


def sign_in(stack: Stack, mailboxes: int) -> list[str]:
    """So many mailboxes, each through the real flow. Returns their aliases."""
    aliases = [f"box-{index:02d}" for index in range(mailboxes)]
    for done, alias in enumerate(aliases):
        address = f"{alias}@contoso.com"
        world.change_simulator(stack, "mailboxes", {"address": address})
        demo.sign_in(stack.info, address, alias)
        _progress("signing in", done + 1, mailboxes)
    return aliases


def document(alias: str, number: int) -> bytes:
    """One mail, as it is posted."""
    return json.dumps(
        {
            "account": alias,
            "to": f"customer-{number}@example.com",
            "subject": f"Invoice {number}",
            "text": "Your invoice is ready. " * 90,
        }
    ).encode()


def accept(stack: Stack, aliases: Sequence[str], mails: int) -> float:
    """Hand all of them in, in turn for each mailbox; seconds that took."""
    began, counter = time.monotonic(), itertools.count(1)

    def hand_in(numbers: range) -> None:
        with requests.Session() as session:
            session.trust_env = False
            session.headers["x-functions-key"] = stack.function_key
            session.headers["Content-Type"] = "application/json"
            for number in numbers:
                mail = document(aliases[number % len(aliases)], number)
                answer = session.post(f"{stack.app_url}/api/send", data=mail, timeout=60)
                answer.raise_for_status()
                _progress("accepting", next(counter), mails)

    with ThreadPoolExecutor(CALLERS) as pool:
        list(pool.map(hand_in, [range(start, mails, CALLERS) for start in range(CALLERS)]))
    return time.monotonic() - began


def _wait(stack: Stack, mails: int) -> None:
    """Until all are handed to transport, or nothing moves any more."""
    last, moved = -1, time.monotonic()
    while last < mails and time.monotonic() < moved + _PATIENCE:
        count = _counts(stack)["counts"].get("graph.send_mail", 0)
        if count != last:
            last, moved = count, time.monotonic()
        _progress("draining", min(count, mails), mails)
        time.sleep(2)
    _wait_for(stack, mails)


def _found(stack: Stack, mails: int, began: float, accepting: float) -> Drained:
    arrived = _wait_for(stack, mails)
    copies = Counter(delivery["key"] for delivery in arrived)
    last = max(datetime.fromisoformat(delivery["time"]).timestamp() for delivery in arrived)
    graph = graph_answers(stack)
    return Drained(
        mails=mails,
        mailboxes=MAILBOXES,
        accepting_seconds=accepting,
        seconds=last - began,
        allowed_seconds=mails / MAILBOXES / LIMIT * 60,
        calls=graph.total(),
        throttled=graph["429"],
        statuses=dict(_statuses(stack)),
        copies=len(arrived),
        doubled=sum(count > 1 for count in copies.values()),
        poisoned=_poisoned(stack),
    )


def graph_answers(stack: Stack) -> Counter[str]:
    """How often Graph answered with each status."""
    found = Counter[str]()
    for operation, by_status in _counts(stack)["answers"].items():
        if operation.startswith("graph."):
            found.update(by_status)
    return found


def deliveries(stack: Stack) -> list[dict[str, Any]]:
    """Every mail handed to transport so far, in order."""
    found: list[dict[str, Any]] = _control(stack, "deliveries")["deliveries"]
    return found


def _statuses(stack: Stack) -> Counter[str]:
    """Of every mail in the ledger, by the API's own list."""
    found, cursor = Counter[str](), None
    with requests.Session() as session:
        session.trust_env = False
        while True:
            page = session.get(
                f"{stack.app_url}/api/mails",
                params={"limit": 100, **({"cursor": cursor} if cursor else {})},
                headers={"x-functions-key": stack.function_key},
                timeout=60,
            ).json()
            found.update(mail["status"] for mail in page["mails"])
            cursor = page.get("next_cursor")
            if cursor is None:
                return found


def _poisoned(stack: Stack) -> int:
    from azure.storage.queue import QueueClient

    with QueueClient.from_connection_string(
        stack.info["storage_connection_string"], "outbox-poison"
    ) as queue:
        return queue.get_queue_properties().approximate_message_count or 0


def _counts(stack: Stack) -> dict[str, Any]:
    return _control(stack, "counts")


def _wait_for(stack: Stack, count: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = _control(stack, f"deliveries?count={count}&wait=60")["deliveries"]
    return found


def _control(stack: Stack, path: str) -> dict[str, Any]:
    with requests.Session() as session:
        session.trust_env = False
        answer = session.get(f"{stack.info['control_url']}/{path}", timeout=120)
        answer.raise_for_status()
        document: dict[str, Any] = answer.json()
        return document


def _progress(what: str, done: int, of: int) -> None:
    if not sys.stderr.isatty():
        return
    width = 40
    bar = "█" * (done * width // of)
    end = "\n" if done == of else ""
    sys.stderr.write(f"\r\x1b[2K{what:<12} {bar:<{width}} {done}/{of}{end}")
    sys.stderr.flush()
