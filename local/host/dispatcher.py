"""Hands calls to the Python worker, replaces it when it dies or a call is out of time, and gives up
after the third death.

azure-functions-host `RpcFunctionInvocationDispatcher`, `WebScriptHostExceptionHandler`, and what was
seen of them (section 11.1): when the process dies, every call in it fails at once, and calls that
come meanwhile wait for the next process. When a call is out of time, a new process starts at once;
the old one has ten seconds for its other calls, and those that take longer hang until their own time
is over, and two seconds more.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

from local.host.functions import Function
from local.host.protocol import Failure, Indexed, Invocation, Outcome, Trigger
from local.host.worker_process import Start, Worker, WorkerDied

_LOG = logging.getLogger("host")


class InvocationFailed(Exception):
    """The function raised an error, ran out of time, or lost its process. It is already logged."""


class HostExhausted(Exception):
    """The worker died too often, or did not start."""


@dataclass(frozen=True)
class Timings:
    """In seconds. `drain`: for the neighbours of a call that is out of time. `after_timeout`: for
    calls of a worker that is gone already, and for HTTP callers, who wait for the drain as well.
    `deaths` without a pause of `window` end the host."""

    start: float = 60.0
    drain: float = 10.0
    after_timeout: float = 2.0
    deaths: int = 3
    window: float = 30 * 60.0


class Dispatcher:
    """`on_worker` gets the process id of each worker that is ready, `on_exhausted` is called once
    the host must end."""

    def __init__(
        self,
        start: Start,
        *,
        timeout: float | None,
        timings: Timings | None = None,
        on_worker: Callable[[int], None] = lambda pid: None,
        on_exhausted: Callable[[], None] = lambda: None,
    ) -> None:
        self._start = start
        self._timeout = timeout
        self._timings = timings or Timings()
        self._on_worker = on_worker
        self._on_exhausted = on_exhausted
        self._worker: Worker | None = None
        self._all: set[Worker] = set()
        self._replaced: set[Worker] = set()
        self._deaths: list[float] = []
        self._found: Indexed | None = None
        self._closed = threading.Event()
        self._changed = threading.Condition()

    def launch(self) -> None:
        """Start a worker; returns at once."""
        with self._changed:
            # Under the lock: `close` must find each worker that was started.
            if not self._closed.is_set():
                self._all.add(Worker(self._start, self))

    def functions(self) -> Indexed:
        """What the first worker found. Raises HostExhausted if none gets so far."""
        with self._changed:
            ready = self._changed.wait_for(
                lambda: self._found is not None or self._closed.is_set(), self._timings.start
            )
            if not ready or self._found is None:
                raise HostExhausted("the Python worker does not start")
            return self._found

    def invoke(
        self, function: Function, trigger: Trigger, trace_parent: str = "", trace_state: str = ""
    ) -> Outcome:
        """Run the function to its end and log it. Raises InvocationFailed on any failure."""
        call = Invocation(str(uuid.uuid4()), function.name, trigger, trace_parent, trace_state)
        began = time.monotonic()
        try:
            outcome = self._run(call, is_http=function.trigger.type == "httpTrigger")
        except WorkerDied as error:
            outcome = Outcome(call.id, Failure("WorkerProcessExitException", str(error)))
        except TimeoutError:
            text = f"Timeout value of {self._timeout:g} s exceeded by function {function.name}"
            outcome = Outcome(call.id, Failure("FunctionTimeoutException", text))
        _log(call, outcome, round((time.monotonic() - began) * 1000))
        if outcome.failure is not None:
            raise InvocationFailed
        return outcome

    @property
    def is_idle(self) -> bool:
        """Whether every call has been answered."""
        with self._changed:
            return all(worker.is_idle for worker in self._all)

    def close(self, seconds: float = 5.0) -> None:
        """End all workers; those that are not idle are killed after `seconds`."""
        with self._changed:
            self._closed.set()
            workers = list(self._all)
            self._changed.notify_all()
        for worker in workers:
            worker.stop(seconds)

    # What a worker tells, from its thread.

    def indexed(self, worker: Worker, found: Indexed) -> None:
        if found.problem is not None and self._found is not None:
            _LOG.error("the new Python worker has no functions: %s", found.problem)
        with self._changed:
            self._worker = worker
            self._found = self._found or found
            self._changed.notify_all()
        self._on_worker(worker.pid)

    def ended(self, worker: Worker, status: int) -> None:
        with self._changed:
            self._all.discard(worker)
            if self._worker is worker:
                self._worker = None
            # The calls of one that was replaced hang until their own time is over.
            expected = worker in self._replaced
            self._replaced.discard(worker)
        if expected or self._closed.is_set():
            return
        failed = worker.fail_calls(f"python exited with code {status}")
        _LOG.error("the Python worker ended with %s; %s calls have failed", status, failed)
        if self._is_one_too_many():
            _LOG.error(
                "Exceeded language worker restart retry count for runtime:python. "
                "Shutting down and proactively recycling the Functions Host to recover"
            )
            self._closed.set()
            with self._changed:
                self._changed.notify_all()
            self._on_exhausted()
        else:
            self.launch()

    def _is_one_too_many(self) -> bool:
        now = time.monotonic()
        if self._deaths and now - self._deaths[-1] > self._timings.window:
            self._deaths.clear()
        self._deaths.append(now)
        return len(self._deaths) >= self._timings.deaths

    def _run(self, call: Invocation, *, is_http: bool) -> Outcome:
        worker = self._ready()
        future = worker.call(call)
        try:
            return future.result(self._timeout)
        except TimeoutError:
            self._out_of_time(worker, future, is_http=is_http)
            raise

    def _ready(self) -> Worker:
        with self._changed:
            self._changed.wait_for(lambda: self._worker is not None or self._closed.is_set())
            if self._worker is None:
                raise WorkerDied("the host is ending")
            return self._worker

    def _out_of_time(self, worker: Worker, future: Future[Outcome], *, is_http: bool) -> None:
        """Replace the worker, unless another call has done so already, and wait as the real host
        does before it gives up."""
        first = self._replace(worker)
        wait = self._timings.after_timeout
        if first:
            wait = wait + self._timings.drain if is_http else 0.0
        self._closed.wait(wait)
        future.cancel()

    def _replace(self, worker: Worker) -> bool:
        with self._changed:
            if self._worker is not worker:
                return False
            self._worker = None
            self._replaced.add(worker)
        _LOG.warning("a function ran out of time: a new Python worker starts")
        self.launch()
        end = threading.Timer(self._timings.drain, worker.kill)
        end.daemon = True
        end.start()
        return True


def _log(call: Invocation, outcome: Outcome, milliseconds: int) -> None:
    """Log the end of a call as the real host does: an error with its message and its stack."""
    failure = outcome.failure
    about = f"Id={call.id}, Duration={milliseconds}ms"
    if failure is None:
        _LOG.info("Executed 'Functions.%s' (Succeeded, %s)", call.function, about)
        return
    stack = f"\nStack:\n{failure.stack.rstrip()}" if failure.stack else ""
    _LOG.error(
        "Executed 'Functions.%s' (Failed, %s)\nResult: Failure\nException: %s: %s%s",
        call.function,
        about,
        failure.error,
        failure.message,
        stack,
    )
