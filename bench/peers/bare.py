"""The floor: a `requests.Session` that posts a body which is ready, or puts a file in pieces."""

from __future__ import annotations

import base64
import functools
import json
import os
from collections.abc import Callable
from typing import Any

import requests

from bench.peers.driving import Job, drive
from bench.peers.letters import CHUNK_BYTES, RECIPIENT, Letter, is_large

GRAPH = "https://graph.microsoft.com/v1.0"
ENTRA = "https://login.microsoftonline.com"


def token_of(session: requests.Session, tenant_id: str, client_id: str, secret: str) -> str:
    """An access token for the application."""
    asked = {
        "grant_type": "client_credentials",
        "client_id": client_id,
        "client_secret": secret,
        "scope": "https://graph.microsoft.com/.default",
    }
    answer = session.post(f"{ENTRA}/{tenant_id}/oauth2/v2.0/token", data=asked, timeout=60)
    answer.raise_for_status()
    return str(answer.json()["access_token"])


def message(letter: Letter) -> dict[str, Any]:
    """Graph's `message`, without a file that has an upload session."""
    found: dict[str, Any] = {
        "subject": letter.subject,
        "body": {"contentType": "html" if letter.html else "text", "content": letter.body},
        "toRecipients": [{"emailAddress": {"address": RECIPIENT}}],
    }
    if letter.content is not None and not is_large(letter):
        file = {
            "@odata.type": "#microsoft.graph.fileAttachment",
            "name": letter.filename,
            "contentType": letter.content_type,
            "contentBytes": base64.b64encode(letter.content).decode(),
        }
        found["attachments"] = [file]
    return found


def _opened(job: Job) -> Callable[[Letter], Callable[[], None]]:
    session = requests.Session()
    # As it comes it looks through the environment at each request, which depends on the machine.
    session.trust_env = False
    session.verify = os.environ["SSL_CERT_FILE"]
    token = token_of(session, job.tenant_id, job.client_id, job.client_secret)
    session.headers["Authorization"] = f"Bearer {token}"
    mailbox = f"{GRAPH}/users/{job.mailbox}"

    def prepare(letter: Letter) -> Callable[[], None]:
        document = message(letter)
        if is_large(letter):
            return functools.partial(_carry, session, mailbox, document, letter)
        body = json.dumps({"message": document}).encode()
        return functools.partial(_post, session, mailbox, body)

    return prepare


def _post(session: requests.Session, mailbox: str, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    answer = session.post(f"{mailbox}/sendMail", data=body, headers=headers, timeout=100)
    answer.raise_for_status()


def _carry(
    session: requests.Session, mailbox: str, document: dict[str, Any], letter: Letter
) -> None:
    """A draft, a session, piece after piece, send."""
    content = letter.content or b""
    draft = _call(session, f"{mailbox}/messages", document)["id"]
    item = {"attachmentType": "file", "name": letter.filename, "size": len(content)}
    opened = _call(
        session,
        f"{mailbox}/messages/{draft}/attachments/createUploadSession",
        {"AttachmentItem": item},
    )
    for at in range(0, len(content), CHUNK_BYTES):
        piece = content[at : at + CHUNK_BYTES]
        headers = {
            "Authorization": None,
            "Content-Type": "application/octet-stream",
            "Content-Range": f"bytes {at}-{at + len(piece) - 1}/{len(content)}",
        }
        answer = session.put(opened["uploadUrl"], data=piece, headers=headers, timeout=100)
        answer.raise_for_status()
    _call(session, f"{mailbox}/messages/{draft}/send", None)


def _call(session: requests.Session, url: str, document: object) -> Any:
    answer = session.post(url, json=document, timeout=100)
    answer.raise_for_status()
    return answer.json() if answer.content else None


if __name__ == "__main__":
    drive(_opened)
