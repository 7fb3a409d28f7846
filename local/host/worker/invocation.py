"""Calls functions: plain ones in a thread pool, async ones on one event loop.

azure-functions-python-worker, `dispatcher.py`; the pool's size is
PYTHON_THREADPOOL_THREAD_COUNT, else Python's own default.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from local.host.protocol import Failure, Invocation, Outcome
from local.host.worker import conversions
from local.host.worker.context import THREAD_LOCAL, InvocationContext, Output, new_trace_parent
from local.host.worker.indexing import Loaded

_LOG = logging.getLogger("host")
_HERE = Path(__file__).parents[1]


class Invoker:
    """`send` gets the outcome of each invocation, in whatever order they end."""

    def __init__(
        self,
        functions: Mapping[str, Loaded],
        send: Callable[[Outcome], None],
        threads: int | None = None,
    ) -> None:
        self._functions = functions
        self._send = send
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="function")
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="event-loop", daemon=True).start()
        self._running = 0
        self._idle = threading.Condition()

    def start(self, invocation: Invocation) -> None:
        """Begin; returns at once."""
        with self._idle:
            self._running += 1
        loaded = self._functions.get(invocation.function)
        if loaded is None:
            self._end(Outcome(invocation.id, failure=_not_loaded(invocation.function)))
        elif loaded.is_async:
            asyncio.run_coroutine_threadsafe(self._call_async(loaded, invocation), self._loop)
        else:
            self._pool.submit(self._call, loaded, invocation)

    def wait_until_idle(self, timeout: float) -> bool:
        with self._idle:
            return self._idle.wait_for(lambda: self._running == 0, timeout)

    def _call(self, loaded: Loaded, invocation: Invocation) -> None:
        THREAD_LOCAL.invocation_id = invocation.id
        try:
            outputs, arguments = _arguments(loaded, invocation)
            outcome = _outcome(loaded, invocation, loaded.call(**arguments), outputs)
        except Exception as error:  # noqa: BLE001 - whatever a function raises fails its invocation
            outcome = Outcome(invocation.id, failure=_failure(error))
        self._end(outcome)

    async def _call_async(self, loaded: Loaded, invocation: Invocation) -> None:
        try:
            outputs, arguments = _arguments(loaded, invocation)
            outcome = _outcome(loaded, invocation, await loaded.call(**arguments), outputs)
        except Exception as error:  # noqa: BLE001 - as above
            outcome = Outcome(invocation.id, failure=_failure(error))
        self._end(outcome)

    def _end(self, outcome: Outcome) -> None:
        try:
            self._send(outcome)
        except OSError:
            _LOG.warning("a function has ended after its host: nobody gets its outcome")
        with self._idle:
            self._running -= 1
            self._idle.notify_all()


def _arguments(
    loaded: Loaded, invocation: Invocation
) -> tuple[dict[str, Output], dict[str, object]]:
    function = loaded.function
    outputs = {out.name: Output() for out in function.outputs if out.name != "$return"}
    arguments: dict[str, object] = {
        function.trigger.name: conversions.argument(invocation.trigger, loaded.trigger_type),
        **outputs,
    }
    if loaded.wants_context:
        arguments["context"] = InvocationContext(
            function.name,
            str(loaded.directory),
            invocation.trace_parent or new_trace_parent(),
            invocation.trace_state,
            invocation.id,
        )
    return outputs, arguments


def _outcome(
    loaded: Loaded, invocation: Invocation, returned: Any, outputs: Mapping[str, Output]
) -> Outcome:
    if returned is not None and not loaded.returns_output:
        raise TypeError("returned a value without a $return binding")
    response, queued = None, {}
    for output in loaded.function.outputs:
        value = returned if output.name == "$return" else outputs[output.name].get()
        if output.type == "http":
            response = conversions.response(value)
        elif value is not None:
            queued[output.name] = tuple(conversions.messages(value))
    return Outcome(invocation.id, response=response, outputs=queued)


def _failure(error: BaseException) -> Failure:
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not Path(frame.filename).is_relative_to(_HERE)]
    stack = "".join(traceback.format_list(own or frames))
    return Failure(type(error).__name__, str(error), stack)


def _not_loaded(name: str) -> Failure:
    return Failure("KeyError", f"function {name} is not loaded by this worker")
