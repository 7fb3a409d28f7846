"""Reads form bodies and queries strictly: limited in size, and each name only once."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from shared.errors import RequestRejected
from shared.mail import problems

if TYPE_CHECKING:
    import azure.functions as func

MAX_BODY_BYTES = 64 * 1024
MAX_VALUE_CHARACTERS = 16 * 1024
MAX_FIELDS = 40


def form_of(req: func.HttpRequest) -> dict[str, str]:
    """The fields of an urlencoded body. Raises ValueError if it is too large or not such a body."""
    body = req.get_body()
    if len(body) > MAX_BODY_BYTES:
        raise ValueError(f"the body is larger than {MAX_BODY_BYTES} bytes")
    return _fields(body.decode("ascii"))


def read_form(req: func.HttpRequest) -> dict[str, str]:
    """The fields of a page's form. Raises RequestRejected."""
    try:
        return form_of(req)
    except ValueError:
        raise unreadable() from None


def unreadable() -> RequestRejected:
    """The error for a form that cannot be read. Never raise it from another error, which may quote
    what was typed."""
    return RequestRejected(problems.INVALID_REQUEST, "The form cannot be read.")


def query_of(req: func.HttpRequest) -> dict[str, str]:
    """The query's parameters, read from the URL, because `req.params` hides repeated names."""
    query = urlsplit(req.url).query
    if len(query) > MAX_BODY_BYTES:
        raise ValueError(f"the query is longer than {MAX_BODY_BYTES} characters")
    return _fields(query)


def _fields(text: str) -> dict[str, str]:
    pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a name occurs twice")
    if any(len(value) > MAX_VALUE_CHARACTERS for value in fields.values()):
        raise ValueError(f"a value is longer than {MAX_VALUE_CHARACTERS} characters")
    return fields
