"""Turns mails, accounts and health into the documents that the API answers with."""

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
from shared.web.api.documents import (
    GRANT_NOTE,
    Accepted,
    AccountView,
    BatchItem,
    BatchView,
    Checked,
    CheckLine,
    CheckView,
    CredentialView,
    DefaultsView,
    DisconnectedView,
    Finding,
    Links,
    MailEvent,
    MailView,
    Problem,
    ProblemField,
    Signature,
    Trouble,
)
from shared.web.problem import document_of


def encoded(document: msgspec.Struct) -> bytes:
    """The document as JSON."""
    return msgspec.json.encode(document)


def accepted(mail: Mail, warnings: Sequence[FieldProblem] = ()) -> Accepted:
    """The answer for an accepted mail, with warnings about headers that may not arrive."""
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
    """A mail, with or without its history."""
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
        # All or nothing: a valid mail was not stored either, and has no problem of its own.
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
    """An error as a problem document inside another document."""
    return msgspec.convert(document_of(refused), Problem)


def plain(document: msgspec.Struct) -> dict[str, object]:
    """A document as a mapping, whose items become members of another document."""
    found: dict[str, object] = msgspec.to_builtins(document)
    return found


def _note(mail: Mail) -> str | None:
    """Why a mail goes directly although its account could send it as verified."""
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
    """An account, with or without its settings."""
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
    """The result of disconnecting."""
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


def secret_note(secret: Destruction | None) -> str:
    """What happened to an account's secret, in words."""
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
    """The findings of a check."""
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
    """When a waiting mail will be sent, by the present pace of its mailbox."""
    waits = mail.status in (Status.QUEUED, Status.SCHEDULED) and mail.due_at > mail.updated_at
    return mail.due_at if waits else None


def _links(mail: Mail) -> Links:
    path = f"/api/mails/{mail.mail_id}"
    return Links(path, f"{path}/raw" if mail.is_refused_message else None)
