"""What the page says after a mailbox is connected: what is known about it, and what is not known
yet."""

from __future__ import annotations

import msgspec

from shared.mail.account import Account, AccountKind
from shared.mail.defaults import NO_DEFAULTS
from shared.mail.findings import Result
from shared.mail.known_errors.account import why
from shared.services.accounts.adding import untried
from shared.services.accounts.ports import CheckRecord
from shared.web.pages.checks_shown import moment


class ConnectedShown(msgspec.Struct, frozen=True):
    """A mailbox that was just connected."""

    alias: str
    address: str
    how: str
    """What was done: the text that follows the alias."""
    tone: str
    """`good`, `bad`, or empty if it is not known yet whether it can send."""
    sentences: tuple[str, ...]
    is_bare: bool
    """Whether there are no settings for its mails."""


def linked_shown(account: Account, record: CheckRecord | None) -> ConnectedShown:
    """A mailbox that was just connected, in words that say only what is known."""
    tone, sentences = _account_health(account, record)
    return ConnectedShown(
        alias=account.alias,
        address=account.address,
        how=_how(account),
        tone=tone,
        sentences=sentences,
        is_bare=account.defaults == NO_DEFAULTS,
    )


def _how(account: Account) -> str:
    if account.kind is AccountKind.SHARED:
        return f", a shared mailbox that is reached through {account.holder_alias or 'another account'}"
    return ", in the app's own name" if account.kind is AccountKind.APP else ""


def _account_health(account: Account, record: CheckRecord | None) -> tuple[str, tuple[str, ...]]:
    row = why(account)
    if row is not None:
        return "bad", (f"It cannot send now: {row.meaning} {row.help}",)
    open_questions = untried(account)
    check = record.check if record is not None else None
    if check is None or (account.signed_in_at and check.checked_at < account.signed_in_at):
        if open_questions:
            return "", (
                "Whether it can send is not known yet; mail that waited for it is tried now.",
                *open_questions,
            )
        return "good", (
            "Microsoft accepted the sign-in, and mails that waited for it are sent by themselves. Whether its mailbox "
            "accepts mail is not checked yet: 'Check now' checks what can be checked without sending.",
        )
    at = moment(check.checked_at)
    found = [one for one in check.findings if one.result is Result.NOT_OK]
    if found:
        steps = (" ".join(filter(None, (one.meaning, one.step))) for one in found)
        return "bad", (f"The check of {at} found faults, so it may not send:", *steps)
    if check.result is Result.UNSURE:
        return "", (f"The check of {at} could not answer every question.", *open_questions)
    return "good" if not open_questions else "", (
        f"The check of {at} found no trouble.",
        *open_questions,
    )
