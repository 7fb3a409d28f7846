"""The page of one account: what it is, how it stands, and what is set for all its mails."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

import azure.functions as func

from shared.errors import Refused
from shared.mail import permissions, problems
from shared.mail.account import Account
from shared.services.account_changes import AccountChange, AccountChanges
from shared.services.ports import Checks
from shared.web import account_form
from shared.web.checks_shown import shown
from shared.web.csrf import require_same_origin
from shared.web.forms import form_of
from shared.web.guard import explained
from shared.web.pages import row_of
from shared.web.rendering import Site, page, see_other
from shared.web.session import Sessions

_PERMISSIONS = {
    "Mail.Send": "send mail",
    permissions.DRAFTS: "make drafts: verified sending and large attachments",
    permissions.SEND_SHARED: "send from shared mailboxes and other From addresses",
    permissions.DRAFTS_SHARED: "make drafts in shared mailboxes",
    "User.Read": "see whose mailbox it is",
}
_SAVED = {
    "settings": "Saved. Mails that wait go out with it too; other instances follow within 15 seconds.",
    "default": "This is the default account now: mails that name no account and no sender go from it.",
}


@explained
def show(
    req: func.HttpRequest, site: Site, sessions: Sessions, changes: AccountChanges, checks: Checks
) -> func.HttpResponse:
    """`GET /accounts/{alias}`."""
    if not sessions.is_open(req):
        return see_other("/signin")
    account = changes.find(_alias(req))
    saved = _SAVED.get(req.params.get("saved", ""))
    return _page(site, account, checks, account_form.values_of(account), saved=saved)


@explained
def change(
    req: func.HttpRequest, site: Site, sessions: Sessions, changes: AccountChanges, checks: Checks
) -> func.HttpResponse:
    """`POST /accounts/{alias}`: save what the form says, or make it the default account."""
    require_same_origin(req, site.origin)
    if not sessions.is_open(req):
        return see_other("/signin")
    alias, form = _alias(req), _form(req)
    if form.get("action") == "default":
        changes.change(alias, AccountChange(becomes_default=True))
        return see_other(f"/accounts/{quote(alias)}?saved=default")
    try:
        changes.change(alias, account_form.change_in(form), form.get("version", ""))
    except Refused as refused:
        if refused.kind not in (problems.INVALID_REQUEST, problems.ACCOUNT_EDITED):
            raise
        return _again(site, changes.find(alias), checks, form, refused)
    return see_other(f"/accounts/{quote(alias)}?saved=settings")


def _again(
    site: Site, account: Account, checks: Checks, form: Mapping[str, str], refused: Refused
) -> func.HttpResponse:
    """The page with what was typed, and beside each field what is wrong with it."""
    values, told = account_form.typed(form), account_form.told_by_field(refused)
    overtaken = refused.kind is problems.ACCOUNT_EDITED
    if overtaken:
        # Whoever saves once more has seen what is replaced.
        values["version"] = account_form.values_of(account)["version"]
        told = account_form.differences(form, account)
    return _page(
        site, account, checks, values, told, overtaken=overtaken, status=refused.kind.status
    )


def _page(
    site: Site,
    account: Account,
    checks: Checks,
    values: Mapping[str, str],
    told: Mapping[str, str] | None = None,
    *,
    overtaken: bool = False,
    saved: str | None = None,
    status: int = 200,
) -> func.HttpResponse:
    record = checks.find(account.account_id)
    return page(
        site,
        "account.html",
        status=status,
        row=row_of(account, site),
        account=account,
        may=[_PERMISSIONS.get(scope, scope) for scope in sorted(account.scopes)],
        values=values,
        told=told or {},
        overtaken=overtaken,
        saved=saved,
        checked=shown(record) if record is not None else None,
    )


def _form(req: func.HttpRequest) -> dict[str, str]:
    try:
        return form_of(req)
    except ValueError as error:
        raise Refused(problems.INVALID_REQUEST, "The form cannot be read.") from error


def _alias(req: func.HttpRequest) -> str:
    alias: str = req.route_params.get("alias", "").lower()
    return alias
