"""Handles the requests to the inbox page: the mail, the answer, the content security policy."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from local.simulator.graph.compose import source_of
from local.simulator.inbox import letters as text
from local.simulator.inbox import pages
from local.simulator.inbox.markup import Markup
from local.simulator.wire import Request, Response

if TYPE_CHECKING:
    from local.simulator.graph.delivery import Letter
    from local.simulator.graph.state import GraphState

_COMMON = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cache-Control", "no-store"),
)

LIST_POLICY = (
    "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)

MAIL_POLICY = (
    "default-src 'none'; style-src 'self' 'unsafe-inline'; img-src data:; form-action 'none'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
"""A srcdoc frame inherits its page's policy, so the page must allow the mail's own inline
styles."""

FILE_POLICY = "default-src 'none'; sandbox"


def show_list(graph: GraphState, request: Request) -> Response:
    who, before = request.query.get("who", ""), request.query.get("before", "")
    everything = graph.letters()
    listing = text.listing(everything, who, int(before) if before.isdecimal() else None)
    refreshing = "refresh" in request.query
    return _page(
        pages.list_page(listing, who, text.addresses(everything), refreshing=refreshing),
        LIST_POLICY,
    )


def show_mail(graph: GraphState, request: Request) -> Response:
    letter = _letter(graph, request)
    return _missing() if letter is None else _page(pages.mail_page(letter), MAIL_POLICY)


def source(graph: GraphState, request: Request) -> Response:
    """The MIME source, as the recipients got it."""
    letter = _letter(graph, request)
    if letter is None:
        return _missing()
    name = text.file_name(text.subject(letter.message), "mail") + ".eml"
    return _download(source_of(letter.message), "message/rfc822", name)


def attachment(graph: GraphState, request: Request) -> Response:
    """A file as a download; the browser does not show it."""
    letter, index = _letter(graph, request), request.params["index"]
    if letter is None or not index.isdecimal():
        return _missing()
    files = letter.message.attachments
    if int(index) >= len(files):
        return _missing()
    one = files[int(index)]
    name = text.file_name(one.name, f"attachment-{index}")
    return _download(one.content, "application/octet-stream", name)


def style(graph: GraphState, request: Request) -> Response:
    return Response(200, _stylesheet(), (("Content-Type", "text/css; charset=utf-8"), *_COMMON))


@cache
def _stylesheet() -> bytes:
    return Path(__file__).with_name("style.css").read_bytes()


def _letter(graph: GraphState, request: Request) -> Letter | None:
    wanted = request.params["id"]
    return next((one for one in graph.letters() if one.id == wanted), None)


def _page(document: Markup, policy: str, status: int = 200) -> Response:
    return Response.of_html(status, document, (("Content-Security-Policy", policy), *_COMMON))


def _missing() -> Response:
    return _page(pages.missing_page(), LIST_POLICY, 404)


def _download(content: bytes, content_type: str, name: str) -> Response:
    plain = name.encode("ascii", "replace").decode().replace("?", "_")
    disposition = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
    headers = (
        ("Content-Type", content_type),
        ("Content-Disposition", disposition),
        ("Content-Security-Policy", FILE_POLICY),
        *_COMMON,
    )
    return Response(200, content, headers)
