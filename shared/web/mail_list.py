"""`GET /mails`: what needs attention, and every mail, newest first."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import azure.functions as func

from shared.errors import RemoteError
from shared.mail import ids, refusals
from shared.mail.mail import FINDING_OUT, Mail, MailFilter
from shared.mail.status import Status
from shared.services.attention import ATTENTION
from shared.services.document import is_key
from shared.services.ports import Accounts, Case, Cases, Ledger
from shared.services.submission import Submission
from shared.services.tally import Tally
from shared.web import wording
from shared.web.chart import Chart
from shared.web.forms import query_of
from shared.web.guard import guarded
from shared.web.rendering import Site, page, see_other

SHOWN = 50
MOST_CASES = 1000
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_NEEDS_ATTENTION = "attention"


@dataclass(frozen=True)
class Row:
    """One mail as the list shows it."""

    mail_id: str
    subject: str
    recipients: str
    account: str
    status: str
    status_words: str
    reason: str | None
    accepted: str
    accepted_iso: str


@dataclass(frozen=True)
class Group:
    """Mails that need attention for one cause."""

    status: str
    status_words: str
    reason: str | None
    account: str | None
    count: int
    more: bool
    """Whether there may be more of them than were counted."""
    meaning: str
    step: str | None
    action: str | None
    """What a button does with all of them: `release` or `retry`."""
    link: str


@dataclass(frozen=True)
class Asked:
    """The form as it was filled in."""

    status: str = ""
    account: str = ""
    reason: str = ""
    tag: str = ""
    to: str = ""
    since: str = ""
    until: str = ""
    find: str = ""

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Asked:
        """What is too long or unknown is left out."""
        return cls(
            **{
                name: query[name].strip()[:256]
                for name in cls.__dataclass_fields__
                if query.get(name)
            }
        )

    @property
    def is_empty(self) -> bool:
        """Whether every mail is wanted."""
        return self == Asked()

    def link(self, **changes: str) -> str:
        """The address of this list, or of one that differs."""
        fields = {**vars(self), **changes}
        query = urlencode({name: value for name, value in fields.items() if value})
        return f"/mails?{query}" if query else "/mails"


@guarded
def show_mails(
    req: func.HttpRequest,
    site: Site,
    ledger: Ledger,
    cases: Cases,
    tally: Tally,
    accounts: Accounts,
    submission: Submission,
) -> func.HttpResponse:
    """The list. Looks nothing up for a filter that cannot match: it says what is wrong with it."""
    try:
        query = query_of(req)
    except ValueError:
        query = {}
    asked = Asked.of(query)
    if ids.is_id(asked.find.lower()):
        return see_other(f"/mails/{asked.find.lower()}")
    problem, mails, cursor = _looked_up(asked, query.get("cursor"), ledger, submission)
    first = asked.is_empty and "cursor" not in query
    found = cases.newest(MOST_CASES) if first else ()
    return page(
        site,
        "mails.html",
        rows=[row_of(mail) for mail in mails],
        groups=group(found, more=len(found) == MOST_CASES),
        chart=_chart(tally) if first else None,
        asked=asked,
        problem=problem,
        statuses=[(status.value, wording.STATUSES[status]) for status in Status],
        aliases=sorted(account.alias for account in accounts.all()),
        older=asked.link(cursor=cursor) if cursor else None,
        later="cursor" in query,
    )


def _looked_up(
    asked: Asked, cursor: str | None, ledger: Ledger, submission: Submission
) -> tuple[str | None, Sequence[Mail], str | None]:
    """What is wrong with the filter, or the mails and where to go on."""
    if asked.find:
        if not is_key(asked.find):
            return "Search for a mail's id or for its idempotency key.", (), None
        return None, submission.find(asked.find), None
    try:
        found = ledger.page(_filter(asked), SHOWN, cursor)
    except ValueError as error:
        return str(error).capitalize() + ".", (), None
    return None, found.mails, found.cursor


def _filter(asked: Asked) -> MailFilter:
    until = _day(asked.until, "to")
    return MailFilter(
        statuses=_statuses(asked.status),
        account=asked.account.lower() or None,
        tag=asked.tag or None,
        since=_day(asked.since, "from"),
        until=until + timedelta(days=1) if until else None,
        recipient=asked.to.lower() or None,
        reason=asked.reason or None,
    )


def _statuses(text: str) -> tuple[Status, ...]:
    if text == _NEEDS_ATTENTION:
        return ATTENTION
    if text and text not in list(Status):
        raise ValueError("there is no such status")
    return (Status(text),) if text else ()


def _day(text: str, name: str) -> datetime | None:
    if not text:
        return None
    if not _DATE.fullmatch(text) or not "2000" <= text[:4] < "3000":
        raise ValueError(f"'{name}' must be a day such as 2026-12-01")
    return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)


def _chart(tally: Tally) -> Chart | None:
    """None where the counts are out of reach: the list is worth more."""
    try:
        return Chart.of(tally.last_day())
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
        accepted=wording.moment(mail.accepted_at),
        accepted_iso=wording.iso(mail.accepted_at),
    )


def group(cases: Sequence[Case], *, more: bool) -> list[Group]:
    """Cases by what they have in common, the largest group first."""
    counts: dict[tuple[Status, str | None, str | None], int] = {}
    for case in cases:
        key = (case.status, case.reason, case.account)
        counts[key] = counts.get(key, 0) + 1
    largest = sorted(counts.items(), key=lambda item: -item[1])
    return [_group(*key, count, more=more) for key, count in largest]


def _group(
    status: Status, reason: str | None, account: str | None, count: int, *, more: bool
) -> Group:
    row = refusals.find(reason) if reason and refusals.is_known(reason) else None
    return Group(
        status=status.value,
        status_words=wording.STATUSES[status],
        reason=reason,
        account=account,
        count=count,
        more=more,
        meaning=row.meaning if row else wording.MEANINGS[status],
        step=row.step if row else None,
        action=_action(status, reason),
        link=Asked(status=status.value, account=account or "", reason=reason or "").link(),
    )


def _action(status: Status, reason: str | None) -> str | None:
    """Sending again what may have been sent is never done for many at once."""
    if reason == FINDING_OUT or status is Status.UNKNOWN:
        return None
    return "release" if status is Status.HELD else "retry"
