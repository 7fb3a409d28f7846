"""`/api/accounts/{alias}`: one account and its settings."""

from __future__ import annotations

import re

import azure.functions as func

from shared.mail.account import Account
from shared.services.accounts.change_document import MAX_BYTES, read_change
from shared.services.accounts.changes import AccountChanges, version_of
from shared.web.api import views
from shared.web.api.mails import answer, only
from shared.web.api.request_body import read_json_body
from shared.web.problem import bad_request

_ETAG = re.compile(r'"([0-9a-f]{16})"')


def show(req: func.HttpRequest, changes: AccountChanges) -> func.HttpResponse:
    """`GET /api/accounts/{alias}`."""
    only(req.params, set())
    return _shown(changes.find(_alias(req)))


def change(req: func.HttpRequest, changes: AccountChanges) -> func.HttpResponse:
    """`PATCH /api/accounts/{alias}`."""
    only(req.params, set())
    wanted = read_change(read_json_body(req, MAX_BYTES))
    return _shown(changes.change(_alias(req), wanted, _version(req)))


def _version(req: func.HttpRequest) -> str | None:
    """The version in `If-Match` (RFC 9110, 13.1.1); None if any version will do."""
    given: str = req.headers.get("if-match", "*").strip()
    if given == "*":
        return None
    found = _ETAG.fullmatch(given)
    if found is None:
        raise bad_request("If-Match", "must be the ETag that GET answered with, in its quotes")
    return found[1]


def _alias(req: func.HttpRequest) -> str:
    alias: str = req.route_params.get("alias", "").lower()
    return alias


def _shown(account: Account) -> func.HttpResponse:
    return answer(
        200, views.account_view(account, whole=True), {"ETag": f'"{version_of(account)}"'}
    )
