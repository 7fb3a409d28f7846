"""Sending through Postroom, through its peers and through a bare session: processor time, time by the
clock and memory per mail, in processes of their own that send by turns to the same simulator."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from bench import world
from bench.cpu import NO_LIMITS
from bench.peers.letters import LARGEST, TITLES
from bench.peers.microsoft import NAMES
from bench.report import PEERS_PYTHON, REPOSITORY
from local import demo
from local.stack import Stack

CPU_BUDGET = 2.0
UPLOAD_TIME_BUDGET = 1.2
UPLOAD_MEMORY_BUDGET = 32 * 1024 * 1024

POSTROOM, FLOOR = "Postroom", "a bare `requests` session"
WAYS: Mapping[str, str] = {
    FLOOR: "bare",
    POSTROOM: "postroom",
    "msgraph-sdk": "msgraph_sdk",
    "O365": "o365",
    "django-msgraphbackend": "django_backend",
}
"""The drivers in `bench/peers`, by the name that the tables have."""
PACKAGES = ("msgraph-sdk", "azure-identity", "O365", "django-msgraphbackend", "django", "requests")

# Rounds, and mails of each way in a round. A thousand mails where that takes a minute.
_ROUNDS = {
    "text_2_kb": (20, 50),
    "html_20_kb_file_100_kb": (20, 50),
    "file_2_mb": (20, 10),
    LARGEST: (10, 2),
}
_QUICK_ROUNDS = {"text_2_kb": (3, 20), "html_20_kb_file_100_kb": (3, 10), "file_2_mb": (2, 2)}
_SILENCE_SECONDS = 180


@dataclass
class Sent:
    """What one way took for one kind of mail; seconds of each mail."""

    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    peak: int = 0
    """Bytes of memory for one mail, beside what was there already."""
    graph_calls: float = 0
    """Requests to Graph for one mail."""
    refusal: str | None = None
    """Why this way cannot send this mail."""

    @property
    def cpu_median(self) -> float:
        """Seconds."""
        return statistics.median(self.cpu)

    @property
    def wall_median(self) -> float:
        """Seconds."""
        return statistics.median(self.wall)


Kinds = dict[str, dict[str, Sent]]
"""By kind of mail, by way."""


def measure(*, quick: bool) -> Kinds:
    """Every kind of mail through every way."""
    with world.signed_in(also_called=NAMES) as stack:
        world.change_simulator(stack, "options", {"graph": NO_LIMITS})
        stack.stop_host()
        with ExitStack() as running:
            # All begin to import at once; the first question waits for that.
            drivers = {
                delivery_mode: running.enter_context(_driver(stack, delivery_mode))
                for delivery_mode in WAYS
            }
            return {name: _measure(stack, drivers, name, quick=quick) for name in TITLES}


def versions() -> dict[str, str]:
    """Of the peers."""
    check_peers()
    script = "import importlib.metadata as m, json, sys; "
    script += "print(json.dumps({name: m.version(name) for name in sys.argv[1:]}))"
    answer = subprocess.run(  # noqa: S603 - our own script
        [str(PEERS_PYTHON), "-c", script, *PACKAGES], capture_output=True, text=True, check=True
    )
    found: dict[str, str] = json.loads(answer.stdout)
    return found


def graph_calls(stack: Stack, delivery_mode: str) -> dict[str, Mapping[str, int]]:
    """Requests to Graph for one mail of each kind, by operation."""
    found = {}
    with _driver(stack, delivery_mode) as driver:
        for letter in TITLES:
            driver.ask("warm", letter)
            _forget(stack)
            driver.ask("send", letter)
            found[letter] = _graph_counts(stack)
    return found


def _measure(
    stack: Stack, drivers: Mapping[str, Driver], letter: str, *, quick: bool
) -> dict[str, Sent]:
    rounds, mails = _QUICK_ROUNDS.get(letter, (2, 1)) if quick else _ROUNDS[letter]
    found = {delivery_mode: Sent() for delivery_mode in WAYS}
    print(f"  {TITLES[letter]}: {rounds * mails} mails through each", flush=True)
    order = list(WAYS)
    for turn in range(rounds):
        for delivery_mode in order:
            if found[delivery_mode].refusal is None:
                _send(stack, drivers[delivery_mode], found[delivery_mode], letter, mails)
        # Who goes first changes each time.
        order.append(order.pop(0))
        if (turn + 1) % 5 == 0 or turn + 1 == rounds:
            print(f"    round {turn + 1} of {rounds}", flush=True)
    for delivery_mode in WAYS:
        if found[delivery_mode].refusal is None:
            found[delivery_mode].peak = int(drivers[delivery_mode].ask("memory", letter)["peak"])
    _forget(stack)
    return found


def _send(stack: Stack, driver: Driver, sent: Sent, letter: str, mails: int) -> None:
    try:
        driver.ask("warm", letter)
        _forget(stack)
        answer = driver.ask("send", letter, mails)
    except KnownError as error:
        sent.refusal = str(error)
        return
    calls = _graph_counts(stack)
    arrived = _arrived(stack)
    if arrived != mails:
        sent.refusal = f"of {mails} mails that were answered as sent, {arrived} arrived"
        return
    sent.cpu += answer["cpu"]
    sent.wall += answer["wall"]
    sent.graph_calls = sum(calls.values()) / mails


class KnownError(Exception):
    """A way cannot send a mail; its own words."""


class Driver:
    """A running program of `bench/peers`."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self._process = process
        self._log = log
        self._ready = False

    def ask(self, what: str, letter: str, times: int = 1) -> dict[str, Any]:
        """Have it do something. Raises Refusal where that cannot be done."""
        if not self._ready:
            self._answer()
            self._ready = True
        self.tell({"do": what, "letter": letter, "times": times})
        answer = self._answer()
        if "error" in answer:
            raise KnownError(answer["error"])
        return answer

    def tell(self, document: object) -> None:
        """Write a line to it."""
        if self._process.stdin is None:
            raise RuntimeError("the driver has no input")
        self._process.stdin.write(f"{json.dumps(document)}\n")
        self._process.stdin.flush()

    def _answer(self) -> dict[str, Any]:
        if self._process.stdout is None:
            raise RuntimeError("the driver has no output")
        silence = threading.Timer(_SILENCE_SECONDS, self._process.kill)
        silence.start()
        line = self._process.stdout.readline()
        silence.cancel()
        if not line:
            said = self._log.read_text("utf-8", "replace")[-2000:]
            raise RuntimeError(f"a driver has ended, or said nothing for too long: {said}")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def _driver(stack: Stack, delivery_mode: str) -> Iterator[Driver]:
    own = delivery_mode == POSTROOM
    if not own:
        check_peers()
    command = [
        sys.executable if own else str(PEERS_PYTHON),
        "-m",
        f"bench.peers.{WAYS[delivery_mode]}",
    ]
    with tempfile.TemporaryDirectory(prefix="postroom-bench-") as directory:
        log = Path(directory) / "errors"
        with log.open("w") as errors:
            process = subprocess.Popen(  # noqa: S603 - our own program
                command,
                cwd=REPOSITORY,
                env={**environment(stack), **(stack.settings if own else {})},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        try:
            driver = Driver(process, log)
            driver.tell(addresses(stack))
            yield driver
        finally:
            process.kill()
            process.communicate()


def addresses(stack: Stack) -> dict[str, object]:
    """What a driver needs to know."""
    return {
        "mailbox": demo.MAILBOX,
        "tenant_id": stack.info["tenant_id"],
        "client_id": stack.info["client_id"],
        "client_secret": stack.info["client_secret"],
        "https_port": urlsplit(stack.info["graph_url"]).port,
    }


def environment(stack: Stack) -> dict[str, str]:
    """This machine's, without its proxies, and with trust in the simulator's certificate."""
    ca_file = str(stack.info["ca_file"])
    kept = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    return {**kept, "SSL_CERT_FILE": ca_file, "REQUESTS_CA_BUNDLE": ca_file}


def check_peers() -> None:
    """SystemExit where they are not installed."""
    if not PEERS_PYTHON.exists():
        raise SystemExit("the peers are not installed: `make bench` does it")


def _forget(stack: Stack) -> None:
    """Nothing has been asked or delivered; the mails leave the simulator's memory."""
    for path in ("counts", "deliveries"):
        control(stack, "DELETE", path)


def _graph_counts(stack: Stack) -> Mapping[str, int]:
    counts = world.simulator_counts(stack)
    return {name: count for name, count in counts.items() if name.startswith("graph.")}


def _arrived(stack: Stack) -> int:
    deliveries: Sequence[object] = control(stack, "GET", "deliveries")["deliveries"]
    return len(deliveries)


def control(stack: Stack, method: str, path: str) -> Any:
    """Ask the simulator's control surface."""
    with requests.Session() as session:
        session.trust_env = False
        answer = session.request(method, f"{stack.info['control_url']}/{path}", timeout=60)
    answer.raise_for_status()
    return answer.json()
