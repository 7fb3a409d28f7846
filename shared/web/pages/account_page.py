"""The page of one account: its kind, its state, and the settings for all its mails."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

import azure.functions as func

from shared.errors import RequestRejected
from shared.mail import permissions, problems
from shared.mail.account import Account
from shared.services.accounts.changes import AccountChange, AccountChanges
from shared.services.accounts.overview import AccountOverview, AccountOverviews, Rate
from shared.services.accounts.ports import Checks
from shared.web.auth.same_origin import require_same_origin
from shared.web.auth.session import Sessions
from shared.web.forms import read_form
from shared.web.pages import account_form
from shared.web.pages.accounts_page import doubt_of, row_of
from shared.web.pages.checks_shown import moment, shown
from shared.web.pages.guard import explained, to_sign_in
from shared.web.pages.rendering import Site, page, see_other

_PERMISSIONS = {
    "Mail.Send": "send mail",
    permissions.DRAFTS: "make drafts: verified sending and large attachments",
    permissions.SEND_SHARED: "send from shared mailboxes and other From addresses",
    permissions.DRAFTS_SHARED: "make drafts in shared mailboxes",
    "User.Read": "see whose mailbox it is",
}
_SAVED = {
    "settings": "Saved. It applies to waiting mails too; other instances follow within 15 seconds.",
    "default": "This is the default account now: mails that name no account and no sender go from it.",
}


@explained
def show(
    req: func.HttpRequest,
    site: Site,
    sessions: Sessions,
    changes: AccountChanges,
    checks: Checks,
    overviews: AccountOverviews,
) -> func.HttpResponse:
    """`GET /accounts/{alias}`."""
    if not sessions.is_open(req):
        return to_sign_in(req)
    account = changes.find(_alias(req))
    saved = _SAVED.get(req.params.get("saved", ""))
    return _page(site, account, checks, overviews, account_form.values_of(account), saved=saved)


@explained
def change(
    req: func.HttpRequest,
    site: Site,
    sessions: Sessions,
    changes: AccountChanges,
    checks: Checks,
    overviews: AccountOverviews,
) -> func.HttpResponse:
    """`POST /accounts/{alias}`: save the form, or make the account the default one."""
    require_same_origin(req, site.origin)
    if not sessions.is_open(req):
        return see_other("/signin")
    alias, form = _alias(req), read_form(req)
    if form.get("action") == "default":
        changes.change(alias, AccountChange(becomes_default=True))
        return see_other(f"/accounts/{quote(alias)}?saved=default")
    try:
        changes.change(alias, account_form.change_in(form), form.get("version", ""))
    except RequestRejected as refused:
        if refused.kind not in (problems.INVALID_REQUEST, problems.ACCOUNT_EDITED):
            raise
        return _again(site, changes.find(alias), checks, overviews, form, refused)
    return see_other(f"/accounts/{quote(alias)}?saved=settings")


def _again(
    site: Site,
    account: Account,
    checks: Checks,
    overviews: AccountOverviews,
    form: Mapping[str, str],
    refused: RequestRejected,
) -> func.HttpResponse:
    """The page with what was typed, and each fault beside its field."""
    values, told = account_form.typed(form), account_form.told_by_field(refused)
    overtaken = refused.kind is problems.ACCOUNT_EDITED
    if overtaken:
        # The page shows the newer values, so that a second save replaces them on purpose.
        values["version"] = account_form.values_of(account)["version"]
        told = account_form.differences(form, account)
    return _page(
        site,
        account,
        checks,
        overviews,
        values,
        told,
        overtaken=overtaken,
        status=refused.kind.status,
    )


def _page(
    site: Site,
    account: Account,
    checks: Checks,
    overviews: AccountOverviews,
    values: Mapping[str, str],
    told: Mapping[str, str] | None = None,
    *,
    overtaken: bool = False,
    saved: str | None = None,
    status: int = 200,
) -> func.HttpResponse:
    record = checks.find(account.account_id)
    overview = overviews.of(account)
    expired = overview.days_left is not None and overview.days_left <= 0
    return page(
        site,
        "account.html",
        status=status,
        row=row_of(account, site, doubt_of(record, expired=expired)),
        account=account,
        may=[_PERMISSIONS.get(scope, scope) for scope in sorted(account.scopes)],
        values=values,
        told=told or {},
        overtaken=overtaken,
        saved=saved,
        rate=_rate_words(overview.rate),
        held=overview.held,
        held_since=moment(overview.held.oldest) if overview.held and overview.held.oldest else None,
        expiry=_expiry_words(overview),
        checked=shown(record) if record is not None else None,
    )


def _rate_words(rate: Rate | None) -> list[str]:
    """The pace of its mails, in sentences."""
    if rate is None:
        return ["Not known at the moment: storage does not answer."]
    words = ["As fast as Microsoft accepts them."]
    if rate.pace.is_limited:
        words = [f"{rate.pace.mails_per_minute} mails a minute, at most."]
    if rate.daily_cap is not None:
        words.append(
            f"{rate.daily_cap:,} a day, at most; {rate.given_today:,} slots of today are taken."
        )
    if rate.resting_until is not None:
        words.append(f"Microsoft asked for a pause until {moment(rate.resting_until)}.")
    elif rate.given_until is not None:
        words.append(f"Slots are taken until {moment(rate.given_until)}.")
    return words


def _expiry_words(overview: AccountOverview) -> str:
    """When the app's secret or certificate expires; it is the same for every account."""
    found = overview.credential
    if found is None:
        return "It uses nothing that is known to expire."
    name = found.kind.capitalize() if found.kind != "secret" else "Client secret"
    if found.expires_at is None or overview.days_left is None:
        return f"{name}: no expiry date is entered in Key Vault."
    if overview.days_left <= 0:
        return f"{name}: expired on {moment(found.expires_at)}. No mailbox can send: /setup says what to do."
    days = "1 day" if overview.days_left == 1 else f"{overview.days_left} days"
    return f"{name}: {days} left, until {moment(found.expires_at)}."


def _alias(req: func.HttpRequest) -> str:
    alias: str = req.route_params.get("alias", "").lower()
    return alias
