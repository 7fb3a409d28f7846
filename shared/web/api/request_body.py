"""Reads a send request: JSON, raw MIME, or a form with files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import azure.functions as func

from shared.errors import FieldProblem, RequestRejected
from shared.mail import problems
from shared.mail.message import Attachment
from shared.services.intake.file_fields import ANY_FILE
from shared.services.intake.mail_document import Limits, Order, read_json, read_mime
from shared.services.json_reading import shown_name
from shared.web.api.charset import media_type, message_bytes, refuse_compressed, utf8_json
from shared.web.problem import bad_request

if TYPE_CHECKING:
    from shared.web.api.form_data import Part

LONGEST_WAIT = 60.0
"""Seconds. The platform's front end ends a request after 230; a waiting caller occupies a
thread."""


def read_order(req: func.HttpRequest, limits: Limits) -> Order:
    """The order in a request. Raises RequestRejected, which names the field, header or limit."""
    body, now = read_body(req, limits.max_bytes), limits.clock()
    key = req.headers.get("idempotency-key")
    content_type: str = req.headers.get("content-type", "")
    kind = media_type(content_type)
    if kind == "application/json":
        return read_json(utf8_json(body, content_type), now, key=key)
    if kind == "message/rfc822":
        return read_mime(message_bytes(body, content_type), key=key)
    if kind == "multipart/form-data":
        document, files = read_form(body, content_type)
        return read_json(document, now, key=key, files=files)
    raise _wrong_type(kind, "application/json, message/rfc822 or multipart/form-data")


def read_json_body(req: func.HttpRequest, max_bytes: int, *, optional: bool = False) -> bytes:
    """A body that is JSON by its content type. If it is `optional` and missing, it is read as
    `{}`."""
    if optional and not req.get_body() and "transfer-encoding" not in req.headers:
        return b"{}"
    body = read_body(req, max_bytes)
    content_type: str = req.headers.get("content-type", "")
    if media_type(content_type) != "application/json":
        raise _wrong_type(media_type(content_type), "application/json")
    return utf8_json(body, content_type)


def _wrong_type(given: str, taken: str) -> RequestRejected:
    what = f"is {shown_name(given)}" if given else "is missing"
    return bad_request(
        "Content-Type", f"{what}: it must be {taken}", problems.UNSUPPORTED_CONTENT_TYPE
    )


def wait_seconds(req: func.HttpRequest) -> float:
    """How long the caller waits for the outcome: `?wait=20` or `Prefer: wait=20`.

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
            # A preference may be met in part; a parameter that cannot be met is refused.
            return min(float(value), LONGEST_WAIT)
    return 0.0


def _is_number(text: str) -> bool:
    """Whether a text consists of the digits 0 to 9. `float` accepts any number of digits."""
    return text.isascii() and text.isdigit()


def read_body(req: func.HttpRequest, max_bytes: int) -> bytes:
    """The body. Raises RequestRejected if it is missing or too large."""
    declared = req.headers.get("content-length", "")
    body = req.get_body()
    if (_is_number(declared) and float(declared) > max_bytes) or len(body) > max_bytes:
        raise RequestRejected(
            problems.REQUEST_TOO_LARGE,
            f"A request may have {max_bytes} bytes at most (POSTROOM_MAX_REQUEST_BYTES).",
            [FieldProblem("body", f"is larger than {max_bytes} bytes")],
        )
    if not body:
        # The Functions host passes a body on only if its length was declared.
        if "transfer-encoding" in req.headers and not declared:
            raise bad_request("Content-Length", "is missing", problems.LENGTH_REQUIRED)
        raise bad_request("body", "is empty", problems.EMPTY_BODY)
    refuse_compressed(req.headers)
    return body


def read_form(body: bytes, content_type: str) -> tuple[bytes, list[Attachment]]:
    """The mail document of a form, in UTF-8, and its files. Raises RequestRejected."""
    from shared.web.api.form_data import read_parts

    documents: list[bytes] = []
    files: list[Attachment] = []
    for part in read_parts(body, content_type):
        if part.name == "mail":
            documents.append(utf8_json(part.content, part.headers.get("content-type", ""), "mail"))
        else:
            files.append(_file(part))
    if len(documents) != 1:
        raise bad_request("mail", "must be given once: a part with the mail as JSON")
    return documents[0], files


def _file(part: Part) -> Attachment:
    if not (part.filename or "").strip():
        raise bad_request(part.shown, _unnamed(part))
    content_id = part.headers.get("content-id", "").strip().strip("<>")
    return Attachment(
        filename=part.filename or "",
        content=part.content,
        content_type=part.headers.get("content-type") or ANY_FILE,
        content_id=content_id or None,
    )


def _unnamed(part: Part) -> str:
    """Why a part without a file name is refused, as a file or as a field of the mail."""
    remedy = 'a file has a filename in its Content-Disposition, as filename="invoice.pdf"'
    if part.filename is not None or "content-type" in part.headers:
        return f"is a file without a file name: {remedy}"
    return f"is not expected: put the mail as JSON into a part named 'mail'; {remedy}"
