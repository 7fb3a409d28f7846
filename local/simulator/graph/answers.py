"""Handles replies and forwarded messages, sent at once or as drafts (`replies` writes them), and
moves and copies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.simulator.graph import mime, reading
from local.simulator.graph.access import Access, primary
from local.simulator.graph.errors import InvalidAnswer, InvalidReferenceItem
from local.simulator.graph.handlers import answer, is_mime
from local.simulator.graph.items import Message
from local.simulator.graph.replies import Kind, answer_to, answered
from local.simulator.graph.serving import accepted
from local.simulator.wire import Request, Response

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.simulator.graph.state import GraphState

    Work = Callable[[GraphState, Access, Request], Response]

PARAMETERS = {"comment", "message"}
FORWARD_PARAMETERS = PARAMETERS | {"toRecipients"}


def sent(kind: Kind) -> Work:
    """POST reply, replyAll, forward [api: message-reply]."""

    def post(graph: GraphState, access: Access, request: Request) -> Response:
        graph.send(access, _written(graph, access, request, kind, needs_recipients=True))
        return accepted()

    return post


def drafted(kind: Kind) -> Work:
    """POST createReply, createReplyAll, createForward [api: message-createreply]."""

    def post(graph: GraphState, access: Access, request: Request) -> Response:
        written = _written(graph, access, request, kind, needs_recipients=False)
        return answer(graph.create(access, written), access, request, status=201)

    return post


def move_message(graph: GraphState, access: Access, request: Request) -> Response:
    """[api: message-move]"""
    moved = graph.move(access, request.params["id"], _destination(request))
    return answer(moved, access, request, status=201)


def copy_message(graph: GraphState, access: Access, request: Request) -> Response:
    """[api: message-copy]"""
    copied = graph.copy(access, request.params["id"], _destination(request))
    return answer(copied, access, request, status=201)


def _destination(request: Request) -> str:
    return reading.text(reading.action(request.body, "destinationId")["destinationId"])


def _written(
    graph: GraphState, access: Access, request: Request, kind: Kind, *, needs_recipients: bool
) -> Message:
    original = graph.find(access, request.params["id"])
    if original.is_draft:
        raise InvalidReferenceItem
    own = access.user.addresses | {primary(access.user).key}
    if request.body.strip() and is_mime(request):
        message = mime.submitted(request.body, graph.clock.now())
        message.conversation_id = original.conversation_id
        if kind != "forward" and not message.recipients:
            message.to = answered(original, own)
        return message
    parameters = _parameters(request, kind)
    changes = reading.mapping(parameters.get("message") or {})
    comment = reading.text(parameters.get("comment") or "")
    _check(parameters, changes, comment, kind, needs_recipients=needs_recipients)
    message = answer_to(original, kind, comment, own, graph.clock.now())
    carried = message.attachments
    reading.fill(message, changes, graph.clock.now())
    if "attachments" in changes:
        message.attachments = [*carried, *message.attachments]
    if parameters.get("toRecipients"):
        reading.fill(message, {"toRecipients": parameters["toRecipients"]}, graph.clock.now())
    return message


def _parameters(request: Request, kind: Kind) -> dict[str, Any]:
    if not request.body.strip():
        return {}
    allowed = FORWARD_PARAMETERS if kind == "forward" else PARAMETERS
    return reading.parameters(request.body, allowed)


def _check(
    parameters: dict[str, Any],
    changes: dict[str, Any],
    comment: str,
    kind: Kind,
    *,
    needs_recipients: bool,
) -> None:
    if comment and changes.get("body"):
        raise InvalidAnswer
    if kind == "forward":
        named = sum(bool(one.get("toRecipients")) for one in (parameters, changes))
        if named > 1 or (needs_recipients and not named):
            raise InvalidAnswer
