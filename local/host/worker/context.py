"""The objects that a function gets as `context` and as `func.Out`.

https://learn.microsoft.com/azure/azure-functions/functions-reference-python#context
"""

from __future__ import annotations

import secrets
import threading
import uuid
from dataclasses import dataclass, field
from typing import Any

import azure.functions as func
from azure.functions._abc import RetryContext, RpcException, TraceContext

# One for each process, as in the worker: threads of the app copy the invocation id into it for
# their logs.
THREAD_LOCAL = threading.local()


class _Trace(TraceContext):
    def __init__(self, parent: str, state: str) -> None:
        self._parent, self._state = parent, state

    @property
    def trace_parent(self) -> str:
        return self._parent

    @property
    def trace_state(self) -> str:
        return self._state

    @property
    def attributes(self) -> dict[str, str]:
        return {}


class _NoRetry(RetryContext):
    @property
    def retry_count(self) -> int:
        return 0

    @property
    def max_retry_count(self) -> int:
        return 0

    @property
    def exception(self) -> RpcException:
        # The worker gives None on a first attempt, although the type says otherwise.
        return None  # type: ignore[return-value]


@dataclass(frozen=True)
class InvocationContext(func.Context):
    name: str
    directory: str
    trace_parent: str = ""
    trace_state: str = ""
    identity: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def invocation_id(self) -> str:
        return self.identity

    @property
    def thread_local_storage(self) -> Any:
        return THREAD_LOCAL

    @property
    def function_name(self) -> str:
        return self.name

    @property
    def function_directory(self) -> str:
        return self.directory

    @property
    def trace_context(self) -> TraceContext:
        return _Trace(self.trace_parent, self.trace_state)

    @property
    def retry_context(self) -> RetryContext:
        return _NoRetry()


class Output(func.Out[Any]):
    """Keeps what the function sets until it has returned."""

    def __init__(self) -> None:
        self._value: Any = None

    def set(self, val: Any) -> None:
        self._value = val

    def get(self) -> Any:
        return self._value


def new_trace_parent() -> str:
    """https://www.w3.org/TR/trace-context/#traceparent-header"""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-00"
