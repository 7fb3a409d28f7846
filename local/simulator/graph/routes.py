"""The paths of the simulated mail service, with the permissions and the query options of each
(graph-mail.md 5.1)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from local.simulator.graph import answers, folders, handlers, settings, users
from local.simulator.graph import attachments as files
from local.simulator.graph.access import READ, READ_BASIC, SEND, WRITE, Access
from local.simulator.graph.batch import batch, dispatcher
from local.simulator.graph.hooks import fault_answer, mailbox_of
from local.simulator.graph.query_options import (
    ENTITY,
    FOLDERS,
    MESSAGE_COUNT,
    MESSAGES,
    NONE,
    SELECT,
)
from local.simulator.graph.serving import in_mailbox
from local.simulator.graph.settings import READ_SETTINGS
from local.simulator.graph.state import GraphState
from local.simulator.graph.unknown import no_beta, no_version, unknown_path
from local.simulator.state import Hooks
from local.simulator.wire import Request, Response, Route

if TYPE_CHECKING:
    from local.simulator.state import SimulatorState

OWNER = "/v1.0/<me|users/{user}|users('{user_literal}')>"
"""A name that begins with '$' is written as `users('...')` [api: user-get]."""

FOLDER = "/mailFolders</{folder}|('{folder_literal}')>"
ANYWHERE = f"<|{FOLDER}>/messages"
"""The messages of all folders, or of one."""
ONE = f"{ANYWHERE}</{{id}}|('{{id_literal}}')>"
FILES = f"{ONE}/attachments"
FILE = f"{FILES}</{{attachment}}|('{{attachment_literal}}')>"
SESSION = "/api/v2.0/Users('{owner}')/Messages('{draft}')/AttachmentSessions('{session}')"

Work = Callable[[GraphState, Access, Request], Response]


def action(name: str) -> str:
    """An action's name, which may be qualified with its namespace (OData 4.01, URL conventions,
    4.5.2)."""
    return f"/<|microsoft.graph.>{name}"


@dataclass(frozen=True)
class Operation:
    """One operation in a mailbox."""

    name: str
    method: str
    path: str
    permissions: tuple[str, ...]
    options: frozenset[str]
    work: Work


OPERATIONS = (
    Operation("send_mail", "POST", action("sendMail"), SEND, NONE, handlers.send_mail),
    Operation("create_message", "POST", ANYWHERE, WRITE, SELECT, handlers.create_message),
    Operation("list_messages", "GET", ANYWHERE, READ_BASIC, MESSAGES, handlers.list_messages),
    Operation(
        "count_messages",
        "GET",
        f"{ANYWHERE}/$count",
        READ_BASIC,
        MESSAGE_COUNT,
        handlers.count_messages,
    ),
    Operation("get_message", "GET", ONE, READ_BASIC, ENTITY, handlers.get_message),
    Operation("update_message", "PATCH", ONE, WRITE, SELECT, handlers.update_message),
    Operation("delete_message", "DELETE", ONE, WRITE, NONE, handlers.delete_message),
    Operation(
        "purge_message",
        "POST",
        ONE + action("permanentDelete"),
        WRITE,
        NONE,
        handlers.purge_message,
    ),
    Operation("send_message", "POST", ONE + action("send"), SEND, NONE, handlers.send_message),
    Operation("move_message", "POST", ONE + action("move"), WRITE, NONE, answers.move_message),
    Operation("copy_message", "POST", ONE + action("copy"), WRITE, NONE, answers.copy_message),
    Operation("reply", "POST", ONE + action("reply"), SEND, NONE, answers.sent("reply")),
    Operation("reply_all", "POST", ONE + action("replyAll"), SEND, NONE, answers.sent("replyAll")),
    Operation("forward", "POST", ONE + action("forward"), SEND, NONE, answers.sent("forward")),
    Operation(
        "create_reply", "POST", ONE + action("createReply"), WRITE, NONE, answers.drafted("reply")
    ),
    Operation(
        "create_reply_all",
        "POST",
        ONE + action("createReplyAll"),
        WRITE,
        NONE,
        answers.drafted("replyAll"),
    ),
    Operation(
        "create_forward",
        "POST",
        ONE + action("createForward"),
        WRITE,
        NONE,
        answers.drafted("forward"),
    ),
    Operation("message_source", "GET", f"{ONE}/$value", READ, NONE, handlers.message_source),
    Operation("list_attachments", "GET", FILES, READ, ENTITY, files.list_attachments),
    Operation("add_attachment", "POST", FILES, WRITE, NONE, files.add_attachment),
    Operation(
        "create_upload_session",
        "POST",
        FILES + action("createUploadSession"),
        WRITE,
        NONE,
        files.create_upload_session,
    ),
    Operation("get_attachment", "GET", FILE, READ, ENTITY, files.get_attachment),
    Operation("attachment_content", "GET", f"{FILE}/$value", READ, NONE, files.attachment_content),
    Operation("delete_attachment", "DELETE", FILE, WRITE, NONE, files.delete_attachment),
    Operation("list_folders", "GET", "/mailFolders", READ_BASIC, FOLDERS, folders.list_folders),
    Operation("get_folder", "GET", FOLDER, READ_BASIC, SELECT, folders.get_folder),
    Operation(
        "child_folders",
        "GET",
        f"{FOLDER}/childFolders",
        READ_BASIC,
        FOLDERS,
        folders.child_folders,
    ),
    Operation(
        "get_settings", "GET", "/mailboxSettings", READ_SETTINGS, SELECT, settings.get_settings
    ),
    Operation(
        "get_setting",
        "GET",
        "/mailboxSettings/{setting}",
        READ_SETTINGS,
        NONE,
        settings.get_setting,
    ),
)


def routes(state: SimulatorState) -> list[Route]:
    """All routes. Also registers what the fault machinery needs."""
    graph: GraphState = state.graph
    state.hooks["graph"] = Hooks(
        error=partial(fault_answer, graph), mailbox_of=partial(mailbox_of, graph)
    )
    served = [*_delta(graph), *_users(graph), *_in_mailboxes(graph), *_uploads(graph)]
    unknown = unknown_path(graph, served)
    return [
        *served,
        Route("graph.batch", "POST", "/v1.0/$batch", batch(graph, dispatcher(served, unknown))),
        Route("graph.unknown", "*", "/v1.0", unknown),
        Route("graph.unknown", "*", "/v1.0/{rest:path}", unknown),
        Route("graph.beta", "*", "/beta", no_beta(graph)),
        Route("graph.beta", "*", "/beta/{rest:path}", no_beta(graph)),
        Route("graph.no_version", "*", "/<me|users>", no_version(graph)),
        Route("graph.no_version", "*", "/<me|users>/{rest:path}", no_version(graph)),
    ]


def _delta(graph: GraphState) -> Iterator[Route]:
    """Changes of a folder: not simulated. Without this route `delta` would be read as an id."""
    yield Route("graph.delta", "GET", f"{OWNER}{ANYWHERE}/<delta|delta()>", unknown_path(graph, ()))


def _users(graph: GraphState) -> Iterator[Route]:
    one = users.get_user(graph)
    yield Route("graph.list_users", "GET", "/v1.0/users", users.list_users(graph))
    yield Route("graph.count_users", "GET", "/v1.0/users/$count", users.count_users(graph))
    yield Route("graph.get_me", "GET", "/v1.0/me", one)
    yield Route("graph.get_user", "GET", "/v1.0/users</{user}|('{user_literal}')>", one)


def _in_mailboxes(graph: GraphState) -> Iterator[Route]:
    for one in OPERATIONS:
        handler = in_mailbox(graph, one.permissions, one.options, partial(one.work, graph))
        yield Route(f"graph.{one.name}", one.method, OWNER + one.path, handler)


def _uploads(graph: GraphState) -> Iterator[Route]:
    yield Route("graph.upload_chunk", "PUT", SESSION, files.upload_chunk(graph))
    yield Route("graph.upload_status", "GET", SESSION, files.upload_status(graph))
    yield Route("graph.cancel_upload", "DELETE", SESSION, files.cancel_upload(graph))
