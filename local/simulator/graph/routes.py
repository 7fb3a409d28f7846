"""The paths of the simulated mail service, with the permissions that each needs (graph-mail.md
5.1)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from local.simulator.graph import attachments as files
from local.simulator.graph import handlers
from local.simulator.graph.access import READ, READ_BASIC, SEND, WRITE, Access
from local.simulator.graph.batch import batch, dispatcher
from local.simulator.graph.errors import BadRequest
from local.simulator.graph.hooks import fault_answer, mailbox_of
from local.simulator.graph.serving import answering, in_mailbox
from local.simulator.graph.state import GraphState
from local.simulator.graph.users import get_user
from local.simulator.state import Hooks
from local.simulator.wire import Handler, Request, Response, Route

if TYPE_CHECKING:
    from local.simulator.state import SimulatorState

OWNERS = ("/v1.0/me", "/v1.0/users/{user}", "/v1.0/users('{user_literal}')")
"""A name that begins with '$' is written as `users('...')` [api: user-get]; `access.named_user`
reads the name."""

FOLDERS = ("/mailFolders/{folder}", "/mailFolders('{folder}')")
SESSION = files.UPLOAD_PREFIX + "/api/v2.0/AttachmentSessions('{session}')"

Work = Callable[[GraphState, Access, Request], Response]

_ONE = "/messages/{id}"
_FILES = "/messages/{id}/attachments"

_MAILBOX: tuple[tuple[str, str, str, tuple[str, ...], Work], ...] = (
    ("send_mail", "POST", "/sendMail", SEND, handlers.send_mail),
    ("create_message", "POST", "/messages", WRITE, handlers.create_message),
    ("list_messages", "GET", "/messages", READ_BASIC, handlers.list_messages),
    ("count_messages", "GET", "/messages/$count", READ_BASIC, handlers.count_messages),
    ("get_message", "GET", _ONE, READ_BASIC, handlers.get_message),
    ("update_message", "PATCH", _ONE, WRITE, handlers.update_message),
    ("delete_message", "DELETE", _ONE, WRITE, handlers.delete_message),
    ("purge_message", "POST", _ONE + "/permanentDelete", WRITE, handlers.purge_message),
    ("send_message", "POST", _ONE + "/send", SEND, handlers.send_message),
    ("message_source", "GET", _ONE + "/$value", READ, handlers.message_source),
    ("list_attachments", "GET", _FILES, READ, files.list_attachments),
    ("add_attachment", "POST", _FILES, WRITE, files.add_attachment),
    (
        "create_upload_session",
        "POST",
        _FILES + "/createUploadSession",
        WRITE,
        files.create_upload_session,
    ),
    ("get_attachment", "GET", _FILES + "/{attachment}", READ, files.get_attachment),
    ("attachment_content", "GET", _FILES + "/{attachment}/$value", READ, files.attachment_content),
    ("delete_attachment", "DELETE", _FILES + "/{attachment}", WRITE, files.delete_attachment),
    ("list_folders", "GET", "/mailFolders", READ_BASIC, handlers.list_folders),
)

_FOLDER: tuple[tuple[str, str, str, tuple[str, ...], Work], ...] = (
    ("get_folder", "GET", "", READ_BASIC, handlers.get_folder),
    ("create_message", "POST", "/messages", WRITE, handlers.create_message),
    ("list_messages", "GET", "/messages", READ_BASIC, handlers.list_messages),
    ("count_messages", "GET", "/messages/$count", READ_BASIC, handlers.count_messages),
)


def routes(state: SimulatorState) -> list[Route]:
    """All routes. Also registers what the fault machinery needs."""
    graph: GraphState = state.graph
    state.hooks["graph"] = Hooks(
        error=partial(fault_answer, graph), mailbox_of=partial(mailbox_of, graph)
    )
    unknown = answering(graph, _unknown)
    served = [*_users(graph), *_in_mailboxes(graph), *_uploads(graph)]
    whole_batch = batch(graph, dispatcher(served, unknown))
    return [
        *served,
        Route("graph.batch", "POST", "/v1.0/$batch", whole_batch),
        *_unknown_paths(unknown),
    ]


def _users(graph: GraphState) -> Iterator[Route]:
    for owner in OWNERS:
        name = "graph.get_me" if owner.endswith("/me") else "graph.get_user"
        yield Route(name, "GET", owner, get_user(graph))


def _in_mailboxes(graph: GraphState) -> Iterator[Route]:
    for name, method, path, permissions, work in _MAILBOX:
        handler = in_mailbox(graph, permissions, partial(work, graph))
        for owner in OWNERS:
            yield Route(f"graph.{name}", method, owner + path, handler)
    for name, method, path, permissions, work in _FOLDER:
        handler = in_mailbox(graph, permissions, partial(work, graph))
        for owner in OWNERS:
            for folder in FOLDERS:
                yield Route(f"graph.{name}", method, owner + folder + path, handler)


def _uploads(graph: GraphState) -> Iterator[Route]:
    yield Route("graph.upload_chunk", "PUT", SESSION, files.upload_chunk(graph))
    yield Route("graph.cancel_upload", "DELETE", SESSION, files.cancel_upload(graph))


def _unknown_paths(handler: Handler) -> Iterator[Route]:
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        yield Route("graph.unknown", method, "/v1.0/{rest:path}", handler)


def _unknown(request: Request) -> Response:
    segment = request.path.rstrip("/").rpartition("/")[2]
    raise BadRequest(f"Resource not found for the segment '{segment}'.")
