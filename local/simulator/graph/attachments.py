"""Handles requests about attachments: lists, posts, and uploads in chunks (graph-mail.md 2.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from local.simulator.graph import reading
from local.simulator.graph.access import Access
from local.simulator.graph.errors import (
    InvalidAudienceForResource,
    ItemNotFound,
    RequiredPropertyMissing,
    UnableToDeserializePostBody,
)
from local.simulator.graph.expand import attachment_expand, selected
from local.simulator.graph.items import FILE, Attachment
from local.simulator.graph.query import option
from local.simulator.graph.query_errors import MethodNotAllowed
from local.simulator.graph.serving import answering, uploaded
from local.simulator.graph.shape import View, attachment_json, timestamp
from local.simulator.graph.uploads import AttachmentItem, Session
from local.simulator.wire import Handler, Request, Response

if TYPE_CHECKING:
    from local.simulator.graph.state import GraphState

API = "/api/v2.0/"
"""Where Outlook's own API is, at the host of upload URLs."""

_ITEM_FIELDS = {"attachmentType", "name", "size", "contentType", "isInline", "contentId"}


def _view(request: Request, access: Access) -> View:
    """How this request wants its attachments."""
    return View(
        base_url=request.base_url,
        owner=access.user.object_id,
        select=selected(option(request, "select")),
        expand_items=attachment_expand(option(request, "expand")),
    )


def list_attachments(graph: GraphState, access: Access, request: Request) -> Response:
    seen = _view(request, access)
    message = graph.find(access, request.params["id"])
    value = [attachment_json(one, seen) for one in message.attachments]
    context = f"{seen.context}('{quote(message.id)}')/attachments"
    return Response.of_json(200, {"@odata.context": context, "value": value})


def _found(graph: GraphState, access: Access, request: Request) -> Attachment:
    message = graph.find(access, request.params["id"])
    for one in message.attachments:
        if one.id == request.params["attachment"]:
            return one
    raise ItemNotFound


def _answer(one: Attachment, access: Access, request: Request, status: int) -> Response:
    seen = _view(request, access)
    context = f"{seen.context}('{quote(request.params['id'])}')/attachments/$entity"
    return Response.of_json(status, {"@odata.context": context, **attachment_json(one, seen)})


def get_attachment(graph: GraphState, access: Access, request: Request) -> Response:
    return _answer(_found(graph, access, request), access, request, 200)


def attachment_content(graph: GraphState, access: Access, request: Request) -> Response:
    """GET attachments/{id}/$value; that of an attached message is its MIME [api: attachment-get]."""
    one = _found(graph, access, request)
    kind = one.content_type if one.kind == FILE else "text/plain"
    return Response(200, one.content, (("Content-Type", kind),))


def add_attachment(graph: GraphState, access: Access, request: Request) -> Response:
    """[api: message-post-attachments]"""
    posted = reading.attachment(reading.document(request.body), graph.clock.now())
    return _answer(graph.attach(access, request.params["id"], posted), access, request, 201)


def delete_attachment(graph: GraphState, access: Access, request: Request) -> Response:
    graph.detach(access, request.params["id"], request.params["attachment"])
    return Response(204)


def create_upload_session(graph: GraphState, access: Access, request: Request) -> Response:
    """[api: attachment-createuploadsession]"""
    parameters = reading.action(request.body, "attachmentItem")
    item = _item(parameters["attachmentItem"])
    session = graph.open_session(access, request.params["id"], item)
    base = graph.upload_address.base(request.base_url)
    document = {
        "@odata.context": f"{request.base_url}/v1.0/$metadata#microsoft.graph.uploadSession",
        "uploadUrl": f"{base}{API}{_message_path(session)}/AttachmentSessions('{session.id}')"
        f"?authtoken={session.token}",
        "expirationDateTime": timestamp(session.expires),
        "nextExpectedRanges": ["0-"],
    }
    return Response.of_json(201, document)


def _message_path(session: Session) -> str:
    owner = f"{session.mailbox.id}@{session.mailbox.tenant_id}"
    return f"Users('{owner}')/Messages('{quote(session.draft.id)}')"


def _item(value: object) -> AttachmentItem:
    members = reading.mapping(value)
    members.pop("@odata.type", None)
    if members.keys() - _ITEM_FIELDS:
        raise UnableToDeserializePostBody
    kind, name, size = (members.get(key) for key in ("attachmentType", "name", "size"))
    if kind is None or name is None or size is None:
        raise RequiredPropertyMissing
    if not isinstance(kind, str) or not isinstance(name, str) or type(size) is not int:
        raise UnableToDeserializePostBody
    return AttachmentItem(
        kind=kind,
        name=name,
        size=size,
        content_type=str(members.get("contentType") or "application/octet-stream"),
        is_inline=reading.boolean(members.get("isInline") or False),
        content_id=members.get("contentId"),
    )


def _session(graph: GraphState, request: Request) -> Session:
    """The session. Its URL is the authorisation: an access token is refused
    [microsoftgraph/msgraph-sdk-java#409]."""
    if "authorization" in request.headers:
        raise InvalidAudienceForResource
    return graph.find_session(request.params["session"], request.query.get("authtoken", ""))


def upload_chunk(graph: GraphState) -> Handler:
    """PUT uploadUrl: 200 with the next expected range; after the last chunk 201 with an empty
    body."""

    def put(request: Request) -> Response:
        session = _session(graph, request)
        with graph.throttle.slot(session.application, session.mailbox.id, uploaded(request)):
            content_range = request.headers.get("content-range", "")
            attachment = graph.add_chunk(session, content_range, request.body)
        if attachment is None:
            return _progress(session, request, "ExpirationDateTime")
        message = f"{request.base_url}{API}{_message_path(session)}"
        place = f"{message}/Attachments('{quote(attachment.id)}')"
        return Response(201, b"", (("Location", place),))

    return answering(graph, put)


def upload_status(graph: GraphState) -> Handler:
    """GET uploadUrl: how much has arrived, as the other upload sessions of Graph say it
    [api: driveitem-createuploadsession]. UNCONFIRMED for Outlook."""

    def get(request: Request) -> Response:
        session = _session(graph, request)
        if not graph.options.upload_status_get:
            raise MethodNotAllowed
        return _progress(session, request, "expirationDateTime")

    return answering(graph, get)


def _progress(session: Session, request: Request, expires: str) -> Response:
    message = f"{request.base_url}{API}$metadata#{_message_path(session)}"
    document = {
        "@odata.context": f"{message}/AttachmentSessions/$entity",
        expires: timestamp(session.expires),
        "nextExpectedRanges": [str(len(session.received))],
    }
    return Response.of_json(200, document)


def cancel_upload(graph: GraphState) -> Handler:
    """DELETE uploadUrl."""

    def delete(request: Request) -> Response:
        graph.close_session(_session(graph, request))
        return Response(204)

    return answering(graph, delete)
