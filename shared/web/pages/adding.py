"""`POST /api/accounts` and the form on /accounts: add a shared or app-only mailbox."""

from __future__ import annotations

import logging
from urllib.parse import quote

import azure.functions as func

from shared import telemetry
from shared.errors import PostroomError, RequestRejected
from shared.mail.account import AccountKind
from shared.mail.problems import INVALID_REQUEST
from shared.services.accounts import add_document
from shared.services.accounts.adding import Adding
from shared.services.accounts.adding_rules import Request
from shared.services.accounts.ports import Accounts
from shared.services.mails import change_document
from shared.web.api import documents, views
from shared.web.api.mails import answer, only
from shared.web.api.request_body import read_json_body
from shared.web.forms import read_form
from shared.web.pages import notices
from shared.web.pages.add_form import AddForm
from shared.web.pages.guard import guarded
from shared.web.pages.rendering import Site, page, see_other

_KINDS = {"shared": AccountKind.SHARED, "app": AccountKind.APP}


def add_account(req: func.HttpRequest, adding: Adding) -> func.HttpResponse:
    """`POST /api/accounts`."""
    only(req.params, set())
    request = add_document.read_add(read_json_body(req, change_document.MAX_BYTES))
    added = adding.add(request)
    view = documents.AddedView(views.account_view(added.account), list(added.notes))
    return answer(201 if added.is_new else 200, view)


@guarded
def add_from_page(
    req: func.HttpRequest, site: Site, accounts: Accounts, adding: Adding
) -> func.HttpResponse:
    """`POST /accounts/add`, from the forms on /accounts. After an error the form is shown again."""
    form: dict[str, str] = {}
    try:
        form = read_form(req)
        added = adding.add(_request(form))
    except PostroomError as error:
        telemetry.event(
            "account_not_added",
            level=logging.WARNING,
            code=error.kind.code if isinstance(error, RequestRejected) else type(error).__name__,
        )
        notice = notices.of(error)
        return page(
            site,
            "add.html",
            status=notice.status,
            retry_after=notice.retry_after,
            code=notice.code,
            add_mailbox=AddForm.again(accounts.all(), form, error),
        )
    return see_other(f"/accounts?linked={quote(added.account.alias)}")


def _request(form: dict[str, str]) -> Request:
    kind = _KINDS.get(form.get("kind", ""))
    if kind is None:
        raise RequestRejected(INVALID_REQUEST, "Choose what kind of mailbox it is.")
    return Request(
        alias=form.get("alias", ""),
        kind=kind,
        mailbox=form.get("mailbox", ""),
        through=form.get("through") or None,
        tenant=form.get("tenant") or None,
        verified=form.get("verified") == "yes",
    )
