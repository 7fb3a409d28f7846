"""Calls functions: plain ones in a thread pool, async ones on one event loop.

azure-functions-python-worker, `dispatcher.py`; the pool's size is
PYTHON_THREADPOOL_THREAD_COUNT, else Python's own default. On a function's time-out the host
restarts the worker process, and every other invocation in it fails too
(azure-functions-host, `WebScriptHostExceptionHandler`).
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import traceback
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.host.context import THREAD_LOCAL, InvocationContext, Output, new_trace_parent
from local.host.indexing import IndexedFunction

_LOG = logging.getLogger("host")


class InvocationFailed(Exception):
    """The function raised an error, broke its contract or ran out of time. It is already logged."""


@dataclass(frozen=True)
class Result:
    returned: Any
    outputs: Mapping[str, Any]


class Invoker:
    def __init__(self, *, threads: int | None = None, timeout: float | None = None) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="function")
        self._loop = asyncio.new_event_loop()
        self._loop_thread = threading.Thread(
            target=self._loop.run_forever, name="event-loop", daemon=True
        )
        self._loop_thread.start()
        self._timeout = timeout
        self._pending: set[Future[Any]] = set()
        self._lock = threading.Lock()
        self.idle = threading.Condition(self._lock)
        # Set when an invocation ran out of time: the process must then be replaced.
        self.broken = threading.Event()

    def invoke(
        self,
        function: IndexedFunction,
        argument: Any,
        *,
        trace_parent: str = "",
        trace_state: str = "",
    ) -> Result:
        """Run the function to its end and log one line. Raises InvocationFailed on any failure."""
        context = InvocationContext(
            function.name, str(function.directory), trace_parent or new_trace_parent(), trace_state
        )
        began = time.monotonic()
        try:
            result = self._run(function, argument, context)
        except _TimedOut as error:
            self._log(context, began, "timed out")
            raise InvocationFailed from error
        except Exception as error:
            self._log(context, began, f"failed: {where(error, function.directory)}")
            raise InvocationFailed from error
        self._log(context, began, "ok")
        return result

    def wait_until_idle(self, timeout: float) -> bool:
        with self.idle:
            return self.idle.wait_for(lambda: not self._pending, timeout)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._loop_thread.join(1.0)
        if not self._loop.is_running():
            self._loop.close()

    def _run(self, function: IndexedFunction, argument: Any, context: InvocationContext) -> Result:
        outputs = {out.name: Output() for out in function.outputs if out.name != "$return"}
        arguments: dict[str, Any] = {function.trigger.name: argument, **outputs}
        if function.wants_context:
            arguments["context"] = context
        returned = self._wait(self._start(function, arguments, context))
        if returned is not None and not function.returns_output:
            raise TypeError("returned a value without a $return binding")
        return Result(returned, {name: out.get() for name, out in outputs.items()})

    def _start(
        self, function: IndexedFunction, arguments: dict[str, Any], context: InvocationContext
    ) -> Future[Any]:
        if function.is_async:
            return asyncio.run_coroutine_threadsafe(function.call(**arguments), self._loop)

        def call() -> Any:
            THREAD_LOCAL.invocation_id = context.invocation_id
            return function.call(**arguments)

        return self._pool.submit(call)

    def _wait(self, future: Future[Any]) -> Any:
        with self._lock:
            self._pending.add(future)
        try:
            return self._outcome(future)
        finally:
            with self.idle:
                self._pending.discard(future)
                self.idle.notify_all()

    def _outcome(self, future: Future[Any]) -> Any:
        deadline = None if self._timeout is None else time.monotonic() + self._timeout
        while True:
            left = None if deadline is None else deadline - time.monotonic()
            try:
                # A thread cannot be stopped, but the caller need not wait for it.
                return future.result(None if left is None else max(0.0, min(left, 1.0)))
            except FutureTimeout:
                if future.done():
                    # It has ended just now, or the function itself raised the TimeoutError.
                    return future.result()
                if deadline is not None and time.monotonic() >= deadline:
                    self.broken.set()
                if self.broken.is_set():
                    raise _TimedOut from None

    def _log(self, context: InvocationContext, began: float, outcome: str) -> None:
        _LOG.info(
            "%s %s %.0f ms %s",
            context.function_name,
            context.invocation_id,
            (time.monotonic() - began) * 1000,
            outcome,
        )


class _TimedOut(Exception):
    """This invocation, or another one in the same process, ran out of time."""


def where(error: BaseException, root: Path) -> str:
    """An error's class and the app's own frames, innermost first, without its message.

    Messages may quote bodies, addresses or keys, which the host never writes to a log.
    """
    frames = []
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if path.is_relative_to(root) and "site-packages" not in path.parts:
            frames.append(f"{path.relative_to(root)}:{frame.lineno} {frame.name}")
    inside = [frame for frame in frames if not frame.startswith("local/host/")]
    return " < ".join([type(error).__name__, *inside[:4]])
