"""Handles requests about messages: reads the request, calls `GraphState`, writes the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.simulator.graph import compose, mime, reading
from local.simulator.graph.access import Access
from local.simulator.graph.errors import (
    RequestBodyRead,
    UnableToDeserializePostBody,
    UnsupportedMediaType,
)
from local.simulator.graph.items import Message
from local.simulator.graph.query import Page, applied, counted, message_page, view
from local.simulator.graph.serving import accepted
from local.simulator.graph.shape import entity, message_json
from local.simulator.wire import Request, Response

if TYPE_CHECKING:
    from local.simulator.graph.state import GraphState

OVERSIZE_MIME = 2_240 * 1024


def is_mime(request: Request) -> bool:
    """Whether the body is MIME, by its content type; else it is JSON."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not content_type:
        raise RequestBodyRead
    if content_type not in ("application/json", "text/plain"):
        raise UnsupportedMediaType
    return content_type == "text/plain"


def send_mail(graph: GraphState, access: Access, request: Request) -> Response:
    """POST sendMail [api: user-sendmail]."""
    if is_mime(request):
        message, save = mime.submitted(request.body, graph.clock.now()), True
        if _swallowed(graph, message):
            return Response(200)
    else:
        parameters = reading.action(request.body, "message", ("saveToSentItems",))
        message = reading.message(parameters["message"], graph.clock.now())
        saved = parameters.get("saveToSentItems")
        save = True if saved is None else reading.boolean(saved, strings=True)
    graph.send(access, message, save=save)
    return accepted()


def create_message(graph: GraphState, access: Access, request: Request) -> Response:
    """POST messages: the bare message, or MIME [api: user-post-messages]."""
    folder = request.params.get("folder")
    if is_mime(request):
        if folder is not None:
            raise UnableToDeserializePostBody
        message = mime.submitted(request.body, graph.clock.now())
        if _swallowed(graph, message):
            return Response(200)
    else:
        message = reading.message(reading.document(request.body), graph.clock.now())
    graph.create(access, message, folder or "drafts")
    return answer(message, access, request, status=201)


def _swallowed(graph: GraphState, message: Message) -> bool:
    """Whether oversize MIME is answered with 200 and then dropped [MGD#13979]."""
    source = message.mime or b""
    return graph.options.oversize_mime_swallowed and len(source) >= OVERSIZE_MIME


def answer(message: Message, access: Access, request: Request, status: int = 200) -> Response:
    seen = view(request, access)
    location = f"{request.base_url}/v1.0/users/{access.user.object_id}/messages/{message.id}"
    headers = [*applied(seen), *([("Location", location)] if status == 201 else [])]
    return Response.of_json(status, entity(message, seen), headers)


def get_message(graph: GraphState, access: Access, request: Request) -> Response:
    return answer(graph.find(access, request.params["id"]), access, request)


def update_message(graph: GraphState, access: Access, request: Request) -> Response:
    """[api: message-update]"""
    changes = reading.document(request.body)
    return answer(graph.update(access, request.params["id"], changes), access, request)


def delete_message(graph: GraphState, access: Access, request: Request) -> Response:
    graph.delete(access, request.params["id"])
    return Response(204)


def purge_message(graph: GraphState, access: Access, request: Request) -> Response:
    """[api: message-permanentdelete]"""
    graph.purge(access, request.params["id"])
    return Response(204)


def send_message(graph: GraphState, access: Access, request: Request) -> Response:
    """POST messages/{id}/send [api: message-send]."""
    graph.send_draft(access, request.params["id"])
    return accepted()


def message_source(graph: GraphState, access: Access, request: Request) -> Response:
    """GET messages/{id}/$value: the MIME source [api: message-get]."""
    message = graph.find(access, request.params["id"])
    own = message.folder != "inbox"
    source = compose.source_of(message, with_bcc=own)
    return Response(200, source, (("Content-Type", "text/plain"),))


def list_messages(graph: GraphState, access: Access, request: Request) -> Response:
    """All folders, or one [api: user-list-messages]."""
    seen = view(request, access)
    found = message_page(request, access, graph.listed(access, request.params.get("folder")))
    value = [message_json(one, seen) for one in found.items]
    document = collection(seen.context, value, found, count=counted(request))
    return Response.of_json(200, document, applied(seen))


def collection(context: str, value: list[Any], page: Page, *, count: bool) -> dict[str, Any]:
    """One page of a list."""
    document: dict[str, Any] = {"@odata.context": context}
    if count:
        document["@odata.count"] = page.total
    document["value"] = value
    if page.next_link is not None:
        document["@odata.nextLink"] = page.next_link
    return document


def plain_count(total: int) -> Response:
    """GET .../$count."""
    return Response(200, str(total).encode(), (("Content-Type", "text/plain"),))


def count_messages(graph: GraphState, access: Access, request: Request) -> Response:
    found = message_page(request, access, graph.listed(access, request.params.get("folder")))
    return plain_count(found.total)
