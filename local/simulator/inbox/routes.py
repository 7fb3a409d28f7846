"""The paths of the inbox page. They need no token: only people at this machine use it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from local.simulator.inbox import handlers
from local.simulator.wire import Request, Response, Route

if TYPE_CHECKING:
    from local.simulator.graph.state import GraphState
    from local.simulator.state import SimulatorState

Show = Callable[["GraphState", Request], Response]

_PATHS: tuple[tuple[str, str, Show], ...] = (
    ("inbox.list", "/inbox", handlers.show_list),
    ("inbox.list", "/inbox/", handlers.show_list),
    ("inbox.style", "/inbox/style.css", handlers.style),
    ("inbox.mail", "/inbox/{id}", handlers.show_mail),
    ("inbox.source", "/inbox/{id}/source", handlers.source),
    ("inbox.attachment", "/inbox/{id}/attachments/{index}", handlers.attachment),
)


def routes(state: SimulatorState) -> list[Route]:
    return [Route(name, "GET", path, partial(show, state.graph)) for name, path, show in _PATHS]
