"""The documents that the API answers with; `openapi.py` describes them from these very types."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from shared.errors import FieldProblem, RequestRejected
from shared.mail.account import Account
from shared.mail.composing import reply_to_of, signatures
from shared.mail.defaults import Defaults
from shared.mail.delivery_mode import NO_COPY
from shared.mail.expiry import days_left
from shared.mail.findings import Check
from shared.mail.known_errors.account import why
from shared.mail.mail import Mail
from shared.mail.status import Status
from shared.services.accounts.disconnecting import Disconnected
from shared.services.accounts.ports import CheckRecord
from shared.services.intake.batch import BatchReceipt, Item
from shared.services.intake.submission import Receipt
from shared.services.sign_in.ports import CredentialVersion, Destruction
from shared.web.problem import document_of


class Links(msgspec.Struct, rename={"self_": "self"}, omit_defaults=True):
    """Where to look next."""

    self_: str
    raw: str | None = None
    """The text of a queue message that did not become a mail."""


class Accepted(msgspec.Struct, omit_defaults=True):
    """The answer to a send: durable with Postroom from here on."""

    id: str
    status: str
    links: Links
    delivery: str
    expected_at: datetime | None = None
    delivery_note: str | None = None
    reason: str | None = None
    help: str | None = None
    warnings: list[ProblemField] = []


class Signature(msgspec.Struct, omit_defaults=True):
    """The account's signature, as it is put under the text and under the html of a mail."""

    text: str | None = None
    html: str | None = None


class Checked(msgspec.Struct, omit_defaults=True):
    """The answer to a dry run: the mail would have been accepted; nothing was stored. With the
    account's defaults where the mail says nothing else."""

    dry_run: bool
    account: str
    sender: str = msgspec.field(name="from")
    recipient_count: int
    delivery: str
    save_to_sent_items: bool
    delivery_note: str | None = None
    reply_to: list[str] = []
    signature: Signature | None = None
    warnings: list[ProblemField] = []
    replay_of: str | None = None
    """The id of the mail that the idempotency key stands for already: a send answers with that mail."""


class MailEvent(msgspec.Struct, omit_defaults=True):
    """One event of a mail's history."""

    at: datetime
    status: str
    reason: str | None = None


class MailView(msgspec.Struct, omit_defaults=True):
    """A mail and its history."""

    id: str
    status: str
    accepted_at: datetime
    updated_at: datetime
    due_at: datetime
    caller: str
    attempts: int
    recipients: list[str]
    recipient_count: int
    subject: str
    delivery: str
    former_recipients: list[str] = []
    delivery_note: str | None = None
    account: str | None = None
    sender: str | None = msgspec.field(default=None, name="from")
    tags: list[str] = []
    metadata: dict[str, str] = {}
    expected_at: datetime | None = None
    sent_at: datetime | None = None
    message_id: str | None = None
    next_look_at: datetime | None = None
    reason: str | None = None
    help: str | None = None
    request_id: str | None = None
    idempotency_key: str | None = None
    events: list[MailEvent] = []
    links: Links | None = None


class MailList(msgspec.Struct, omit_defaults=True):
    """One page of mails, newest first."""

    mails: list[MailView]
    next_cursor: str | None = None


class BatchItem(msgspec.Struct, omit_defaults=True):
    """What became of one mail of a batch: it has an id, or a problem."""

    index: int
    id: str | None = None
    status: str | None = None
    replayed: bool = False
    links: Links | None = None
    problem: Problem | None = None
    warnings: list[ProblemField] = []


class BatchView(msgspec.Struct):
    """What became of a batch, mail by mail, in the order of the request."""

    accepted: int
    refused: int
    results: list[BatchItem]


class Released(msgspec.Struct):
    """How many mails of an account were let go."""

    released: int


class Trouble(msgspec.Struct):
    """Why an account cannot send: a row of the catalogue in docs/errors.md."""

    code: str
    meaning: str
    who: str
    """Who has to act, in words."""
    step: str
    """What exactly they do."""
    retryable: bool
    """Whether it may pass without anybody acting."""


class DefaultsView(msgspec.Struct):
    """What mails of an account have unless their callers say otherwise."""

    display_name: str | None
    reply_to: list[str]
    signature_text: str | None
    signature_html: str | None
    save_to_sent_items: bool
    daily_cap: int | None
    overridable: list[str]


class AccountView(msgspec.Struct, omit_defaults=True):
    """A mailbox that is signed in."""

    alias: str
    address: str
    display_name: str
    kind: str
    state: str
    scopes: list[str]
    default: bool
    allowed_from: list[str] = []
    defaults: DefaultsView | None = None
    """Left out where many are listed."""
    reason: str | None = None
    trouble: Trouble | None = None
    held_until: datetime | None = None
    signed_in_at: datetime | None = None
    through: str | None = None
    """Of a shared mailbox: the alias of the account that it is reached by."""


class AddedView(msgspec.Struct):
    """A mailbox that was added, and what could not be found out about it."""

    account: AccountView
    notes: list[str]


class DisconnectedView(msgspec.Struct, omit_defaults=True):
    """What disconnecting an account has done."""

    alias: str
    done: bool
    waiting: str
    cancelled: int
    left: int
    secret_purged: bool | None = None
    secret_gone_at: datetime | None = None
    secret_note: str | None = None
    grant_note: str = ""
    disconnected_too: list[str] = []
    default: str | None = None
    default_note: str | None = None


class Finding(msgspec.Struct, omit_defaults=True):
    """One thing that a check asked, and what came of it."""

    what: str
    result: str
    meaning: str
    subject: str | None = None
    code: str | None = None
    who: str | None = None
    step: str | None = None


class CheckView(msgspec.Struct):
    """What a check of an account found."""

    alias: str
    result: str
    checked_at: datetime
    ms: int
    findings: list[Finding]


class AccountList(msgspec.Struct):
    """All accounts."""

    accounts: list[AccountView]


class Health(msgspec.Struct):
    """Alive or not."""

    status: str


class Dependency(msgspec.Struct, omit_defaults=True):
    """One thing that Postroom needs, and whether it answered just now."""

    name: str
    ok: bool
    ms: int
    problem: str | None = None


class CredentialView(msgspec.Struct, omit_defaults=True):
    """One version of what proves to Microsoft who the app is."""

    kind: str
    version: str
    """Its first eight characters."""
    enabled: bool
    newest: bool
    in_use: bool
    """Whether Microsoft took it the last time that this instance asked."""
    expires_at: datetime | None = None
    days_left: int | None = None
    """0 or less once it has expired; absent where it does not, or nobody wrote down when."""


class CheckLine(msgspec.Struct, omit_defaults=True):
    """The last check of an account, and what is wrong with it."""

    alias: str
    result: str
    checked_at: datetime
    troubles: list[str] = []


class HealthDetails(msgspec.Struct):
    """Each dependency, the app's credential, each account and its last check."""

    status: str
    dependencies: list[Dependency]
    credential: list[CredentialView]
    accounts: list[AccountView]
    checks: list[CheckLine]


class ProblemField(msgspec.Struct):
    """What is wrong with one field."""

    field: str
    message: str


class Problem(msgspec.Struct, omit_defaults=True):
    """RFC 9457, with a stable code, the fields, and what to do."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    help: str
    errors: list[ProblemField] = []
    request_id: str | None = None
    mail_status: str | None = None
    accepted: int | None = None
    refused: int | None = None
    results: list[BatchItem] = []


def encoded(document: msgspec.Struct) -> bytes:
    """As JSON."""
    return msgspec.json.encode(document)


def accepted(mail: Mail, warnings: Sequence[FieldProblem] = ()) -> Accepted:
    """The answer for an accepted mail, with what of it may not arrive."""
    return Accepted(
        id=mail.mail_id,
        status=mail.status.value,
        links=_links(mail),
        expected_at=_expected_at(mail),
        delivery=mail.delivery.value,
        delivery_note=_note(mail),
        reason=mail.reason,
        help=mail.help,
        warnings=_warnings(warnings),
    )


def _warnings(warnings: Sequence[FieldProblem]) -> list[ProblemField]:
    return [ProblemField(one.field, one.message) for one in warnings]


def checked(receipt: Receipt) -> Checked:
    """The answer to a dry run."""
    mail, message, account = receipt.mail, receipt.message, receipt.account
    found = Checked(
        dry_run=True,
        account=mail.account or "",
        sender=mail.sender,
        recipient_count=mail.recipient_count,
        delivery=mail.delivery.value,
        save_to_sent_items=mail.saves_copy,
        delivery_note=_note(mail),
        warnings=_warnings(receipt.warnings),
        replay_of=mail.mail_id if receipt.replayed else None,
    )
    if message is None or account is None:
        return found
    text, html = signatures(message, account)
    signature = Signature(text, html) if text or html else None
    reply_to = reply_to_of(message, account)
    return msgspec.structs.replace(found, reply_to=list(map(str, reply_to)), signature=signature)


def mail_view(mail: Mail, *, history: bool) -> MailView:
    """A mail, with its history or without."""
    return MailView(
        id=mail.mail_id,
        status=mail.status.value,
        accepted_at=mail.accepted_at,
        updated_at=mail.updated_at,
        due_at=mail.due_at,
        caller=mail.caller.value,
        attempts=mail.attempts,
        recipients=list(mail.recipients),
        recipient_count=mail.recipient_count,
        former_recipients=list(mail.former_recipients),
        subject=mail.subject,
        delivery=mail.delivery.value,
        delivery_note=_note(mail),
        account=mail.account,
        sender=mail.sender or None,
        tags=list(mail.tags),
        metadata=dict(mail.metadata),
        expected_at=_expected_at(mail),
        sent_at=mail.sent_at,
        message_id=mail.message_id,
        next_look_at=mail.due_at if mail.finding_out else None,
        reason=mail.reason,
        help=mail.help,
        request_id=mail.request_id,
        idempotency_key=mail.idempotency_key,
        events=[MailEvent(e.at, e.status.value, e.reason) for e in mail.events] if history else [],
        links=_links(mail),
    )


def batch_view(batch: BatchReceipt) -> BatchView:
    """The answer for a batch."""
    results = [_batch_item(item) for item in batch.items]
    return BatchView(
        accepted=batch.accepted,
        refused=sum(item.problem is not None for item in results),
        results=results,
    )


def _batch_item(item: Item) -> BatchItem:
    if item.receipt is None:
        # All or nothing: a mail without fault was not stored either, and has no problem.
        problem = problem_view(item.refusal) if item.refusal is not None else None
        return BatchItem(item.index, problem=problem)
    mail = item.receipt.mail
    return BatchItem(
        item.index,
        id=mail.mail_id,
        status=mail.status.value,
        replayed=item.receipt.replayed,
        links=_links(mail),
        warnings=_warnings(item.receipt.warnings),
    )


def problem_view(refused: RequestRejected) -> Problem:
    """A refusal as a problem document within another document."""
    return msgspec.convert(document_of(refused), Problem)


def plain(document: msgspec.Struct) -> dict[str, object]:
    """As a mapping, to become members of another document."""
    found: dict[str, object] = msgspec.to_builtins(document)
    return found


def _note(mail: Mail) -> str | None:
    """Why a mail has no evidence that its account could give."""
    return None if mail.saves_copy else NO_COPY


def _defaults_view(defaults: Defaults) -> DefaultsView:
    return DefaultsView(
        display_name=defaults.display_name or None,
        reply_to=list(map(str, defaults.reply_to)),
        signature_text=defaults.signature_text or None,
        signature_html=defaults.signature_html or None,
        save_to_sent_items=defaults.save_to_sent_items,
        daily_cap=defaults.daily_cap,
        overridable=sorted(defaults.overridable),
    )


def account_view(account: Account, *, whole: bool = False) -> AccountView:
    """An account, with what an administrator sets for it or without."""
    return AccountView(
        alias=account.alias,
        address=account.address,
        display_name=account.display_name,
        kind=account.kind.value,
        state=account.state.value,
        scopes=sorted(account.scopes),
        default=account.is_default,
        defaults=_defaults_view(account.defaults) if whole else None,
        allowed_from=list(account.allowed_from),
        reason=account.reason,
        trouble=_trouble(account),
        held_until=account.held_until,
        signed_in_at=account.signed_in_at,
        through=account.holder_alias,
    )


def credential_view(version: CredentialVersion, now: datetime) -> CredentialView:
    """One version of the app's credential."""
    return CredentialView(
        kind=version.kind,
        version=version.version,
        enabled=version.enabled,
        newest=version.newest,
        in_use=version.in_use,
        expires_at=version.expires_at,
        days_left=days_left(version.expires_at, now),
    )


def disconnected_view(done: Disconnected) -> DisconnectedView:
    """What disconnecting has done."""
    default_note = None
    if done.was_default:
        default_note = (
            f"'{done.new_default}' is the default account now."
            if done.new_default
            else "No account is the default now: name one with each mail, or make one the default."
        )
    return DisconnectedView(
        alias=done.alias,
        done=done.done,
        waiting=done.waiting.value,
        cancelled=done.cancelled,
        left=done.left,
        secret_purged=done.secret.purged if done.secret else None,
        secret_gone_at=done.secret.gone_at if done.secret else None,
        secret_note=secret_note(done.secret) if done.secret else None,
        grant_note=GRANT_NOTE if done.done else "",
        disconnected_too=list(done.taken_along),
        default=done.new_default,
        default_note=default_note,
    )


GRANT_NOTE = (
    "The grant itself does not end by this: the mailbox's owner revokes Postroom's permissions at "
    "https://myapps.microsoft.com (personal accounts: https://account.live.com/consent/Manage), or an "
    "administrator does in Entra, under Enterprise applications, Permissions."
)


def secret_note(secret: Destruction | None) -> str:
    """What became of an account's secret, in words."""
    if secret is None:
        return "There is no secret of this account in Key Vault."
    if secret.purged:
        return "Its secret is gone from Key Vault for good."
    until = (
        f" until {secret.gone_at.astimezone(UTC):%d %b %Y}, and purges it then"
        if secret.gone_at
        else " for as long as its soft delete is set to"
    )
    return (
        "Its secret is deleted, and no version of it can be read. Key Vault keeps what is deleted"
        f"{until}: it has purge protection, or the app's identity may not purge."
    )


def check_lines(rows: Sequence[Account], records: Sequence[CheckRecord]) -> list[CheckLine]:
    """The last check of each account that was checked."""
    aliases = {row.account_id: row.alias for row in rows}
    lines = [
        CheckLine(
            alias=aliases[record.check.account_id],
            result=record.check.result.value,
            checked_at=record.check.checked_at,
            troubles=list(record.known),
        )
        for record in records
        if record.check.account_id in aliases
    ]
    return sorted(lines, key=lambda line: line.alias)


def check_view(check: Check) -> CheckView:
    """What a check found."""
    return CheckView(
        alias=check.alias,
        result=check.result.value,
        checked_at=check.checked_at,
        ms=check.ms,
        findings=[
            Finding(
                what=one.topic.value,
                result=one.result.value,
                meaning=one.meaning,
                subject=one.subject,
                code=one.code,
                who=one.who,
                step=one.step,
            )
            for one in check.findings
        ],
    )


def _trouble(account: Account) -> Trouble | None:
    row = why(account)
    if row is None:
        return None
    return Trouble(row.code, row.meaning, row.who.value, row.step, row.retryable)


def _expected_at(mail: Mail) -> datetime | None:
    """When a mail that waits will go, as its mailbox's pace has it now."""
    waits = mail.status in (Status.QUEUED, Status.SCHEDULED) and mail.due_at > mail.updated_at
    return mail.due_at if waits else None


def _links(mail: Mail) -> Links:
    path = f"/api/mails/{mail.mail_id}"
    return Links(path, f"{path}/raw" if mail.is_refused_message else None)
