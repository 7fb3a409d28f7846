"""The text of a queue message that did not become a mail, as a file: for the API and for the
page."""

from __future__ import annotations

import azure.functions as func

from shared.errors import RequestRejected
from shared.mail import ids, problems
from shared.mail.mail import Mail
from shared.services.mails.content import Content
from shared.services.mails.ports import Ledger
from shared.web.api.mails import only
from shared.web.pages.guard import guarded
from shared.web.pages.rendering import Site


def show(req: func.HttpRequest, ledger: Ledger, content: Content) -> func.HttpResponse:
    """`GET /api/mails/{id}/raw`. Raises RequestRejected: 404 for a mail without raw text, 410 if
    the raw text is deleted."""
    only(req.params, set())
    return _file(req, ledger, content)


@guarded
def save(
    req: func.HttpRequest,
    site: Site,
    ledger: Ledger,
    content: Content,
) -> func.HttpResponse:
    """`GET /mails/{id}/raw`: the same, for a browser with a session."""
    return _file(req, ledger, content)


def _file(req: func.HttpRequest, ledger: Ledger, content: Content) -> func.HttpResponse:
    mail_id = req.route_params.get("id", "").lower()
    found = ledger.get(mail_id) if ids.is_id(mail_id) else None
    if found is None:
        raise RequestRejected(problems.UNKNOWN_MAIL, "No mail has this id.")
    return func.HttpResponse(
        _text(found.mail, content),
        mimetype="text/plain",
        charset="utf-8",
        headers={
            # The text comes from outside: the browser saves it, and does not show it or guess its
            # type.
            "Content-Disposition": f'attachment; filename="{mail_id}.txt"',
            "Content-Security-Policy": "sandbox; default-src 'none'; frame-ancestors 'none'",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Resource-Policy": "same-origin",
        },
    )


def _text(mail: Mail, content: Content) -> bytes:
    if not mail.is_refused_message:
        raise RequestRejected(
            problems.NO_RAW_TEXT, "The mail has no raw text: it came as a whole mail."
        )
    raw = content.raw_bytes_of(mail)
    if raw is None:
        raise RequestRejected(problems.RAW_TEXT_GONE, "The raw text is not kept any more.")
    # A message on a storage queue is text; content that is not UTF-8 cannot come from the queue.
    return raw.decode(errors="replace").encode()
