"""Reading a send request: JSON, raw MIME, or a form with files."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import azure.functions as func

from shared.errors import FieldProblem, Refused
from shared.mail import problems
from shared.mail.message import Attachment
from shared.services.document import Limits, Order, read_json, read_mime
from shared.web.problem import bad_request

LONGEST_WAIT = 60.0
"""Seconds. The platform's front end gives up at 230; a waiting caller holds a thread."""


def read_order(req: func.HttpRequest, limits: Limits) -> Order:
    """The order in a request. Raises Refused, naming the field, header or limit that is wrong."""
    body, now = read_body(req, limits.max_bytes), limits.clock()
    key = req.headers.get("idempotency-key")
    media_type = _media_type(req)
    if media_type == "application/json":
        return read_json(body, now, key=key)
    if media_type == "message/rfc822":
        return read_mime(body, key=key)
    if media_type == "multipart/form-data":
        document, files = _form(req)
        return read_json(document, now, key=key, files=files)
    raise bad_request(
        "Content-Type",
        "must be application/json, message/rfc822 or multipart/form-data",
        problems.UNSUPPORTED_CONTENT_TYPE,
    )


def read_json_body(req: func.HttpRequest, max_bytes: int, *, optional: bool = False) -> bytes:
    """A body that is JSON by its content type. One that may be left out is read as `{}` then."""
    if optional and not req.get_body() and "transfer-encoding" not in req.headers:
        return b"{}"
    body = read_body(req, max_bytes)
    if _media_type(req) != "application/json":
        raise bad_request(
            "Content-Type", "must be application/json", problems.UNSUPPORTED_CONTENT_TYPE
        )
    return body


def _media_type(req: func.HttpRequest) -> str:
    header: str = req.headers.get("content-type", "")
    return header.partition(";")[0].strip().lower()


def wait_seconds(req: func.HttpRequest) -> float:
    """How long the caller wants to wait for the outcome: `?wait=20` or `Prefer: wait=20`.

    https://www.rfc-editor.org/rfc/rfc7240#section-4.3
    """
    given = req.params.get("wait")
    if given is None:
        return _preferred(req.headers.get("prefer", ""))
    if not _is_number(given) or float(given) > LONGEST_WAIT:
        raise bad_request("wait", f"must be a whole number of seconds, at most {LONGEST_WAIT:.0f}")
    return float(given)


def _preferred(header: str) -> float:
    for part in header.replace(";", ",").split(","):
        name, _, value = part.strip().partition("=")
        value = value.strip().strip('"')
        if name.strip().lower() == "wait" and _is_number(value):
            # A preference may be met in part, where a parameter that cannot be met is refused.
            return min(float(value), LONGEST_WAIT)
    return 0.0


def _is_number(text: str) -> bool:
    """Whether a text is made of the digits 0 to 9; of how many, `float` does not mind."""
    return text.isascii() and text.isdigit()


def read_body(req: func.HttpRequest, max_bytes: int) -> bytes:
    """The body. Raises Refused where it is missing or too large."""
    declared = req.headers.get("content-length", "")
    body = req.get_body()
    if (_is_number(declared) and float(declared) > max_bytes) or len(body) > max_bytes:
        raise Refused(
            problems.REQUEST_TOO_LARGE,
            f"A request may have {max_bytes} bytes at most (POSTROOM_MAX_REQUEST_BYTES).",
            [FieldProblem("body", f"is larger than {max_bytes} bytes")],
        )
    if not body:
        # The Functions host hands a body on only where its length was declared.
        if "transfer-encoding" in req.headers and not declared:
            raise bad_request("Content-Length", "is missing", problems.LENGTH_REQUIRED)
        raise bad_request("body", "is empty", problems.EMPTY_BODY)
    return body


def _form(req: func.HttpRequest) -> tuple[bytes, list[Attachment]]:
    documents: list[bytes] = []
    files: list[Attachment] = []
    uploads = [(name, item, _content(item)) for name, item in _fields(req.files)]
    for name, value in _fields(req.form):
        if name != "mail":
            raise bad_request(
                (name or "mail")[:80], "is not expected: put the mail into a part named 'mail'"
            )
        documents.append(value.encode())
    for name, item, content in uploads:
        if name == "mail":
            documents.append(content)
            continue
        content_id = item.headers.get("Content-ID", "").strip().strip("<>")
        files.append(
            Attachment(
                filename=item.filename or name or "",
                content=content,
                content_type=item.content_type or "application/octet-stream",
                content_id=content_id or None,
            )
        )
    if len(documents) != 1:
        raise bad_request("mail", "must be given once: a part with the mail as JSON")
    return documents[0], files


def _content(item: Any) -> bytes:
    """All of an uploaded file. One of some size is on disk until it is closed."""
    try:
        content: bytes = item.read()
    finally:
        item.close()
    return content


def _fields(fields: Any) -> Iterable[tuple[str, Any]]:
    """All values of a form, repeated names included."""
    return list(fields.items(multi=True))
