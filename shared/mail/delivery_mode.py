"""The two ways a mail can go out, and which one it takes."""

from __future__ import annotations

from enum import StrEnum

from shared.mail.account import Account


class DeliveryMode(StrEnum):
    """How a mail is handed to Microsoft (docs/delivery.md has the promise of each)."""

    VERIFIED = "verified"
    """As a draft that is then sent: what became of it can be found out."""
    DIRECT = "direct"
    """In one request, which leaves nothing to look for where its answer is lost."""


NO_COPY = (
    "save_to_sent_items is false, so the mailbox keeps nothing by which a lost answer could be "
    "cleared up: the mail goes in one request, at most once."
)


def mode_for(account: Account, *, saves_copy: bool) -> DeliveryMode:
    """The way that an account's grant and the mail itself allow.

    Sending a draft always keeps a copy in Sent Items (https://learn.microsoft.com/graph/api/message-send),
    and that copy is the evidence: a mail without one can only go directly.
    """
    return DeliveryMode.VERIFIED if account.can_write_drafts and saves_copy else DeliveryMode.DIRECT
