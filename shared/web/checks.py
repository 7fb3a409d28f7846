"""Checking an account: by the API and from the page."""

from __future__ import annotations

from urllib.parse import quote

import azure.functions as func

from shared.services import change_document
from shared.services.checking import Checking
from shared.web import documents
from shared.web.api import answer, only
from shared.web.csrf import require_same_origin
from shared.web.forms import form_of
from shared.web.guard import explained
from shared.web.intake import read_json_body
from shared.web.rendering import Site, see_other
from shared.web.session import Sessions


def check(req: func.HttpRequest, checking: Checking) -> func.HttpResponse:
    """`POST /api/accounts/{alias}/check`."""
    only(req.params, set())
    change_document.read_nothing(read_json_body(req, change_document.MAX_BYTES, optional=True))
    return answer(200, documents.check_view(checking.check(_alias(req))))


@explained
def check_from_page(
    req: func.HttpRequest, site: Site, sessions: Sessions, checking: Checking
) -> func.HttpResponse:
    """`POST /accounts/{alias}/check`: check, then back to the page, which shows what was found."""
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
