"""What every driver does: send when told to, and say what that took.

    stdin   {"mailbox": …}      then   {"do": "warm" | "send" | "memory", "letter": …, "times": 20}
    stdout  {"ready": true}     then   {} | {"cpu": [s, …], "wall": [s, …]} | {"peak": bytes}

What goes wrong is answered as {"error": "…"}.
"""

from __future__ import annotations

import functools
import gc
import json
import os
import sys
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass

from bench.peers import microsoft
from bench.peers.letters import Letter, letter, warm_up

ERROR_CHARACTERS = 400


@dataclass(frozen=True)
class Job:
    """Where a driver sends to, and as whom."""

    mailbox: str
    tenant_id: str
    client_id: str
    client_secret: str
    https_port: int


Prepare = Callable[[Letter], Callable[[], None]]
"""From a mail to sending it once. What that does is measured, what it takes to get there is not."""


def drive(opened: Callable[[Job], Prepare]) -> None:
    """Serve standard input until it ends. `opened` gets the token and all that is there once."""
    # Whatever a library prints must not look like an answer.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(document: object) -> None:
        print(json.dumps(document), file=answers, flush=True)

    job = Job(**json.loads(sys.stdin.readline()))
    microsoft.lead_to(job.https_port)
    find = functools.cache(letter)
    prepare = opened(job)
    answer({"ready": True})
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            if asked["do"] == "warm":
                prepare(warm_up(asked["letter"]))()
                answer({})
            elif asked["do"] == "memory":
                answer({"peak": _peak(prepare(find(asked["letter"])))})
            else:
                answer(_timed(prepare, find(asked["letter"]), asked["times"]))
        except Exception as error:  # noqa: BLE001 - whatever a peer refuses with is the finding
            answer({"error": _words(error)})


def _timed(prepare: Prepare, measured: Letter, count: int) -> dict[str, list[float]]:
    cpu, wall = [], []
    for _ in range(count):
        send = prepare(measured)
        began, ran = time.perf_counter(), time.process_time()
        send()
        cpu.append(time.process_time() - ran)
        wall.append(time.perf_counter() - began)
    return {"cpu": cpu, "wall": wall}


def _peak(send: Callable[[], None]) -> int:
    """Bytes that one mail takes beside what is there already."""
    gc.collect()
    tracemalloc.start()
    try:
        send()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def _words(error: BaseException) -> str:
    notes = " ".join(getattr(error, "__notes__", ()))
    return " ".join(f"{type(error).__name__}: {error} {notes}".split())[:ERROR_CHARACTERS]
