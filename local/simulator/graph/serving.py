"""The steps of every request to the mail service: token, throttle, mailbox, errors, ids."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING

from local.simulator.graph import query_options
from local.simulator.graph.access import Access, bearer, enter, mailbox_owner, named_user
from local.simulator.graph.errors import (
    GraphError,
    InvalidAudienceForResource,
    RequestTooLong,
)
from local.simulator.wire import Handler, Request, Response

if TYPE_CHECKING:
    from local.simulator.graph.state import GraphState

MAXIMUM_BODY = 4 * 1024 * 1024

GATEWAY_413 = (
    "<html>\r\n<head><title>413 Request Entity Too Large</title></head>\r\n<body>\r\n"
    "<center><h1>413 Request Entity Too Large</h1></center>\r\n</body>\r\n</html>\r\n"
)

Work = Callable[[Request], Response]
MailboxWork = Callable[[Access, Request], Response]


def answering(graph: GraphState, work: Work) -> Handler:
    """Turn errors into Graph's error object, and add the ids to every answer (graph-mail.md
    9.1)."""

    def handler(request: Request) -> Response:
        request_id, now = str(uuid.uuid4()), graph.clock.now()
        try:
            response = work(request)
        except GraphError as error:
            response = answer_of(error, request, request_id, now)
        return identified(response, request, request_id, now)

    return handler


def identified(response: Response, request: Request, request_id: str, now: datetime) -> Response:
    """An answer with its ids. `client-request-id` is the client's own, or a copy of the
    server's."""
    ids = (
        ("request-id", request_id),
        ("client-request-id", client_request_id(request) or request_id),
        ("x-ms-ags-diagnostic", '{"ServerInfo":{"DataCenter":"Simulator","Slice":"E"}}'),
        ("Cache-Control", "private"),
        ("Date", format_datetime(now, usegmt=True)),
    )
    return replace(response, headers=(*response.headers, *ids))


def in_mailbox(
    graph: GraphState, permissions: tuple[str, ...], options: frozenset[str], work: MailboxWork
) -> Handler:
    """Work inside the mailbox that `/me` or `/users/{user}` names. `options` are the query options
    that the work executes."""

    def inside(request: Request) -> Response:
        if len(request.body) > MAXIMUM_BODY:
            if graph.options.large_body_as_json:
                raise RequestTooLong
            return Response.of_html(413, GATEWAY_413)
        claims = bearer(request.headers.get("authorization", ""), graph.tokens)
        user = mailbox_owner(claims, named_user(request), graph.directory)
        with graph.throttle.slot(claims.client_id, user.object_id, uploaded(request)):
            _take_time(graph)
            access = enter(claims, user, graph.mailboxes_for_applications(user.tenant_id))
            access.require(permissions)
            query_options.check(request, options, collection=options in query_options.COLLECTIONS)
            folder, item = (request.params.get(name) for name in ("folder", "id"))
            if folder is not None and item is not None:
                graph.check_place(access, item, folder)
            return work(access, request)

    return answering(graph, inside)


def _take_time(graph: GraphState) -> None:
    if graph.options.latency_seconds > 0:
        time.sleep(graph.options.latency_seconds)


def uploaded(request: Request) -> int:
    """The bytes that count for the upload window: PATCH, POST and PUT [inc: throttling-outlook]."""
    return len(request.body) if request.method in ("PATCH", "POST", "PUT") else 0


def answer_of(error: GraphError, request: Request, request_id: str, now: datetime) -> Response:
    """The error object of graph-mail.md 1.8."""
    document: dict[str, object] = {"code": error.code, "message": error.message}
    date = now.strftime("%Y-%m-%dT%H:%M:%S")
    if isinstance(error, InvalidAudienceForResource):
        document["innerError"] = {
            "oAuthEventOperationId": str(uuid.uuid4()),
            "oAuthEventcV": "simulated.1.1",
            "errorUrl": "https://aka.ms/autherrors#error-InvalidResource",
            "requestId": request_id,
            "date": date,
        }
    elif error.has_inner_error:
        document["innerError"] = {
            "date": date,
            "request-id": request_id,
            "client-request-id": client_request_id(request) or request_id,
        }
    answer = Response.of_json(error.status, {"error": document}, error.headers)
    return replace(answer, unsupported=error.unsupported)


def client_request_id(request: Request) -> str | None:
    return request.headers.get("client-request-id")


def accepted() -> Response:
    """202 with a truly empty body [api: user-sendmail]."""
    return Response(202)
