"""The calls that change a mail: read the request, call the use case, answer with the mail."""

from __future__ import annotations

import azure.functions as func

from shared.errors import RequestRejected
from shared.mail import ids, problems
from shared.mail.mail import Mail
from shared.services.accounts.ports import Accounts
from shared.services.clock import Clock
from shared.services.mails import change_document
from shared.services.mails.change_rules import cannot_send
from shared.services.mails.changes import Changes
from shared.services.upkeep.sweep import Upkeep
from shared.web.api import documents, views
from shared.web.api.mails import answer, only
from shared.web.api.request_body import read_json_body


def cancel(req: func.HttpRequest, changes: Changes) -> func.HttpResponse:
    """`POST /api/mails/{id}/cancel`."""
    change_document.read_nothing(_body(req, optional=True))
    return _shown(changes.cancel(_mail_id(req)))


def reschedule(req: func.HttpRequest, changes: Changes, clock: Clock) -> func.HttpResponse:
    """`PATCH /api/mails/{id}`."""
    due = change_document.read_reschedule(_body(req), clock())
    return _shown(changes.reschedule(_mail_id(req), due))


def retry(req: func.HttpRequest, changes: Changes) -> func.HttpResponse:
    """`POST /api/mails/{id}/retry`."""
    recipients, account = change_document.read_retry(_body(req, optional=True))
    return _shown(changes.retry(_mail_id(req), recipients, account))


def resolve(req: func.HttpRequest, changes: Changes) -> func.HttpResponse:
    """`POST /api/mails/{id}/resolve`."""
    decision = change_document.read_resolve(_body(req))
    return _shown(changes.resolve(_mail_id(req), decision))


def release(req: func.HttpRequest, changes: Changes) -> func.HttpResponse:
    """`POST /api/mails/{id}/release`."""
    change_document.read_nothing(_body(req, optional=True))
    return _shown(changes.release(_mail_id(req)))


def release_account(
    req: func.HttpRequest, accounts: Accounts, upkeep: Upkeep, clock: Clock
) -> func.HttpResponse:
    """`POST /api/accounts/{alias}/release`."""
    change_document.read_nothing(_body(req, optional=True))
    alias = req.route_params.get("alias", "").lower()
    account = next((row for row in accounts.all(fresh=True) if row.alias == alias), None)
    if account is None:
        raise RequestRejected(problems.UNKNOWN_ALIAS, "No account has this alias.")
    if not account.can_send_at(clock()):
        raise cannot_send(account)
    return answer(200, documents.Released(upkeep.release(account)))


def _body(req: func.HttpRequest, *, optional: bool = False) -> bytes:
    only(req.params, set())
    return read_json_body(req, change_document.MAX_BYTES, optional=optional)


def _mail_id(req: func.HttpRequest) -> str:
    mail_id: str = req.route_params.get("id", "").lower()
    if not ids.is_id(mail_id):
        raise RequestRejected(problems.UNKNOWN_MAIL, "No mail has this id.")
    return mail_id


def _shown(mail: Mail) -> func.HttpResponse:
    return answer(200, views.mail_view(mail, history=True))
