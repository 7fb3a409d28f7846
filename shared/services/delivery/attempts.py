"""One attempt: a claimed mail is handed to Graph, and its outcome is written."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from shared.errors import LostRace, RemoteError
from shared.mail.account import Account
from shared.mail.address import Address
from shared.mail.composing import compose
from shared.mail.delivery_mode import DeliveryMode
from shared.mail.mail import Mail
from shared.mail.outcome import Outcome, Verdict, doubted
from shared.services.clock import Clock
from shared.services.delivery.delivery_result import DeliveryResult
from shared.services.delivery.ledger_writes import LedgerWrites
from shared.services.delivery.mail_lease import MailLease
from shared.services.delivery.mailboxes import Mailboxes
from shared.services.delivery.sending import Sending
from shared.services.delivery.settling import Settling
from shared.services.mails.content_store import ContentStore
from shared.services.mails.packing import Packed
from shared.services.mails.ports import Versioned
from shared.telemetry import event, where

_UNREADABLE = Outcome(Verdict.AGAIN, "payload_unreadable", "The mail's content could not be read.")
_NOT_ALLOWED = Outcome(
    Verdict.FAILED,
    "sender_not_allowed",
    "The account may not send from this address any more: send the mail anew, from another one.",
)


class Attempts:
    """Sends mails that this worker has claimed."""

    def __init__(
        self,
        *,
        senders: Mapping[DeliveryMode, Sending],
        content: ContentStore,
        mailboxes: Mailboxes,
        writes: LedgerWrites,
        settling: Settling,
        clock: Clock,
        lease_seconds: int,
        send_seconds: int,
    ) -> None:
        """`lease_seconds`: how long a claim lasts; `send_seconds`: the longest that one request to
        Graph takes."""
        self._senders = senders
        self._content = content
        self._mailboxes = mailboxes
        self._writes = writes
        self._settling = settling
        self._clock = clock
        self._lease_seconds = lease_seconds
        self._send_seconds = send_seconds

    def send(self, claimed: Versioned, account: Account) -> DeliveryResult:
        """Send a claimed mail once, and write the outcome. Raises RemoteError where the ledger cannot
        be reached."""
        mail = claimed.mail
        try:
            packed = self._content.read(mail)
        except (RemoteError, ValueError):
            return self._settling.settle(claimed, account, _UNREADABLE)
        if packed.sender is not None and not self._may_send(mail, account, packed.sender):
            known = mail.draft_id is not None
            refused = doubted(_NOT_ALLOWED) if known else _NOT_ALLOWED
            return self._settling.settle(claimed, account, refused)
        packed = _composed(packed, account)
        claim = MailLease(
            claimed,
            self._writes.write,
            self._clock,
            lease_seconds=self._lease_seconds,
            request_seconds=self._send_seconds,
        )
        try:
            outcome = self._senders[mail.delivery].send(account, packed, claim)
        except LostRace:
            return DeliveryResult.LEFT
        except RemoteError:
            # The ledger cannot be reached, so the outcome cannot be written.
            raise
        except Exception as error:  # noqa: BLE001 - its mail must not wait for the lease to run out
            outcome = _broken(claim, error)
        return self._settling.settle(claim.held, account, outcome)

    def _may_send(self, mail: Mail, account: Account, sender: Address) -> bool:
        """Whether the account owns or may use the From address. Reads the account again before it says no."""
        if account.may_send_as(sender.email):
            return True
        fresh = self._mailboxes.account_of(mail, fresh=True)
        return fresh is not None and fresh.may_send_as(sender.email)


def _composed(packed: Packed, account: Account) -> Packed:
    """The content with the account's defaults as they are now."""
    if packed.message is None or packed.sender is None:
        return packed
    message, sender = compose(packed.message, packed.sender, account)
    return Packed(message=message, sender=sender)


def _broken(claim: MailLease, error: Exception) -> Outcome:
    """The outcome after a fault of Postroom itself: `again` where certainly nothing was sent, else
    `unknown`."""
    mail = claim.mail
    event(
        "internal_error",
        level=logging.ERROR,
        kind=type(error).__name__,
        mail_id=mail.mail_id,
        where=where(error),
    )
    verified = mail.delivery is DeliveryMode.VERIFIED
    if mail.draft_id is not None if verified else claim.may_have_asked:
        return Outcome(
            Verdict.UNKNOWN,
            "worker_failed",
            "Postroom itself failed while it sent this mail: look into the mailbox's Sent "
            "Items, then decide whether to send it anew.",
        )
    return Outcome(
        Verdict.AGAIN, "worker_failed", "Postroom itself failed before it sent this mail."
    )
