"""What a host and its Python worker say to each other.

The real ones speak gRPC (azure-functions-language-worker-protobuf). The names here follow that
protocol where they mean the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from local.host.functions import Function
from local.host.messages import Response


@dataclass(frozen=True)
class HttpTrigger:
    method: str
    url: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    parameters: Mapping[str, str]
    body: bytes = field(repr=False)


@dataclass(frozen=True)
class QueueTrigger:
    """`metadata`: type and value of each, as the host sends them to the worker."""

    body: str = field(repr=False)
    metadata: Mapping[str, tuple[str, str]]


@dataclass(frozen=True)
class TimerTrigger:
    """`text` is a JSON object."""

    text: str


Trigger = HttpTrigger | QueueTrigger | TimerTrigger


@dataclass(frozen=True)
class Indexed:
    """A worker's first message. `problem` says why there are no functions, and `logged` whether
    Azure's log has that reason too."""

    functions: tuple[Function, ...] = ()
    problem: str | None = None
    logged: bool = False


@dataclass(frozen=True)
class Invocation:
    id: str
    function: str
    trigger: Trigger
    trace_parent: str = ""
    trace_state: str = ""


@dataclass(frozen=True)
class Failure:
    """An error of a function: class, message and stack, as the host logs them."""

    error: str
    message: str
    stack: str = ""


@dataclass(frozen=True)
class Outcome:
    """How an invocation ended. `outputs`: what the function put into each queue output."""

    id: str
    failure: Failure | None = None
    response: Response | None = None
    outputs: Mapping[str, tuple[bytes, ...]] = field(default_factory=dict)
