"""Microsoft Graph's drafts: makes them, sends them, and finds them again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from msgspec.structs import replace

from shared.adapters.graph.draft_keys import (
    EXPANDED,
    carrying,
    key_of,
    literal,
    mail_of,
    mail_of_source,
    moment,
    quoted,
)
from shared.adapters.graph.mail_service import READ_SECONDS, SYSTEM, Graph
from shared.adapters.graph.upload_session import UploadSessions
from shared.errors import AnswerLost, NotSent, RemoteError, RemoteRefused
from shared.mail.graph_payload import JSON, TRIAL, TRIAL_PROPERTY
from shared.mail.key_names import KEY_HEADER_PROPERTY, KEY_PROPERTY
from shared.mail.message_ids import usable
from shared.mail.outcome import Copy, GraphAnswer, Sought, is_missing_draft
from shared.services.delivery.ports import AttachedFile, DraftAnswer, Found, MarkedDraft

MOST_COPIES = 25
"""More messages than one mail can have, including the drafts of workers that died."""
_PAGE = 100
_MOST_PAGES = 10

MOST_SOURCES = 10
"""How many messages without a key have their source read in one search."""
SOURCE_BYTES = 64 * 1024
"""Bytes that are read of each source: the headers come first."""
SOURCES_WITHIN = timedelta(days=2)
"""How far back sources are read: an earlier sweep has read older ones."""


class GraphDrafts:
    """Implements `delivery.ports.Drafts`."""

    def __init__(self, graph: Graph, uploads: UploadSessions) -> None:
        self._graph = graph
        self._uploads = uploads

    def create(
        self, access_token: str, mailbox: str, content_type: str, body: bytes
    ) -> DraftAnswer:
        """See `Drafts`. https://learn.microsoft.com/graph/api/user-post-messages"""
        answer, content = self._graph.ask(
            "POST", f"{mailbox}/messages", access_token, content_type=content_type, body=body
        )
        if answer.status != 201:
            return DraftAnswer(answer)
        made = _object(content)
        draft_id = made.get("id")
        if not isinstance(draft_id, str) or not draft_id:
            # The draft was made, but its id is unknown: the same as a lost answer.
            raise AnswerLost(SYSTEM, "Microsoft Graph's answer was not understood")
        return DraftAnswer(answer, draft_id, usable(made.get("internetMessageId")))

    def attach(self, access_token: str, mailbox: str, draft_id: str, body: bytes) -> GraphAnswer:
        """See `Drafts`. https://learn.microsoft.com/graph/api/message-post-attachments"""
        path = f"{_path(mailbox, draft_id)}/attachments"
        return self._graph.ask("POST", path, access_token, content_type=JSON, body=body)[0]

    def upload(
        self,
        access_token: str,
        mailbox: str,
        draft_id: str,
        session: bytes,
        file: AttachedFile,
        keep_alive: Callable[[], None],
    ) -> GraphAnswer:
        """See `Drafts`. https://learn.microsoft.com/graph/api/attachment-createuploadsession"""
        path = f"{_path(mailbox, draft_id)}/attachments/createUploadSession"
        answer, content = self._graph.ask(
            "POST", path, access_token, content_type=JSON, body=session
        )
        if answer.status != 201:
            return answer
        return self._uploads.carry(_object(content).get("uploadUrl"), file, keep_alive)

    def send(self, access_token: str, mailbox: str, draft_id: str) -> GraphAnswer:
        """See `Drafts`. https://learn.microsoft.com/graph/api/message-send"""
        return self._graph.ask("POST", f"{_path(mailbox, draft_id)}/send", access_token, body=b"")[
            0
        ]

    def find(self, access_token: str, mailbox: str, sought: Sought) -> Found:
        """See `Drafts`. Stops at the first message with the mail's key that is not a draft: it
        shows that the mail was sent."""
        found: list[Copy] = []
        answer = GraphAnswer(200)
        for condition, key in _searches(sought):
            answer, rows = self._searched(access_token, mailbox, condition)
            if answer.status == 400 and condition != _documented(sought):
                # Exchange does not accept the filter: the search is no evidence of anything.
                continue
            if answer.status != 200:
                return Found(answer)
            found += [_copy(row, key) for row in rows]
            if any(copy.key == sought.key and not copy.is_draft for copy in found):
                return Found(answer, found)
        if not sought.is_told_by_message_id:
            found = self._with_keys_of_sources(access_token, mailbox, found)
        if sought.draft_id is None:
            return Found(GraphAnswer(200), found)
        # Lists can be out of date: the draft itself shows whether it exists.
        others = [copy for copy in found if copy.message_id != sought.draft_id]
        path = f"{_path(mailbox, sought.draft_id)}?$select=id,isDraft"
        answer, content = self._graph.ask("GET", path, access_token, within_seconds=READ_SECONDS)
        if is_missing_draft(answer):
            return Found(GraphAnswer(200, request_id=answer.request_id), others)
        if answer.status != 200:
            return Found(answer)
        is_draft = _object(content).get("isDraft") is True
        return Found(answer, [*others, Copy(sought.draft_id, is_draft, sought.key)])

    def _with_keys_of_sources(
        self, access_token: str, mailbox: str, found: list[Copy]
    ) -> list[Copy]:
        """The copies, with the keys that the MIME sources of some of them show. A source that Graph
        does not give shows no key."""
        left = MOST_SOURCES
        shown: list[Copy] = []
        for copy in found:
            if copy.key is None and not copy.is_draft and left > 0:
                left -= 1
                key = self._mail_of_source(access_token, mailbox, copy.message_id)
                copy = replace(copy, key=key)
            shown.append(copy)
        return shown

    def trials(self, access_token: str, mailbox: str) -> Found:
        """See `Drafts`."""
        answer, rows = self._searched(access_token, mailbox, carrying(TRIAL_PROPERTY, TRIAL))
        return Found(answer, [_copy(row, None) for row in rows])

    def _searched(
        self, access_token: str, mailbox: str, condition: str
    ) -> tuple[GraphAnswer, list[dict[str, Any]]]:
        path = (
            f"{mailbox}/messages?$filter={quoted(condition)}&$select=id,isDraft,sentDateTime"
            f"&$expand={quoted(EXPANDED)}&$top={MOST_COPIES}"
        )
        answer, content = self._graph.ask("GET", path, access_token, within_seconds=READ_SECONDS)
        return answer, _rows(_object(content)) if answer.status == 200 else []

    def marked(
        self, access_token: str, mailbox: str, before: datetime, since: datetime | None = None
    ) -> Sequence[MarkedDraft]:
        """See `Drafts`. Lists all drafts and selects here, because it is not documented which
        filters Graph accepts for "any value of this property"."""
        found: list[MarkedDraft] = []
        unmarked: list[MarkedDraft] = []
        for row in self._drafts_of(access_token, mailbox, before, since):
            created = moment(row.get("createdDateTime"))
            if not isinstance(row.get("id"), str) or created is None or created >= before:
                continue
            if since is not None and created < since:
                continue
            mail_id = mail_of(row)
            draft = MarkedDraft(row["id"], mail_id or "", created)
            (found if mail_id else unmarked).append(draft)
        young = [one for one in unmarked if one.created_at >= before - SOURCES_WITHIN]
        young.sort(key=lambda one: one.created_at, reverse=True)
        for draft in young[:MOST_SOURCES]:
            mail_id = self._mail_of_source(access_token, mailbox, draft.draft_id)
            if mail_id is not None:
                found.append(MarkedDraft(draft.draft_id, mail_id, draft.created_at))
        return found

    def _drafts_of(
        self, access_token: str, mailbox: str, before: datetime, since: datetime | None
    ) -> Iterator[dict[str, Any]]:
        condition = f"createdDateTime lt {_stamp(before)}"
        if since is not None:
            condition = f"createdDateTime ge {_stamp(since)} and {condition}"
        path: str | None = (
            f"{mailbox}/mailFolders/drafts/messages?$filter={quoted(condition)}"
            f"&$select=id,createdDateTime,internetMessageId&$expand={quoted(EXPANDED)}&$top={_PAGE}"
        )
        for _ in range(_MOST_PAGES):
            if path is None:
                return
            document = self._listed(access_token, path)
            yield from _rows(document)
            path = self._graph.path_of(document.get("@odata.nextLink"))

    def _mail_of_source(self, access_token: str, mailbox: str, message: str) -> str | None:
        """The mail of a message by its MIME source; None also if Graph does not give the source.
        https://learn.microsoft.com/graph/outlook-get-mime-message"""
        try:
            answer, source = self._graph.ask(
                "GET",
                f"{_path(mailbox, message)}/$value",
                access_token,
                within_seconds=READ_SECONDS,
                most_answered=SOURCE_BYTES,
            )
        except RemoteError:
            return None
        return mail_of_source(source) if answer.status == 200 else None

    def remove(self, access_token: str, mailbox: str, draft_id: str) -> GraphAnswer:
        """See `Drafts`. https://learn.microsoft.com/graph/api/message-delete"""
        return self._graph.ask(
            "DELETE", _path(mailbox, draft_id), access_token, within_seconds=READ_SECONDS
        )[0]

    def _listed(self, access_token: str, path: str) -> dict[str, Any]:
        try:
            answer, content = self._graph.ask(
                "GET", path, access_token, within_seconds=READ_SECONDS
            )
        except AnswerLost as error:
            # The request only reads: without an answer it had no effect.
            raise NotSent(SYSTEM, "Microsoft Graph did not answer") from error
        if answer.status == 429 or answer.status >= 500:
            raise NotSent(
                SYSTEM,
                f"Microsoft Graph answered {answer.status}",
                retry_after=answer.retry_after,
            )
        if answer.status != 200:
            raise RemoteRefused(SYSTEM, f"Microsoft Graph refused: {answer.code or answer.status}")
        return _object(content)


def _path(mailbox: str, draft_id: str) -> str:
    return f"{mailbox}/messages/{quote(draft_id, safe='')}"


def _stamp(when: datetime) -> str:
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _searches(sought: Sought) -> Iterator[tuple[str, str | None]]:
    """The searches for a mail, each with the key that a match proves.

    Each criterion has its own search, because a filter that joins two by `or` is not documented.
    """
    yield carrying(KEY_PROPERTY, sought.key), sought.key
    if sought.message_id is not None:
        yield f"internetMessageId eq {literal(sought.message_id)}", None
    yield carrying(KEY_HEADER_PROPERTY, sought.key), sought.key


def _documented(sought: Sought) -> str:
    return carrying(KEY_PROPERTY, sought.key)


def _copy(row: dict[str, Any], key: str | None) -> Copy:
    return Copy(
        str(row.get("id")),
        row.get("isDraft") is True,
        key or key_of(row),
        moment(row.get("sentDateTime")),
    )


def _object(content: bytes) -> dict[str, Any]:
    """The JSON object of an answer. Raises AnswerLost if there is none, because the result is then
    unknown."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise AnswerLost(SYSTEM, "Microsoft Graph's answer was not understood") from error
    if not isinstance(found, dict):
        raise AnswerLost(SYSTEM, "Microsoft Graph's answer was not understood")
    return found


def _rows(document: dict[str, Any]) -> list[dict[str, Any]]:
    rows = document.get("value")
    if not isinstance(rows, list):
        raise AnswerLost(SYSTEM, "Microsoft Graph's answer was not understood")
    return [row for row in rows if isinstance(row, dict)]
