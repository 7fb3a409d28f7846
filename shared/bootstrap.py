"""The composition root: settings to services, once per process, on first use.

Nothing here talks to anything remote; adapters open their connections when they are first called.
"""

from __future__ import annotations

import functools
import os
import random
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from shared.adapters.entra.app_credential import AppCredential, ManagedIdentity, exchange_audience
from shared.adapters.entra.identity_platform import Entra
from shared.adapters.entra.managed_identity import AppIdentity
from shared.adapters.graph.drafts import GraphDrafts
from shared.adapters.graph.mail_service import Graph
from shared.adapters.graph.upload_session import UploadSessions
from shared.adapters.http.client import reach
from shared.adapters.key_vault.credential import CLIENT_SECRET, ClientSecret
from shared.adapters.key_vault.secrets import KeyVault
from shared.adapters.storage import clients
from shared.adapters.storage.accounts_table import AccountsTable
from shared.adapters.storage.attention_rows import AttentionRows
from shared.adapters.storage.blob_files import BlobFiles
from shared.adapters.storage.keys_table import KeysTable
from shared.adapters.storage.mails_table import MailsTable
from shared.adapters.storage.outbox_queue import OutboxQueue
from shared.adapters.storage.payload_blobs import PayloadBlobs
from shared.adapters.storage.timetable_rows import TimetableRows
from shared.adapters.storage.waiting_table import WaitingTable
from shared.mail.backoff import RetryLimit
from shared.mail.delivery_mode import DeliveryMode
from shared.mail.pace import Pace
from shared.mail.search_plan import SearchPlan
from shared.services.accounts.access_tokens import TokenSource
from shared.services.delivery.concurrency import ConcurrencyLimiter
from shared.services.delivery.delivery import Delivery
from shared.services.delivery.pacing import Pacing
from shared.services.delivery.sending import DirectSending
from shared.services.delivery.verified_sending import VerifiedSending
from shared.services.intake.mail_document import Limits
from shared.services.intake.queue_messages import Outbox
from shared.services.intake.submission import Submission
from shared.services.mails.attention import IndexedLedger
from shared.settings import Settings, load
from shared.telemetry import quiet_libraries

if TYPE_CHECKING:
    from shared.adapters.storage.check_rows import CheckRows
    from shared.adapters.storage.flows_table import FlowsTable
    from shared.adapters.storage.watch_rows import WatchRows
    from shared.services.accounts.adding import Adding
    from shared.services.accounts.changes import AccountChanges
    from shared.services.accounts.checking import Checking
    from shared.services.accounts.disconnecting import Disconnecting
    from shared.services.accounts.overview import AccountOverviews
    from shared.services.intake.batch import Batch
    from shared.services.mails.changes import Changes
    from shared.services.mails.content import Content
    from shared.services.mails.hourly_stats import HourlyStats
    from shared.services.setup.checklist import Checklist
    from shared.services.sign_in.authorization_code import Consent
    from shared.services.sign_in.connecting import Connecting, ConsentRules
    from shared.services.sign_in.device_code import DeviceSignIn
    from shared.services.sign_in.registration import Registration
    from shared.services.upkeep.operators import Operators
    from shared.services.upkeep.retention import Retention
    from shared.services.upkeep.sweep import Upkeep
    from shared.services.upkeep.watch import Watch
    from shared.web.pages.page_context import PageContext

T = TypeVar("T")


def utc_now() -> datetime:
    """The clock of production."""
    return datetime.now(UTC)


class Postroom:
    """All services, wired: at once what accepts and delivers mail, on first use what other functions
    need, whose modules a cold start does not pay for."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.clock = utc_now
        identity = AppIdentity(settings.identity_client_id, os.environ)
        stored = clients.Storage(
            settings.storage, AppIdentity(settings.storage.identity_client_id, os.environ)
        )
        self.limits = Limits(
            settings.max_request_bytes,
            self.clock,
            threading.BoundedSemaphore(max(1, settings.worker_threads // 2)),
        )
        self._stored = stored
        self._mails = MailsTable(_once(lambda: stored.table(clients.MAILS_TABLE)))
        self._waiting_table = _once(lambda: stored.table(clients.WAITING_TABLE))
        self.waiting = WaitingTable(self._waiting_table, self.clock)
        self.attention = AttentionRows(self._waiting_table)
        self.ledger = IndexedLedger(self._mails, self.attention)
        self.wake_ups = OutboxQueue(_once(lambda: stored.queue(clients.OUTBOX_QUEUE)))
        payloads = PayloadBlobs(_once(lambda: stored.container(clients.PAYLOADS_CONTAINER)))
        files = BlobFiles(
            _once(lambda: stored.container(clients.ATTACHMENTS_CONTAINER)),
            _once(lambda: stored.container(clients.PAYLOADS_CONTAINER)),
        )
        self._accounts_table = _once(lambda: stored.table(clients.ACCOUNTS_TABLE))
        self.accounts = AccountsTable(self._accounts_table)
        self._timetables = TimetableRows(self._accounts_table)
        self.pacing = Pacing(self._timetables, self.clock, Pace(settings.mails_per_minute))
        self.vault = KeyVault(
            settings.vault_url,
            identity,
            ca_file=settings.ca_file,
            development=settings.development,
        )
        self.credential = _credential(settings, identity, self.vault)
        entra = Entra(
            client_id=settings.client_id,
            authority_host=settings.authority_host,
            redirect_uri=settings.redirect_uri,
            credential=self.credential,
            graph_resource=settings.graph_resource,
            development=settings.development,
            ca_file=settings.ca_file,
        )
        self.graph = Graph(
            settings.graph_url,
            ca_file=settings.ca_file,
            send_seconds=settings.send_timeout_seconds,
            clock=self.clock,
        )
        self.tokens = TokenSource(entra, self.vault, self.accounts, self.clock)
        keys = KeysTable(_once(lambda: stored.table(clients.KEYS_TABLE)))
        self._entra = entra
        self._payloads = payloads
        self._files = files
        self._keys = keys
        self.submission = Submission(
            ledger=self.ledger,
            payloads=payloads,
            files=files,
            keys=keys,
            wake_ups=self.wake_ups,
            accounts=self.accounts,
            pacing=self.pacing,
            waiting=self.waiting,
            clock=self.clock,
            random=os.urandom,
            max_mail_bytes=settings.max_mail_bytes,
            mask=settings.mask_ledger,
        )
        self.drafts = GraphDrafts(
            self.graph,
            UploadSessions(
                ca_file=settings.ca_file,
                chunk_seconds=settings.send_timeout_seconds,
                clock=self.clock,
                local_host=urlsplit(settings.graph_url).netloc if settings.development else None,
            ),
        )
        verified = VerifiedSending(self.drafts, self.tokens, files, self.clock)
        self._finding = verified
        self.delivery = Delivery(
            ledger=self.ledger,
            payloads=payloads,
            accounts=self.accounts,
            submission=self.submission,
            pacing=self.pacing,
            concurrency=ConcurrencyLimiter(),
            senders={
                DeliveryMode.DIRECT: DirectSending(self.graph, self.tokens, files, self.clock),
                DeliveryMode.VERIFIED: verified,
            },
            finding=verified,
            clock=self.clock,
            jitter=random.SystemRandom().random,
            random=os.urandom,
            patience=RetryLimit(settings.max_attempts, settings.give_up_after_seconds),
            lease_seconds=settings.lease_seconds,
            send_seconds=settings.send_timeout_seconds,
            search_plan=SearchPlan(settings.look_after_seconds, settings.give_up_after_seconds),
            send_unknown_again=settings.unknown == "send-again",
        )
        self.outbox = Outbox(
            self.ledger,
            self.submission,
            self.delivery,
            self.clock,
            remembers=timedelta(days=settings.retention_days),
        )

    @functools.cached_property
    def probes(self) -> Mapping[str, Callable[[], object]]:
        """Ways to ask each remote system whether it is there."""
        settings = self.settings
        return {
            "ledger": self._mails.probe,
            "waiting": self.waiting.probe,
            "queue": self.wake_ups.probe,
            "payloads": self._payloads.probe,
            "attachments": self._files.probe,
            "key_vault": lambda: self.vault.get(CLIENT_SECRET),
            "entra": lambda: self._entra.probe(settings.tenant),
            "graph": lambda: reach("graph", settings.graph_url, settings.ca_file),
        }

    @functools.cached_property
    def hourly_stats(self) -> HourlyStats:
        """How many mails there were in each hour."""
        from shared.adapters.storage.hour_rows import HourRows
        from shared.services.mails.hourly_stats import HourlyStats

        return HourlyStats(self._mails, HourRows(self._waiting_table), self.clock)

    @functools.cached_property
    def checks(self) -> CheckRows:
        """What checks found."""
        from shared.adapters.storage.check_rows import CheckRows

        return CheckRows(self._accounts_table)

    @functools.cached_property
    def watch_memory(self) -> WatchRows:
        """What the watch told."""
        from shared.adapters.storage.watch_rows import WatchRows

        return WatchRows(self._accounts_table)

    @functools.cached_property
    def upkeep(self) -> Upkeep:
        """What rings again for mails that wait."""
        from shared.services.upkeep.sweep import Upkeep

        return Upkeep(self.ledger, self.waiting, self.wake_ups, self.accounts, self.clock)

    @functools.cached_property
    def retention(self) -> Retention:
        """What throws away what is past keeping."""
        from shared.services.delivery.stray_drafts import StrayDrafts
        from shared.services.mails.attention import AttentionReconciler
        from shared.services.sign_in.stray_grants import StrayGrants
        from shared.services.upkeep.retention import Keeping, Retention

        return Retention(
            ledger=self.ledger,
            archive=self._mails,
            waiting=self.waiting,
            payloads=self._payloads,
            expiring={"keys": self._keys, "flows": self._flows},
            upkeep=self.upkeep,
            clock=self.clock,
            keeping=Keeping(
                timedelta(days=self.settings.retention_days),
                timedelta(days=self.settings.keep_payload_days),
            ),
            further={
                "cases": AttentionReconciler(
                    self.ledger, self._mails, self.attention, self.clock
                ).run,
                "drafts": StrayDrafts(
                    drafts=self.drafts,
                    tokens=self.tokens,
                    accounts=self.accounts,
                    ledger=self.ledger,
                    clock=self.clock,
                ).remove,
                "grants": StrayGrants(
                    shelf=self.vault, accounts=self.accounts, clock=self.clock
                ).remove,
            },
        )

    @functools.cached_property
    def registration(self) -> Registration:
        """The app as Entra knows it."""
        from shared.services.sign_in.registration import Registration

        return Registration(
            client_id=self.settings.client_id,
            tenant=self.settings.tenant,
            authority_host=self.settings.authority_host,
            redirect_uri=self.settings.redirect_uri,
            graph_resource=self.settings.graph_resource,
        )

    @functools.cached_property
    def _rules(self) -> ConsentRules:
        from shared.services.sign_in.connecting import ConsentRules

        return ConsentRules(
            tenant=self.settings.tenant,
            client_id=self.settings.client_id,
            authority_host=self.settings.authority_host,
            allowed_mailboxes=self.settings.allowed_mailboxes,
        )

    @functools.cached_property
    def _flows(self) -> FlowsTable:
        from shared.adapters.storage.flows_table import FlowsTable

        return FlowsTable(_once(lambda: self._stored.table(clients.FLOWS_TABLE)))

    @functools.cached_property
    def changes(self) -> Changes:
        """What callers do to mails; an instance that only delivers never imports it."""
        from shared.services.delivery.draft_removal import DraftRemoval
        from shared.services.mails.changes import Changes

        return Changes(
            ledger=self.ledger,
            payloads=self._payloads,
            accounts=self.accounts,
            submission=self.submission,
            draft_removal=DraftRemoval(
                finding=self._finding, accounts=self.accounts, clock=self.clock
            ),
            clock=self.clock,
        )

    @functools.cached_property
    def account_changes(self) -> AccountChanges:
        """What administrators set for accounts."""
        from shared.services.accounts.changes import AccountChanges

        return AccountChanges(self.accounts)

    @functools.cached_property
    def overviews(self) -> AccountOverviews:
        """What the page of an account says beside its row."""
        from shared.services.accounts.overview import AccountOverviews

        return AccountOverviews(
            pace=Pace(self.settings.mails_per_minute),
            timetables=self._timetables,
            attention=self.attention,
            memory=self.watch_memory,
            credential=self.credential,
            clock=self.clock,
        )

    @functools.cached_property
    def checking(self) -> Checking:
        """Whether accounts work."""
        from shared.services.accounts.checking import Checking
        from shared.services.upkeep.watch import AccountNews

        return Checking(
            accounts=self.accounts,
            checks=self.checks,
            tokens=self.tokens,
            mail_service=self.graph,
            drafts=self.drafts,
            clock=self.clock,
            released=self.upkeep.release,
            announce=AccountNews(self.operators),
        )

    @functools.cached_property
    def disconnecting(self) -> Disconnecting:
        """Taking mailboxes out."""
        from shared.services.accounts.disconnecting import Disconnecting

        return Disconnecting(
            departures=self.accounts,
            shredder=self.vault,
            timetables=self._timetables,
            checks=self.checks,
            ledger=self.ledger,
            changes=self.changes,
            clock=self.clock,
        )

    @functools.cached_property
    def operators(self) -> Operators:
        """Mail to those who run Postroom."""
        from shared.services.upkeep.operators import Operators

        parts = urlsplit(self.settings.redirect_uri)
        return Operators(
            self.settings.operators,
            submission=self.submission,
            accounts=self.accounts,
            clock=self.clock,
            accounts_page=f"{parts.scheme}://{parts.netloc}/accounts",
        )

    @functools.cached_property
    def watch(self) -> Watch:
        """What the hourly timer does."""
        from shared.services.upkeep.watch import Watch

        return Watch(
            accounts=self.accounts,
            checks=self.checks,
            checking=self.checking,
            credential=self.credential,
            memory=self.watch_memory,
            operators=self.operators,
            clock=self.clock,
        )

    @functools.cached_property
    def content(self) -> Content:
        """What mails hold, for a person to look at."""
        from shared.services.mails.content import Content

        return Content(self._payloads)

    @functools.cached_property
    def adding(self) -> Adding:
        """Mailboxes that nobody signs in."""
        from shared.services.accounts.adding import Adding

        return Adding(
            tenant=self.settings.tenant,
            allowed_mailboxes=self.settings.allowed_mailboxes,
            accounts=self.accounts,
            tokens=self.tokens,
            mail_service=self.graph,
            drafts=self.drafts,
            clock=self.clock,
            released=self.upkeep.release,
        )

    @functools.cached_property
    def batch(self) -> Batch:
        """Many mails at once."""
        from shared.services.intake.batch import Batch

        return Batch(self.submission, self.clock)

    @functools.cached_property
    def connecting(self) -> Connecting:
        """From a grant to a linked account."""
        from shared.services.delivery.known_header import KnownHeader
        from shared.services.sign_in.connecting import Connecting

        return Connecting(
            rules=self._rules,
            identity=self._entra,
            mail_service=self.graph,
            vault=self.vault,
            accounts=self.accounts,
            clock=self.clock,
            released=self.upkeep.release,
            connected=KnownHeader(self.drafts).make_known,
        )

    @functools.cached_property
    def consent(self) -> Consent:
        """Signing in through the browser."""
        from shared.services.sign_in.authorization_code import Consent

        return Consent(
            rules=self._rules,
            identity=self._entra,
            accounts=self.accounts,
            flows=self._flows,
            clock=self.clock,
            connecting=self.connecting,
        )

    @functools.cached_property
    def device_sign_in(self) -> DeviceSignIn:
        """Signing in by a code that is entered elsewhere."""
        from shared.services.sign_in.device_code import DeviceSignIn

        return DeviceSignIn(
            identity=self._entra, flows=self._flows, clock=self.clock, connecting=self.connecting
        )

    @functools.cached_property
    def checklist(self) -> Checklist:
        """The checklist of a new installation."""
        from shared.services.setup.checklist import Checklist

        return Checklist(
            registration=self.registration,
            proves_by=self.settings.credential,
            vault=self.vault,
            credential=self.credential,
            identity=self._entra,
            accounts=self.accounts,
            ledger=self.ledger,
            submission=self.submission,
            finding=self._finding,
            clock=self.clock,
        )

    @functools.cached_property
    def page_context(self) -> PageContext:
        """What the pages need; an instance that only delivers never imports it."""
        from shared.web.pages.page_context import PageContext

        return PageContext.of(
            self.registration,
            self.vault,
            self.clock,
            session_seconds=self.settings.session_seconds,
            development=self.settings.development,
        )


def _credential(settings: Settings, identity: AppIdentity, vault: KeyVault) -> AppCredential:
    if settings.credential == "managed-identity":
        return ManagedIdentity(identity, exchange_audience(settings.authority_host))
    if settings.credential == "certificate":
        from shared.adapters.entra.client_certificate import ClientCertificate

        return ClientCertificate(vault)
    return ClientSecret(vault)


_lock = threading.Lock()
_built: Postroom | None = None


def postroom() -> Postroom:
    """The services of this process. Raises ConfigurationError, anew each time until it is mended."""
    global _built
    if _built is None:
        with _lock:
            if _built is None:
                quiet_libraries()
                _built = Postroom(load(os.environ))
    return _built


def _once(build: Callable[[], T]) -> Callable[[], T]:
    """A client built on first use. Two threads at once may each build one; either will do."""
    return functools.cache(build)
