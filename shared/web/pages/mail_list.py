"""`GET /mails`: the mails that need attention, and all mails, newest first."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import azure.functions as func
import msgspec

from shared.errors import RemoteError
from shared.mail import ids, known_errors, rights
from shared.mail.account import Account, AccountState
from shared.mail.mail import FINDING_OUT, Mail, MailFilter, MailPage
from shared.mail.status import ATTENTION, Status
from shared.services.accounts.ports import Accounts
from shared.services.clock import Clock
from shared.services.intake.idempotency import Idempotency
from shared.services.intake.mail_document import is_key
from shared.services.mails.hourly_stats import HourlyStats
from shared.services.mails.ports import AttentionIndex, AttentionItem, Ledger
from shared.web.auth import signing
from shared.web.auth.signing import Keys, Purpose
from shared.web.forms import query_of, read_form
from shared.web.pages import wording
from shared.web.pages.chart import Chart
from shared.web.pages.guard import guarded
from shared.web.pages.rendering import Site, page, see_other

SHOWN = 50
MOST_CASES = 1000
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_PART_OF_ID = re.compile(r"[0-9a-f-]{8,35}")
_NEEDS_ATTENTION = "attention"
_LATE = "late"
_ON_THE_WAY = (Status.QUEUED, Status.SENDING)
LATE_AFTER = timedelta(minutes=15)
"""Measured from acceptance, or from the date that a scheduled mail waits for."""
_LONGEST = 256
_CONTEXT = "mails"


class Row(msgspec.Struct, frozen=True):
    """One mail in the list."""

    mail_id: str
    subject: str
    recipients: str
    account: str
    status: str
    status_words: str
    reason: str | None
    waits: str | None
    """For a mail that waits for a time: until when, and why."""
    accepted: str
    accepted_iso: str


class Group(msgspec.Struct, frozen=True):
    """Mails that need attention for one cause."""

    status: str
    status_words: str
    reason: str | None
    account: str | None
    has_page: bool
    """Whether the account has a page."""
    count: int
    more: bool
    """Whether there may be more mails than were counted."""
    meaning: str
    step: str | None
    action: str | None
    """The action of the button for all of them: `release` or `retry`."""
    link: str


_CHOSEN = ("status", "account", "reason", "since", "until")
_TYPED = ("tag", "to", "find")


class Asked(msgspec.Struct, frozen=True):
    """The search form as it was filled in.

    Addresses of pages get into logs and histories, and a typed text may name a person. The address
    therefore contains the text sealed, as `typed`.
    """

    status: str = ""
    account: str = ""
    reason: str = ""
    since: str = ""
    until: str = ""
    tag: str = ""
    to: str = ""
    find: str = ""
    typed: str = ""

    @classmethod
    def of_form(cls, form: Mapping[str, str], keys: Keys) -> Asked:
        """The search in a form. Unknown values are dropped, and long ones are cut."""
        words = {name: form[name].strip()[:_LONGEST] for name in _TYPED if form.get(name)}
        words = {name: text for name, text in words.items() if text}
        content = json.dumps(words).encode()
        sealed = signing.seal(keys, Purpose.SEARCH, content, _CONTEXT) if words else ""
        return cls(**_chosen(form), **words, typed=sealed)

    @classmethod
    def of_query(cls, query: Mapping[str, str], keys: Keys) -> Asked:
        """The search in an address. Raises ValueError for a sealed text that Postroom did not
        make."""
        sealed = query.get("typed", "")
        content = signing.unseal(keys, Purpose.SEARCH, sealed, _CONTEXT) if sealed else b"{}"
        if content is None:
            raise ValueError("this search cannot be read any more: fill in the form again")
        return cls(**_chosen(query), **json.loads(content), typed=sealed)

    @property
    def is_empty(self) -> bool:
        """Whether all mails are listed."""
        return self == Asked()

    def link(self, **more: str) -> str:
        """The address of this list, or of another part of it."""
        fields = {name: getattr(self, name) for name in (*_CHOSEN, "typed")} | more
        query = urlencode({name: value for name, value in fields.items() if value})
        return f"/mails?{query}" if query else "/mails"


def _chosen(fields: Mapping[str, str]) -> dict[str, str]:
    return {name: fields[name].strip()[:_LONGEST] for name in _CHOSEN if fields.get(name)}


_NOTHING = MailPage((), None)


@guarded
def search_mails(req: func.HttpRequest, site: Site, keys: Keys) -> func.HttpResponse:
    """`POST /mails`: redirect to the list that the form asks for, at an address that can be
    kept."""
    form = read_form(req)
    asked = Asked.of_form(form, keys)
    if ids.is_id(asked.find.lower()):
        return see_other(f"/mails/{asked.find.lower()}")
    return see_other(asked.link())


@guarded
def show_mails(
    req: func.HttpRequest,
    site: Site,
    keys: Keys,
    ledger: Ledger,
    attention: AttentionIndex,
    hourly_stats: HourlyStats,
    accounts: Accounts,
    idempotency: Idempotency,
    clock: Clock,
) -> func.HttpResponse:
    """The list. A filter that cannot match is not looked up; the page says what is wrong with
    it."""
    try:
        query = query_of(req)
    except ValueError:
        query = {}
    problem, found = None, _NOTHING
    try:
        asked = Asked.of_query(query, keys)
        problem, found = _looked_up(asked, query.get("cursor"), ledger, idempotency, clock())
    except ValueError as error:
        asked, problem = Asked(**_chosen(query)), _sentence(error)
    first = problem is None and asked.is_empty and "cursor" not in query
    opened = attention.newest(MOST_CASES) if first else ()
    known = accounts.all()
    return page(
        site,
        "mails.html",
        rows=[row_of(mail) for mail in found.mails],
        groups=group(opened, known, more=len(opened) == MOST_CASES),
        chart=_chart(hourly_stats) if first else None,
        asked=asked,
        problem=problem,
        statuses=[(status.value, wording.STATUSES[status]) for status in Status],
        aliases=sorted(account.alias for account in known),
        older=asked.link(cursor=found.cursor) if found.cursor else None,
        reached=found.reached and wording.moment(found.reached),
        reached_iso=found.reached and wording.iso(found.reached),
        whole=bool(asked.to) and not _is_part(asked),
        later="cursor" in query,
    )


def _looked_up(
    asked: Asked, cursor: str | None, ledger: Ledger, idempotency: Idempotency, now: datetime
) -> tuple[str | None, MailPage]:
    """The fault of the filter, or a page of mails with its cursor."""
    if asked.find:
        if not is_key(asked.find):
            return "Search for a mail's id or for its idempotency key.", _NOTHING
        mails = tuple(
            mail
            for mail in idempotency.find(asked.find)
            if not asked.account or mail.account == asked.account.lower()
        )
        if not mails and _PART_OF_ID.fullmatch(asked.find.lower()):
            return "No mail has this key; an id has 36 characters.", _NOTHING
        return None, MailPage(mails, None)
    try:
        return None, ledger.page(_filter(asked, now), SHOWN, cursor)
    except ValueError as error:
        return _sentence(error), _NOTHING


def _sentence(error: ValueError) -> str:
    return f"{str(error).capitalize()}."


def _filter(asked: Asked, now: datetime) -> MailFilter:
    since, until = _day(asked.since, "since"), _day(asked.until, "until")
    if since and until and since > until:
        raise ValueError("'until' is a day before 'since': no mail is in between")
    until = until + timedelta(days=1) if until else None
    if asked.status == _LATE:
        until = min(until or now, now - LATE_AFTER)
    return MailFilter(
        statuses=_statuses(asked.status),
        account=asked.account.lower() or None,
        tag=asked.tag or None,
        since=since,
        until=until,
        recipient=asked.to.lower() or None,
        reason=asked.reason or None,
    )


def _is_part(asked: Asked) -> bool:
    return MailFilter(recipient=asked.to.lower()).is_part_of_address


def _statuses(text: str) -> tuple[Status, ...]:
    if text == _NEEDS_ATTENTION:
        return ATTENTION
    if text == _LATE:
        return _ON_THE_WAY
    if text and text not in list(Status):
        raise ValueError("there is no such status")
    return (Status(text),) if text else ()


def _day(text: str, name: str) -> datetime | None:
    if not text:
        return None
    if not _DATE.fullmatch(text) or not "2000" <= text[:4] < "3000":
        raise ValueError(f"'{name}' must be a day such as 2026-12-01")
    return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)


def _chart(hourly_stats: HourlyStats) -> Chart | None:
    """The chart; None if the counts cannot be read, because the list is more important."""
    try:
        return Chart.of(hourly_stats.last_day())
    except RemoteError:
        return None


def row_of(mail: Mail) -> Row:
    """A mail as the list shows it."""
    return Row(
        mail_id=mail.mail_id,
        subject=wording.subject(mail),
        recipients=wording.recipients(mail),
        account=mail.account or "",
        status=mail.status.value,
        status_words=wording.STATUSES[mail.status],
        reason=mail.reason if mail.status in ATTENTION else None,
        waits=wording.waits(mail),
        accepted=wording.moment(mail.accepted_at),
        accepted_iso=wording.iso(mail.accepted_at),
    )


def group(
    attention: Sequence[AttentionItem], accounts: Sequence[Account], *, more: bool
) -> list[Group]:
    """Attention items grouped by cause, the largest group first."""
    known = {account.alias: account for account in accounts}
    counts: dict[tuple[Status, str | None, str | None], int] = {}
    for case in attention:
        key = (case.status, case.reason, case.account)
        counts[key] = counts.get(key, 0) + 1
    largest = sorted(counts.items(), key=lambda item: -item[1])
    return [
        _group(status, reason, alias, known, count, more=more)
        for (status, reason, alias), count in largest
    ]


def _group(
    status: Status,
    reason: str | None,
    alias: str | None,
    known: Mapping[str, Account],
    count: int,
    *,
    more: bool,
) -> Group:
    row = known_errors.find(reason) if reason and known_errors.is_known(reason) else None
    account = known.get(alias or "")
    return Group(
        status=status.value,
        status_words=wording.STATUSES[status],
        reason=reason,
        account=alias,
        has_page=account is not None,
        count=count,
        more=more,
        meaning=row.meaning if row else wording.MEANINGS[status],
        step=_step(status, alias, account, known) or (row.step if row else None),
        action=_action(status, reason, alias, account),
        link=Asked(status=status.value, account=alias or "", reason=reason or "").link(),
    )


def _step(
    status: Status, alias: str | None, account: Account | None, known: Mapping[str, Account]
) -> str | None:
    """The remedy, if the account says more than the reason does."""
    if status is Status.UNKNOWN:
        return "Open each: say on its page whether it was sent, or have it sent again."
    if status is not Status.HELD:
        return None
    if account is None:
        return f"'{alias}' is not connected: connect it again on /accounts, or cancel the mails."
    holder = next((one for one in known.values() if one.account_id == account.through), None)
    if account.state is AccountState.NEEDS_SIGN_IN and holder is not None:
        return f"Sign '{holder.alias}' in again on /accounts: this mailbox is reached through it."
    return rights.remedy(account)


def _action(
    status: Status, reason: str | None, alias: str | None, account: Account | None
) -> str | None:
    """The action for all mails of a group. Mails that may have been sent are never sent again many
    at once. A failed mail without an account is a queue message that could not be read as a mail:
    it cannot be sent. Mails that wait for a sign-in are sent by themselves after it."""
    if status is Status.FAILED and alias is None:
        return None
    if reason == FINDING_OUT or status is Status.UNKNOWN:
        return None
    if status is not Status.HELD:
        return "retry"
    if account is None or account.state is AccountState.NEEDS_SIGN_IN:
        return None
    return "release"
