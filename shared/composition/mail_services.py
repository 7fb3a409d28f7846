"""Builds the services that accept and deliver mails: every cold start loads them."""

from __future__ import annotations

import os
import random as randomness
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from shared.mail.after_attempt import AttemptRules
from shared.mail.backoff import Jitter, RetryLimit
from shared.mail.delivery_mode import DeliveryMode
from shared.mail.pace import Pace
from shared.mail.search_plan import SearchPlan
from shared.services.accounts.access_tokens import TokenSource
from shared.services.accounts.health import AccountHealth
from shared.services.clock import Clock
from shared.services.delivery.attempts import Attempts
from shared.services.delivery.claiming import Claiming
from shared.services.delivery.concurrency import ConcurrencyLimiter
from shared.services.delivery.delivery import Delivery
from shared.services.delivery.ledger_writes import LedgerWrites
from shared.services.delivery.mailboxes import Mailboxes
from shared.services.delivery.pacing import Pacing
from shared.services.delivery.searching import Searching
from shared.services.delivery.sending import DirectSending
from shared.services.delivery.settling import Settling
from shared.services.delivery.verified_sending import VerifiedSending
from shared.services.intake.failed_messages import FailedMessages
from shared.services.intake.idempotency import Idempotency
from shared.services.intake.mail_document import Limits
from shared.services.intake.order_checks import OrderChecks
from shared.services.intake.queue_messages import Outbox
from shared.services.intake.submission import Submission
from shared.services.mails.attention import IndexedLedger
from shared.services.mails.content_store import ContentStore
from shared.services.mails.wake_ups import MailWakeUps

if TYPE_CHECKING:
    from shared.mail import ids
    from shared.services.accounts.ports import Tokens
    from shared.services.adapters import Adapters
    from shared.services.mails.ports import Ledger
    from shared.settings import Settings


_SYSTEM_RANDOM = randomness.SystemRandom()


class MailServices:
    """The services that accept and deliver mails. Each is built on first use."""

    def __init__(
        self,
        adapters: Adapters,
        settings: Settings,
        *,
        clock: Clock,
        random: ids.RandomBytes = os.urandom,
        jitter: Jitter = _SYSTEM_RANDOM.random,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.adapters = adapters
        self.settings = settings
        self.clock = clock
        self._random = random
        self._jitter = jitter
        self._sleep = sleep
        self._ledger = IndexedLedger(adapters.mails, adapters.attention)
        self.ledger: Ledger = self._ledger
        """The mails, with the index of those that need a person."""
        self.limits = Limits(
            settings.max_request_bytes,
            clock,
            threading.BoundedSemaphore(max(1, settings.worker_threads // 2)),
        )

    @cached_property
    def tokens(self) -> Tokens:
        """Access tokens for the mailboxes."""
        return TokenSource(
            self.adapters.identity, self.adapters.vault, self.adapters.accounts, self.clock
        )

    @cached_property
    def pacing(self) -> Pacing:
        """When each mail of a mailbox is sent."""
        pace = Pace(self.settings.mails_per_minute)
        return Pacing(self.adapters.timetables, self.clock, pace)

    @cached_property
    def concurrency(self) -> ConcurrencyLimiter:
        """How many requests for a mailbox are under way."""
        return ConcurrencyLimiter()

    @cached_property
    def _wake_ups(self) -> MailWakeUps:
        return MailWakeUps(self.adapters.wake_ups, self.adapters.waiting, self.clock)

    @cached_property
    def _content(self) -> ContentStore:
        return ContentStore(self.adapters.payloads, self.adapters.files, self._random)

    @cached_property
    def idempotency(self) -> Idempotency:
        """The mails of idempotency keys."""
        return Idempotency(self.adapters.keys, self._ledger, self.clock)

    @cached_property
    def order_checks(self) -> OrderChecks:
        """The checks of a mail before it is accepted."""
        return OrderChecks(
            accounts=self.adapters.accounts,
            ledger=self._ledger,
            content=self._content,
            clock=self.clock,
            max_mail_bytes=self.settings.max_mail_bytes,
        )

    @cached_property
    def submission(self) -> Submission:
        """Accepting mails."""
        return Submission(
            ledger=self._ledger,
            checks=self.order_checks,
            idempotency=self.idempotency,
            content=self._content,
            wake_ups=self._wake_ups,
            pacing=self.pacing,
            clock=self.clock,
            random=self._random,
            mask=self.settings.mask_ledger,
        )

    @cached_property
    def _verified(self) -> VerifiedSending:
        return VerifiedSending(
            self.adapters.drafts, self.tokens, self.adapters.files, self.clock, sleep=self._sleep
        )

    @cached_property
    def delivery(self) -> Delivery:
        """Sending mails of the ledger."""
        writes = LedgerWrites(self._ledger, self._sleep)
        mailboxes = Mailboxes(self.adapters.accounts)
        settings = self.settings
        rules = AttemptRules(
            RetryLimit(settings.max_attempts, settings.give_up_after_seconds),
            SearchPlan(settings.look_after_seconds, settings.give_up_after_seconds),
            self._jitter,
            settings.unknown == "send-again",
        )
        settling = Settling(
            writes=writes,
            rules=rules,
            account_health=AccountHealth(self.adapters.accounts, self.clock),
            pacing=self.pacing,
            concurrency=self.concurrency,
            wake_ups=self._wake_ups,
            content=self._content,
            clock=self.clock,
        )
        return Delivery(
            ledger=self._ledger,
            mailboxes=mailboxes,
            pacing=self.pacing,
            concurrency=self.concurrency,
            claiming=Claiming(
                writes=writes,
                pacing=self.pacing,
                random=self._random,
                jitter=self._jitter,
                lease_seconds=settings.lease_seconds,
            ),
            attempts=Attempts(
                senders={
                    DeliveryMode.DIRECT: DirectSending(
                        self.adapters.graph, self.tokens, self.adapters.files, self.clock
                    ),
                    DeliveryMode.VERIFIED: self._verified,
                },
                content=self._content,
                mailboxes=mailboxes,
                writes=writes,
                settling=settling,
                clock=self.clock,
                lease_seconds=settings.lease_seconds,
                send_seconds=settings.send_timeout_seconds,
            ),
            searching=Searching(
                finding=self._verified,
                mailboxes=mailboxes,
                concurrency=self.concurrency,
                rules=rules,
                writes=writes,
                wake_ups=self._wake_ups,
                content=self._content,
                clock=self.clock,
            ),
            settling=settling,
            wake_ups=self._wake_ups,
            clock=self.clock,
        )

    @cached_property
    def outbox(self) -> Outbox:
        """Handling queue messages."""
        return Outbox(
            self._ledger,
            self.submission,
            FailedMessages(self._ledger, self.clock, mask=self.settings.mask_ledger),
            self.delivery,
            self.clock,
            remembers=timedelta(days=self.settings.retention_days),
        )
