"""`POST /api/accounts` and the form behind it: adding a mailbox that nobody signs in."""

from __future__ import annotations

import logging
from urllib.parse import quote

import azure.functions as func

from shared import telemetry
from shared.errors import PostroomError, Refused
from shared.mail.account import AccountKind
from shared.mail.problems import INVALID_REQUEST
from shared.services import add_document, change_document
from shared.services.adding import Adding, Request
from shared.web import documents, notices
from shared.web.api import answer, only
from shared.web.csrf import require_same_origin
from shared.web.intake import read_json_body
from shared.web.rendering import Site, see_other
from shared.web.session import Sessions
from shared.web.sign_in import read_form, refusal_page

_KINDS = {"shared": AccountKind.SHARED, "app": AccountKind.APP}


def add_account(req: func.HttpRequest, adding: Adding) -> func.HttpResponse:
    """`POST /api/accounts`."""
    only(req.params, set())
    request = add_document.read_add(read_json_body(req, change_document.MAX_BYTES))
    added = adding.add(request)
    view = documents.AddedView(documents.account_view(added.account), list(added.notes))
    return answer(201 if added.is_new else 200, view)


def add_from_page(
    req: func.HttpRequest, site: Site, sessions: Sessions, adding: Adding
) -> func.HttpResponse:
    """`POST /accounts/add`, from the form on /accounts."""
    try:
        require_same_origin(req, site.origin)
        if not sessions.is_open(req):
            return see_other("/signin")
        added = adding.add(_request(read_form(req)))
    except PostroomError as error:
        telemetry.event(
            "account_not_added",
            level=logging.WARNING,
            code=error.kind.code if isinstance(error, Refused) else type(error).__name__,
        )
        return refusal_page(site, notices.of(_in_one(error)))
    return see_other(f"/accounts?linked={quote(added.account.alias)}")


def _request(form: dict[str, str]) -> Request:
    kind = _KINDS.get(form.get("kind", ""))
    if kind is None:
        raise Refused(INVALID_REQUEST, "Choose what sort of mailbox it is.")
    return Request(
        alias=form.get("alias", ""),
        kind=kind,
        mailbox=form.get("mailbox", ""),
        through=form.get("through") or None,
        tenant=form.get("tenant") or None,
        verified=form.get("verified") == "yes",
    )


def _in_one(error: PostroomError) -> PostroomError:
    """The fields' problems as part of the sentence that the page shows."""
    if not isinstance(error, Refused) or not error.errors:
        return error
    names = {"through": "the account it is reached by", "mailbox": "the address"}
    told = [f"{names.get(one.field, one.field)}: {one.message}" for one in error.errors]
    return Refused(error.kind, f"{error.detail} ({'; '.join(told)})", error.errors, help=error.help)
