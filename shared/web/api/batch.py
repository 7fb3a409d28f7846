"""`POST /api/send/batch`: many mails in one request, with an answer for each."""

from __future__ import annotations

import azure.functions as func

from shared.errors import RequestRejected
from shared.mail import problems
from shared.services.intake.batch import Batch, BatchReceipt
from shared.services.intake.mail_document import Limits
from shared.web.api import views
from shared.web.api.mails import answer, only
from shared.web.api.request_body import read_json_body


def send_batch(req: func.HttpRequest, batch: Batch, limits: Limits) -> func.HttpResponse:
    """202 if a mail was accepted. Otherwise, and if only a part of an all-or-nothing batch was
    stored, a problem document with the result of each mail."""
    only(req.params, set())
    body = read_json_body(req, limits.max_bytes)
    found = batch.accept(body, req.headers.get("idempotency-key"))
    refused = [item.refusal for item in found.items if item.refusal is not None]
    if found.accepted and not (found.all_or_nothing and refused):
        return answer(202, views.batch_view(found))
    raise _refusal(found, refused)


def _refusal(found: BatchReceipt, refused: list[RequestRejected]) -> RequestRejected:
    view = views.batch_view(found)
    failed = [item for item in refused if item.kind.status >= 500]
    if found.accepted or failed:
        waits = [item.retry_after for item in failed if item.retry_after]
        return RequestRejected(
            problems.BATCH_INCOMPLETE,
            f"{found.accepted} of {len(found.items)} mails were accepted.",
            retry_after=max(waits, default=None),
            members=views.plain(view),
        )
    return RequestRejected(
        problems.BATCH_REFUSED,
        f"{len(refused)} of {len(found.items)} mails cannot be accepted, and none was stored.",
        members=views.plain(view),
    )
