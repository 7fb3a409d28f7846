"""`/mails/{id}`: the history of one mail, its content, and the actions for it."""

from __future__ import annotations

import re
from collections.abc import Sequence

import azure.functions as func
import msgspec

from shared.errors import FieldProblem, PostroomError, RequestRejected
from shared.mail import ids, known_errors, problems
from shared.mail.delivery_mode import DeliveryMode
from shared.mail.mail import DAILY_CAP, Mail
from shared.mail.message import Message, StoredFile
from shared.mail.status import Status
from shared.services.intake.address_fields import read_addresses
from shared.services.mails.change_rules import Recipients
from shared.services.mails.changes import Changes, Decision
from shared.services.mails.content import Content
from shared.services.mails.ports import Ledger
from shared.web.forms import read_form
from shared.web.pages import wording
from shared.web.pages.guard import guarded
from shared.web.pages.rendering import Site, framed, page, see_other

_MOST_SENTENCES = 5
_IN_A_LIST = re.compile(r"\[(\d+)\]$")
_CANCELLABLE = (Status.SCHEDULED, Status.QUEUED, Status.HELD)


class HistoryLine(msgspec.Struct, frozen=True):
    """One event of the history."""

    status: str
    words: str
    reason: str | None
    meaning: str | None
    at: str
    at_iso: str
    took: str | None
    """The time since the line before it."""


class File(msgspec.Struct, frozen=True):
    """An attachment in the list of attachments."""

    filename: str
    content_type: str
    size: str
    inline: bool


class Held(msgspec.Struct, frozen=True):
    """The content of the mail, as long as it is stored."""

    sender: str
    to: tuple[str, ...]
    cc: tuple[str, ...]
    bcc: tuple[str, ...]
    reply_to: tuple[str, ...]
    text: str | None
    has_html: bool
    is_raw: bool
    files: tuple[File, ...]


@guarded
def show_mail(
    req: func.HttpRequest, site: Site, ledger: Ledger, content: Content
) -> func.HttpResponse:
    """The page."""
    return _page(site, _found(req, ledger), content)


@guarded
def show_html(
    req: func.HttpRequest, site: Site, ledger: Ledger, content: Content
) -> func.HttpResponse:
    """The html of a mail, for the frame on its page. The browser runs no script in it and fetches
    nothing."""
    message = content.of(_found(req, ledger))
    return framed(message.html if message is not None and message.html else "")


@guarded
def change_mail(
    req: func.HttpRequest, site: Site, ledger: Ledger, content: Content, changes: Changes
) -> func.HttpResponse:
    """Handle a button of the page. After an error, the page shows it beside the mail."""
    mail = _found(req, ledger)
    form = read_form(req)
    try:
        _apply(changes, mail.mail_id, form)
    except PostroomError as error:
        return _page(site, _found(req, ledger), content, refused=error, to=form.get("to", ""))
    return see_other(f"/mails/{mail.mail_id}")


def _apply(changes: Changes, mail_id: str, form: dict[str, str]) -> None:
    match form.get("action"):
        case "cancel":
            changes.cancel(mail_id)
        case "now":
            if changes.reschedule(mail_id, None).reason == DAILY_CAP:
                raise RequestRejected(
                    problems.WRONG_STATUS,
                    "The mail still waits: its account's daily cap is used up for today.",
                    help="Raise the cap or leave it empty on the account's page (/accounts), then "
                    "choose 'Send now' again. Otherwise it is sent by itself at the time below.",
                )
        case "release":
            changes.release(mail_id)
        case "retry":
            changes.retry(mail_id, _recipients(form.get("to", "")))
        case "was_sent":
            changes.resolve(mail_id, Decision.SENT)
        case "send_again":
            changes.resolve(mail_id, Decision.SEND_AGAIN)
        case _:
            raise RequestRejected(problems.INVALID_REQUEST, "There is no such action.")


def _recipients(text: str) -> Recipients | None:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return None
    found: list[FieldProblem] = []
    addresses = read_addresses("to", lines[0] if len(lines) == 1 else list(lines), found)
    if found:
        raise RequestRejected(
            problems.INVALID_REQUEST,
            " ".join(_sentence(problem) for problem in found[:_MOST_SENTENCES]),
            found,
            help="Write plain addresses, or names with addresses in angle brackets, separated by "
            "commas, semicolons or line breaks.",
        )
    return Recipients(to=addresses)


def _sentence(problem: FieldProblem) -> str:
    line = _IN_A_LIST.search(problem.field)
    subject = f"Line {int(line[1]) + 1}" if line else "The list of addresses"
    return f"{subject} {problem.message}."


def _found(req: func.HttpRequest, ledger: Ledger) -> Mail:
    mail_id = req.route_params.get("id", "").lower()
    found = ledger.get(mail_id) if ids.is_id(mail_id) else None
    if found is None:
        raise RequestRejected(
            problems.UNKNOWN_MAIL,
            "There is no mail with this id.",
            help="Look for it on /mails. Finished mails are deleted after the days that "
            "POSTROOM_RETENTION_DAYS says.",
        )
    return found.mail


def _page(
    site: Site,
    mail: Mail,
    content: Content,
    *,
    refused: PostroomError | None = None,
    to: str = "",
) -> func.HttpResponse:
    raw = content.raw_of(mail)
    row = (
        known_errors.find(mail.reason)
        if mail.reason and known_errors.is_known(mail.reason)
        else None
    )
    return page(
        site,
        "mail.html",
        status=getattr(getattr(refused, "kind", None), "status", 503) if refused else 200,
        mail=mail,
        subject=wording.subject(mail),
        status_words=wording.STATUSES[mail.status],
        meaning=wording.MEANINGS[mail.status],
        why=wording.reason(mail.reason),
        waits=wording.waits(mail),
        named=mail.reason in wording.REASONS,
        step=_step(mail, row),
        who=row.who.value if row else None,
        lines=history(mail),
        facts=facts(mail),
        held=_held(content.of(mail)),
        raw=raw,
        actions=actions(mail),
        refused=refused,
        remedy=getattr(refused, "help", None),
        to=to,
    )


def _step(mail: Mail, row: known_errors.KnownError | None) -> str | None:
    """The remedy. The help of a mail may begin with the reason, which the page shows above it."""
    if row is not None and (not mail.help or mail.help.startswith(row.meaning)):
        return row.step
    return mail.help


def history(mail: Mail) -> list[HistoryLine]:
    """The events of a mail, with the time that each step took."""
    lines, before = [], mail.accepted_at
    for number, event in enumerate(mail.events):
        lines.append(
            HistoryLine(
                event.status.value,
                wording.STATUSES[event.status],
                event.reason,
                wording.reason(event.reason),
                wording.moment(event.at),
                wording.iso(event.at),
                wording.lasting(event.at - before) if number else None,
            )
        )
        before = event.at
    return lines


def facts(mail: Mail) -> list[tuple[str, str]]:
    """The other facts about a mail, as pairs of label and value."""
    found: list[tuple[str, str | None]] = [
        ("To", _recipients_shown(mail)),
        ("Former recipients", ", ".join(mail.former_recipients) or None),
        ("From", mail.sender or None),
        ("Account", mail.account),
        ("Came by", "HTTP" if mail.caller.value == "http" else "the queue"),
        ("Goes", _way(mail)),
        ("Due", _due(mail)),
        ("Attempts", str(mail.attempts)),
        ("Tags", ", ".join(mail.tags) or None),
        *((f"Metadata: {name}", value) for name, value in mail.metadata),
        ("Idempotency key", mail.idempotency_key),
        ("Microsoft's request id", mail.request_id),
        ("Id", mail.mail_id),
    ]
    return [(name, value) for name, value in found if value]


def _recipients_shown(mail: Mail) -> str | None:
    """Rows of earlier versions, and rejected messages, may hold fewer than there were."""
    more = mail.recipient_count - len(mail.recipients)
    return ", ".join((*mail.recipients, *([f"and {more} more"] if more > 0 else []))) or None


def _way(mail: Mail) -> str | None:
    if mail.is_refused_message:
        return None
    if mail.delivery is DeliveryMode.VERIFIED:
        return "verified: Postroom can find out whether it was sent"
    return "directly: in one request, without a way to find out afterwards"


def _due(mail: Mail) -> str | None:
    waits = mail.status in (Status.SCHEDULED, Status.QUEUED) or mail.finding_out
    return wording.moment(mail.due_at) if waits else None


def actions(mail: Mail) -> Sequence[str]:
    """The buttons for a mail in its status. A refused queue message has none that sends it."""
    found = []
    if mail.status is Status.HELD:
        found.append("release")
    if mail.status in (Status.SCHEDULED, Status.QUEUED) and mail.due_at > mail.updated_at:
        found.append("now")
    if mail.status in (Status.FAILED, Status.HELD) and not mail.is_refused_message:
        found.append("retry")
    if mail.status is Status.UNKNOWN:
        found += ["was_sent", "send_again"]
    if mail.status in _CANCELLABLE:
        found.append("cancel")
    return found


def _held(message: Message | None) -> Held | None:
    if message is None:
        return None

    def shown(addresses: Sequence[object]) -> tuple[str, ...]:
        return tuple(map(str, addresses))

    return Held(
        sender=str(message.sender) if message.sender else "",
        to=shown(message.to),
        cc=shown(message.cc),
        bcc=shown(message.bcc),
        reply_to=shown(message.reply_to),
        text=message.text,
        has_html=message.html is not None,
        is_raw=message.mime is not None,
        files=tuple(
            File(
                file.filename,
                file.content_type,
                _bytes(file.content.size if isinstance(file.content, StoredFile) else file.size),
                file.content_id is not None,
            )
            for file in message.attachments
        ),
    )


def _bytes(size: int) -> str:
    if size < 1000:
        return f"{size} bytes"
    return f"{size / 1000:.0f} KB" if size < 1_000_000 else f"{size / 1_000_000:.1f} MB"
