"""Microsoft Graph's drafts: making them, sending them, finding them again by our key."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

from shared.adapters.graph import READ_SECONDS, SYSTEM, Graph
from shared.adapters.upload_session import UploadSessions
from shared.errors import AnswerLost, NotSent, RemoteRefused
from shared.mail.graph_payload import KEY_HEADER, KEY_PROPERTY, TRIAL, TRIAL_PROPERTY
from shared.mail.outcome import Copy, GraphAnswer
from shared.services.ports import AttachedFile, DraftAnswer, Found, MarkedDraft

MOST_COPIES = 25
"""More than one mail can have, with the drafts of every worker that died over it."""
_PAGE = 100
_MOST_PAGES = 10

JSON = "application/json"


class GraphDrafts:
    """Fulfils `ports.Drafts`."""

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
        draft_id = _object(content).get("id")
        if not isinstance(draft_id, str) or not draft_id:
            # Made, but nobody knows under which name: as good as a lost answer.
            raise AnswerLost(SYSTEM, "Microsoft Graph's answer was not understood")
        return DraftAnswer(answer, draft_id)

    def mark(self, access_token: str, mailbox: str, draft_id: str, body: bytes) -> GraphAnswer:
        """See `Drafts`. https://learn.microsoft.com/graph/api/message-update"""
        return self._graph.ask(
            "PATCH", _path(mailbox, draft_id), access_token, content_type=JSON, body=body
        )[0]

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
        going_on: Callable[[], None],
    ) -> GraphAnswer:
        """See `Drafts`. https://learn.microsoft.com/graph/api/attachment-createuploadsession"""
        path = f"{_path(mailbox, draft_id)}/attachments/createUploadSession"
        answer, content = self._graph.ask(
            "POST", path, access_token, content_type=JSON, body=session
        )
        if answer.status != 201:
            return answer
        return self._uploads.carry(_object(content).get("uploadUrl"), file, going_on)

    def send(self, access_token: str, mailbox: str, draft_id: str) -> GraphAnswer:
        """See `Drafts`. https://learn.microsoft.com/graph/api/message-send"""
        return self._graph.ask("POST", f"{_path(mailbox, draft_id)}/send", access_token, body=b"")[
            0
        ]

    def find(self, access_token: str, mailbox: str, key: str) -> Found:
        """See `Drafts`."""
        return self._carrying(access_token, mailbox, KEY_PROPERTY, key)

    def trials(self, access_token: str, mailbox: str) -> Found:
        """See `Drafts`."""
        return self._carrying(access_token, mailbox, TRIAL_PROPERTY, TRIAL)

    def _carrying(self, access_token: str, mailbox: str, name: str, value: str) -> Found:
        """https://learn.microsoft.com/graph/api/singlevaluelegacyextendedproperty-get"""
        text = value.replace("'", "''")
        wanted = (
            f"singleValueExtendedProperties/Any(ep: ep/id eq '{name}' and ep/value eq '{text}')"
        )
        answer, content = self._graph.ask(
            "GET",
            f"{mailbox}/messages?$filter={_quoted(wanted)}&$select=id,isDraft&$top={MOST_COPIES}",
            access_token,
            read_seconds=READ_SECONDS,
        )
        if answer.status != 200:
            return Found(answer)
        rows = _rows(_object(content))
        return Found(answer, [Copy(str(row.get("id")), row.get("isDraft") is True) for row in rows])

    def marked(self, access_token: str, mailbox: str) -> Sequence[MarkedDraft]:
        """See `Drafts`. Listed and sorted out here: which filters Graph takes for "any value of
        this property" is not documented."""
        expand = f"singleValueExtendedProperties($filter=id eq '{KEY_PROPERTY}')"
        path: str | None = (
            f"{mailbox}/mailFolders/drafts/messages?$select=id,createdDateTime,internetMessageHeaders"
            f"&$expand={_quoted(expand)}&$top={_PAGE}"
        )
        found: list[MarkedDraft] = []
        for _ in range(_MOST_PAGES):
            if path is None:
                break
            document = self._listed(access_token, path)
            found += [mark for row in _rows(document) if (mark := _marked(row)) is not None]
            path = self._graph.path_of(document.get("@odata.nextLink"))
        return found

    def remove(self, access_token: str, mailbox: str, draft_id: str) -> GraphAnswer:
        """See `Drafts`. https://learn.microsoft.com/graph/api/message-delete"""
        return self._graph.ask(
            "DELETE", _path(mailbox, draft_id), access_token, read_seconds=READ_SECONDS
        )[0]

    def _listed(self, access_token: str, path: str) -> dict[str, Any]:
        try:
            answer, content = self._graph.ask("GET", path, access_token, read_seconds=READ_SECONDS)
        except AnswerLost as error:
            # A read that was not answered has done nothing.
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


def _quoted(text: str) -> str:
    return quote(text, safe="$()=,'")


def _object(content: bytes) -> dict[str, Any]:
    """The JSON object of an answer. Raises AnswerLost where there is none: what it said is not
    known."""
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


def _marked(row: dict[str, Any]) -> MarkedDraft | None:
    """A draft with our key, from the property or, where a worker died before it could set that,
    from the header that a MIME draft is made with."""
    keys = [
        (one.get("id"), one.get("value"))
        for one in row.get("singleValueExtendedProperties") or []
        if isinstance(one, dict)
    ]
    headers = [
        (one.get("name"), one.get("value"))
        for one in row.get("internetMessageHeaders") or []
        if isinstance(one, dict)
    ]
    key = next(
        (value for name, value in keys if str(name).lower() == KEY_PROPERTY.lower()), None
    ) or next((value for name, value in headers if str(name).lower() == KEY_HEADER.lower()), None)
    try:
        created = datetime.fromisoformat(str(row.get("createdDateTime")))
    except ValueError:
        return None
    if not isinstance(key, str) or not isinstance(row.get("id"), str):
        return None
    return MarkedDraft(row["id"], key, created)
