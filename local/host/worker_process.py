"""One Python process of a host: how it is started, and the calls that it has not answered yet."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from local.host.channel import Channel
from local.host.protocol import Indexed, Invocation, Outcome

_THREADS = "PYTHON_THREADPOOL_THREAD_COUNT"


class WorkerDied(Exception):
    """The Python process ended, or never got the call."""


class WorkerEvents(Protocol):
    """What a worker tells its host, from a thread of its own."""

    def indexed(self, worker: Worker, found: Indexed) -> None: ...

    def ended(self, worker: Worker, status: int) -> None: ...


@dataclass(frozen=True)
class Launch:
    """How to start a worker. `platform` is the reading end of the platform's pipe."""

    app_directory: Path
    settings: Mapping[str, str]
    platform: int

    def __call__(self) -> tuple[subprocess.Popen[bytes], Channel]:
        ours, theirs = socket.socketpair()
        with theirs:
            process = subprocess.Popen(  # noqa: S603 - our own module
                self._command(theirs.fileno()),
                pass_fds=(theirs.fileno(), self.platform),
                stdin=subprocess.DEVNULL,
                # The host sets the number of threads where the app does not: seen in Azure.
                env={_THREADS: "1000", **os.environ, **self.settings},
            )
        return process, Channel(ours)

    def _command(self, channel: int) -> list[str]:
        command = [sys.executable, "-m", "local.host.worker", "--app-dir", str(self.app_directory)]
        return [*command, "--channel-fd", str(channel), "--platform-fd", str(self.platform)]


Start = Callable[[], tuple[subprocess.Popen[bytes], Channel]]


class Worker:
    """Starts its process at once."""

    def __init__(self, start: Start, events: WorkerEvents) -> None:
        self._process, self._channel = start()
        self._events = events
        self._waiting: dict[str, Future[Outcome]] = {}
        self._lock = threading.Lock()
        self._gone = False
        self.pid = self._process.pid
        threading.Thread(target=self._listen, name=f"worker-{self.pid}", daemon=True).start()

    def call(self, invocation: Invocation) -> Future[Outcome]:
        """Send it. The future raises WorkerDied if `fail_calls` comes before the outcome."""
        future: Future[Outcome] = Future()
        with self._lock:
            if self._gone:
                raise WorkerDied("the Python process has ended")
            self._waiting[invocation.id] = future
        try:
            self._channel.send(invocation)
        except OSError as error:
            raise WorkerDied("the Python process has ended") from error
        return future

    def fail_calls(self, reason: str) -> int:
        """Fail all that was not answered. Returns how many calls that were."""
        with self._lock:
            self._gone = True
            waiting, self._waiting = list(self._waiting.values()), {}
        for future in waiting:
            with contextlib.suppress(InvalidStateError):
                future.set_exception(WorkerDied(reason))
        return len(waiting)

    @property
    def is_idle(self) -> bool:
        """Whether it has answered every call."""
        with self._lock:
            return not self._waiting

    def stop(self, seconds: float) -> None:
        """Close the channel, upon which an idle worker ends, and kill it after `seconds`."""
        self._channel.close()
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    def _listen(self) -> None:
        while (message := self._channel.receive()) is not None:
            if isinstance(message, Indexed):
                self._events.indexed(self, message)
            elif isinstance(message, Outcome):
                self._settle(message)
        self._channel.close()
        self._events.ended(self, self._process.wait())

    def _settle(self, outcome: Outcome) -> None:
        with self._lock:
            future = self._waiting.pop(outcome.id, None)
        if future is not None:
            # A call that is out of time has given it up.
            with contextlib.suppress(InvalidStateError):
                future.set_result(outcome)
