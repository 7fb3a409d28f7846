"""Checks an account, by the API and from the page."""

from __future__ import annotations

from urllib.parse import quote

import azure.functions as func

from shared.services.accounts.checking import Checking
from shared.services.mails import change_document
from shared.web.api import views
from shared.web.api.mails import answer, only
from shared.web.api.request_body import read_json_body
from shared.web.auth.same_origin import require_same_origin
from shared.web.auth.session import Sessions
from shared.web.forms import form_of
from shared.web.pages.guard import explained
from shared.web.pages.rendering import Site, see_other


def check(req: func.HttpRequest, checking: Checking) -> func.HttpResponse:
    """`POST /api/accounts/{alias}/check`."""
    only(req.params, set())
    change_document.read_nothing(read_json_body(req, change_document.MAX_BYTES, optional=True))
    return answer(200, views.check_view(checking.check(_alias(req))))


@explained
def check_from_page(
    req: func.HttpRequest, site: Site, sessions: Sessions, checking: Checking
) -> func.HttpResponse:
    """`POST /accounts/{alias}/check`: check, then redirect to the page, which shows the
    findings."""
    require_same_origin(req, site.origin)
    if not sessions.is_open(req):
        return see_other("/signin")
    found = checking.check(_alias(req))
    if _came_from_its_page(req):
        return see_other(f"/accounts/{quote(found.alias)}#last-check")
    return see_other(f"/accounts?checked={found.alias}#checked")


def _came_from_its_page(req: func.HttpRequest) -> bool:
    try:
        return form_of(req).get("back") == "account"
    except ValueError:
        return False


def _alias(req: func.HttpRequest) -> str:
    alias: str = req.route_params.get("alias", "").lower()
    return alias
