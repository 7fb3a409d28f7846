"""Claiming a mail: the lease decides which worker sends it."""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec.structs import replace

from shared.mail import ids
from shared.mail.account import Account
from shared.mail.backoff import Jitter
from shared.mail.delivery_mode import DeliveryMode, mode_for
from shared.mail.known_errors.account import why_held
from shared.mail.mail import Mail
from shared.mail.status import Status
from shared.services.delivery.ledger_writes import LedgerWrites
from shared.services.delivery.pacing import SOON, Pacing
from shared.services.mails.ports import Versioned

BUSY_SECONDS = 5.0
"""Seconds until the next wake-up of a mail whose mailbox had no free place."""


class Claiming:
    """Claims mails for this worker."""

    def __init__(
        self,
        *,
        writes: LedgerWrites,
        pacing: Pacing,
        random: ids.RandomBytes,
        jitter: Jitter,
        lease_seconds: int,
    ) -> None:
        self._writes = writes
        self._pacing = pacing
        self._random = random
        self._jitter = jitter
        self._lease = timedelta(seconds=lease_seconds)

    def claim(self, found: Versioned, account: Account, now: datetime) -> Versioned | None:
        """Claim a mail of the ledger by one conditional write; None if another worker was first."""
        claimed = self._claimed(found.mail, account, now)
        etag = self._writes.write(claimed, found.etag, claiming=True)
        return Versioned(claimed, etag) if etag else None

    def busy_seconds(self) -> float:
        """Seconds until the next wake-up of a mail whose mailbox had no free place."""
        return BUSY_SECONDS * (1 + self._jitter())

    def claim_or_hold(self, mail: Mail, account: Account, now: datetime) -> Mail:
        """A new mail as its first write has it: claimed by this worker, due later, or held."""
        if not account.can_send_at(now):
            return mail.moved(Status.HELD, now, reason=account.reason, help=why_held(account))
        slot = self._pacing.slot(account, urgent=mail.urgent)
        if slot > now + SOON:
            return self._pacing.with_reason(mail.put_off(slot, now), account)
        return self._claimed(mail, account, now)

    def _claimed(self, mail: Mail, account: Account, now: datetime) -> Mail:
        # An existing draft is sent as a draft, also if the grant allows only direct sending now.
        delivery_mode = (
            DeliveryMode.VERIFIED
            if mail.draft_id
            else mode_for(account, saves_copy=mail.saves_copy)
        )
        claimed = mail.moved(
            Status.SENDING,
            now,
            lease_until=now + self._lease,
            lease_id=self._random(8).hex(),
        )
        return replace(claimed, delivery=delivery_mode)
