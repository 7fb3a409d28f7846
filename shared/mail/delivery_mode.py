"""The two delivery modes of a mail, and which one a mail takes."""

from __future__ import annotations

from enum import StrEnum

from shared.mail.account import Account


class DeliveryMode(StrEnum):
    """How Postroom hands a mail to Microsoft (docs/delivery.md says what each mode promises)."""

    VERIFIED = "verified"
    """As a draft that is then sent. If an answer is lost, Postroom can find out whether the mail
    was sent."""
    DIRECT = "direct"
    """In one request. If its answer is lost, there is no draft or marked copy to search for."""


NO_COPY = (
    "save_to_sent_items is false, so the mailbox keeps no copy that shows after a lost answer whether "
    "the mail was sent: it goes in one request, at most once."
)


def mode_for(account: Account, *, saves_copy: bool) -> DeliveryMode:
    """The delivery mode that the account's grant and the mail allow.

    Sending a draft always keeps a copy in Sent Items
    (https://learn.microsoft.com/graph/api/message-send). That copy is the evidence that the mail
    was sent, so a mail without a copy can only go directly.
    """
    return DeliveryMode.VERIFIED if account.can_write_drafts and saves_copy else DeliveryMode.DIRECT
