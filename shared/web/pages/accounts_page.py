"""The page of accounts, the session's pages, and static files."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime

import azure.functions as func
import msgspec

from shared.mail import permissions
from shared.mail.account import Account, AccountKind, AccountState
from shared.mail.known_errors import Actor
from shared.mail.known_errors.account import why
from shared.mail.permissions import Choices
from shared.services.accounts.ports import Accounts, CheckRecord, Checks
from shared.services.sign_in.registration import consent_would_help
from shared.services.upkeep.ports import WatchMemory
from shared.web.auth.same_origin import require_same_origin
from shared.web.auth.session import Sessions
from shared.web.auth.signing import Keys
from shared.web.pages import notices
from shared.web.pages.add_form import AddForm
from shared.web.pages.checks_shown import is_expired, shown, warning
from shared.web.pages.connected import linked_shown
from shared.web.pages.guard import explained, page_after, to_sign_in
from shared.web.pages.rendering import Site, asset, page, see_other


@explained
def show_sign_in(req: func.HttpRequest, site: Site, sessions: Sessions) -> func.HttpResponse:
    """`GET /signin`: the form for a function key. It leads to the page that the person asked
    for."""
    onward = page_after(req)
    if sessions.is_open(req):
        return see_other(onward)
    return page(site, "signin.html", onward=onward)


def open_session(req: func.HttpRequest, sessions: Sessions) -> func.HttpResponse:
    """`POST /session`, with auth level FUNCTION: the host has already checked the key.

    A key in the query is refused, although the host accepts it, because URLs get into logs and
    histories.
    """
    if not req.headers.get("x-functions-key"):
        return func.HttpResponse(
            "Send the function key in the header x-functions-key.", status_code=400
        )
    response = func.HttpResponse(status_code=204, headers={"Cache-Control": "no-store"})
    response.headers.add("Set-Cookie", sessions.open())
    return response


@explained
def close_session(req: func.HttpRequest, site: Site, sessions: Sessions) -> func.HttpResponse:
    """`POST /signout`"""
    require_same_origin(req, site.origin)
    return see_other("/signin", set_cookies=[sessions.close()])


@explained
def show_accounts(
    req: func.HttpRequest,
    site: Site,
    sessions: Sessions,
    keys: Keys,
    accounts: Accounts,
    checks: Checks,
    memory: WatchMemory,
) -> func.HttpResponse:
    """`GET /accounts`: the connected mailboxes, their states, and the form that signs one in."""
    if not sessions.is_open(req):
        return to_sign_in(req)
    rows = sorted(accounts.all(fresh=True), key=lambda account: account.alias)
    records = {one.check.account_id: one for one in checks.all()}
    remembered = memory.recall()
    expired = is_expired(remembered)
    checked = req.params.get("checked")
    asked_for = next((row.account_id for row in rows if row.alias == checked), None)
    notice = notices.read_cookie(keys, req.headers.get("Cookie", ""))
    connected = next((row for row in rows if row.alias == req.params.get("linked")), None)
    asked = re.split(r"[ +]", req.params.get("asked", ""))
    choices = Choices("verified" in asked, "shared" in asked)
    # Permissions that a holder was granted are not reported for the mailboxes reached through it.
    signed_in = connected if connected and connected.kind.is_signed_in else None
    record = records.get(asked_for or "")
    return page(
        site,
        "accounts.html",
        set_cookies=[notices.clear_cookie()] if notice else [],
        rows=[
            row_of(account, site, doubt_of(records.get(account.account_id), expired=expired))
            for account in rows
        ],
        has_default=any(account.is_default for account in rows),
        add_mailbox=AddForm.empty(rows),
        connected=linked_shown(connected, records.get(connected.account_id)) if connected else None,
        withheld=_purposes(choices.withheld(signed_in.scopes)) if signed_in else (),
        unasked=_purposes(choices.unasked(signed_in.scopes)) if signed_in else (),
        withheld_url=_approval_url(site, signed_in, choices) if signed_in else None,
        checked=shown(record) if record is not None else None,
        troubled=sorted(
            row.alias for row in rows if row.account_id in records and records[row.account_id].known
        ),
        warning=warning(remembered),
        notice=notice,
    )


def show_asset(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /static/{name}`"""
    found = asset(req.route_params.get("name", ""))
    return found or func.HttpResponse("There is no such file.", status_code=404)


class _Row(msgspec.Struct, frozen=True):
    """One account as the table shows it."""

    alias: str
    address: str
    name: str
    kind: str
    state: str
    state_words: str
    tone: str
    """The CSS class of the state: the state, or another one if `ready` is not the whole truth."""
    reason: str | None
    remedy: str | None
    is_default: bool
    choices: Choices
    signs_in_as: str
    """The name of the kind on the form."""
    approval_url: str | None
    """The link for an administrator, if only the consent is missing."""
    signed_in: str | None
    may_hold: bool
    """Whether shared mailboxes may be reached through it."""
    holder: str | None
    """For a shared mailbox: the alias of the account that it is reached through."""
    is_signed_in: bool
    """Whether a person signs it in."""


_KINDS = {
    AccountKind.WORK: "Work or school",
    AccountKind.PERSONAL: "Personal",
    AccountKind.SHARED: "Shared mailbox",
    AccountKind.APP: "App-only",
}
_STATES = {
    AccountState.READY: "Ready",
    AccountState.HELD: "On hold",
    AccountState.NEEDS_SIGN_IN: "Sign in again",
}


class Doubt(msgspec.Struct, frozen=True):
    """Why an account in the state ready may still be unable to send."""

    words: str
    reason: str
    remedy: str | None = None


def doubt_of(record: CheckRecord | None, *, expired: bool) -> Doubt | None:
    """The known faults of an account that its own row does not show."""
    if expired:
        return Doubt(
            "Cannot send",
            "The app's secret or certificate has expired: no mailbox can send.",
            "/setup says what to do.",
        )
    if record is not None and record.known:
        return Doubt("Ready, with faults", "The last check found faults; its page lists them.")
    return None


def row_of(account: Account, site: Site, doubt: Doubt | None = None) -> _Row:
    """An account in the words of the page."""
    reason, remedy = _explain(account)
    doubted = doubt if account.state is AccountState.READY else None
    if doubted:
        reason, remedy = doubted.reason, doubted.remedy
    return _Row(
        alias=account.alias,
        address=account.address,
        name=account.display_name,
        kind=_KINDS[account.kind],
        state=account.state.value,
        state_words=doubted.words if doubted else _state_words(account),
        tone=AccountState.HELD.value if doubted else account.state.value,
        reason=reason,
        remedy=remedy,
        is_default=account.is_default,
        choices=Choices.of(account.scopes),
        signs_in_as=account.kind.value,
        approval_url=(
            _approval_url(site, account, Choices.of(account.scopes))
            if account.state is AccountState.NEEDS_SIGN_IN and consent_would_help(account.reason)
            else None
        ),
        signed_in=_moment(account.signed_in_at) if account.signed_in_at else None,
        may_hold=account.kind is AccountKind.WORK and account.may_send_shared,
        holder=account.holder_alias,
        is_signed_in=account.kind.is_signed_in,
    )


def _approval_url(site: Site, account: Account, choices: Choices) -> str | None:
    return site.registration.admin_consent_url(choices, account.authority)


_PURPOSES = {
    permissions.DRAFTS: "verified sending and large attachments",
    permissions.SEND_SHARED: "shared mailboxes and other From addresses",
    permissions.DRAFTS_SHARED: "verified sending for shared mailboxes",
}


def _purposes(scopes: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Permissions with their purpose; permissions without a choice on the form are left out."""
    return tuple((scope, _PURPOSES[scope]) for scope in scopes if scope in _PURPOSES)


def _explain(account: Account) -> tuple[str | None, str | None]:
    """Why an account cannot send, and who must do what."""
    row = why(account)
    if row is None:
        return None, None
    passes = " It may end without that." if row.retryable and row.who is not Actor.NOBODY else ""
    return f"{row.meaning} ({row.code})", f"{row.help}{passes}"


def _state_words(account: Account) -> str:
    until = account.held_until if account.state is AccountState.HELD else None
    words = _STATES[account.state]
    return f"{words} until {_moment(until)}" if until else words


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%d %b %Y, %H:%M UTC")
