"""What the fault machinery needs of this service: its error document, and the mailbox of a
request."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from local.simulator.entra.tokens import TokenProblem
from local.simulator.graph.access import named_user
from local.simulator.graph.errors import GraphError
from local.simulator.graph.serving import answer_of, identified
from local.simulator.wire import Request, Response

if TYPE_CHECKING:
    from local.simulator.faults import Fault
    from local.simulator.graph.state import GraphState

CODES = {
    429: "ApplicationThrottled",
    500: "ErrorInternalServerError",
    503: "ErrorServerBusy",
    504: "UnknownError",
}
"""Graph's code for a status, if a fault names none (graph-mail.md 1.8)."""


def fault_answer(graph: GraphState, fault: Fault, request: Request) -> Response:
    """A fault in the form of Graph's errors."""
    error = GraphError(fault.message if fault.message is not None else "Simulated fault.")
    error.status = fault.status
    error.code = str(fault.code or CODES.get(fault.status, "UnknownError"))
    request_id, now = str(uuid.uuid4()), graph.clock.now()
    return identified(answer_of(error, request, request_id, now), request, request_id, now)


def mailbox_of(graph: GraphState, request: Request) -> str | None:
    """The address of the mailbox that a request is about; None if the request does not show it."""
    named = named_user(request)
    if named is None:
        named = _caller(graph, request) or _session_owner(graph, request)
    user = graph.directory.find(named) if named else None
    return user.address if user else named


def _caller(graph: GraphState, request: Request) -> str | None:
    token = request.headers.get("authorization", "").partition(" ")[2].strip()
    try:
        return graph.tokens.find(token).address
    except TokenProblem:
        return None


def _session_owner(graph: GraphState, request: Request) -> str | None:
    session = request.params.get("session")
    return graph.session_owner(session) if session else None
