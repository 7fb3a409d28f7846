"""What a process runs with: its settings, the real adapters, and the services over them.

Nothing in this module calls a remote system. Adapters open their connections when they are first
used.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from shared.adapters.entra.app_credential import AppCredential, ManagedIdentity, exchange_audience
from shared.adapters.entra.identity_platform import Entra
from shared.adapters.entra.managed_identity import AppIdentity
from shared.adapters.graph.drafts import GraphDrafts
from shared.adapters.graph.mail_service import Graph
from shared.adapters.graph.upload_session import UploadSessions
from shared.adapters.http import resolving
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
from shared.composition.services import Services
from shared.services.clock import Clock, utc_now
from shared.settings import Settings, load
from shared.telemetry import quiet_libraries

if TYPE_CHECKING:
    from shared.adapters.storage.check_rows import CheckRows
    from shared.adapters.storage.flows_table import FlowsTable
    from shared.adapters.storage.hour_rows import HourRows
    from shared.adapters.storage.watch_rows import WatchRows

T = TypeVar("T")


class ConnectedAdapters:
    """Fulfils `shared.services.adapters.Adapters`. The adapters that accept and deliver mail are
    built at once. The others are built on first use, so that a cold start does not load their
    modules."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        identity = AppIdentity(settings.identity_client_id, os.environ)
        stored = clients.Storage(
            settings.storage, AppIdentity(settings.storage.identity_client_id, os.environ)
        )
        self._stored = stored
        self._waiting_table = _once(lambda: stored.table(clients.WAITING_TABLE))
        self._accounts_table = _once(lambda: stored.table(clients.ACCOUNTS_TABLE))
        payloads = _once(lambda: stored.container(clients.PAYLOADS_CONTAINER))
        attachments = _once(lambda: stored.container(clients.ATTACHMENTS_CONTAINER))
        self.mails = MailsTable(_once(lambda: stored.table(clients.MAILS_TABLE)))
        self.waiting = WaitingTable(self._waiting_table, clock)
        self.attention = AttentionRows(self._waiting_table)
        self.wake_ups = OutboxQueue(_once(lambda: stored.queue(clients.OUTBOX_QUEUE)))
        self.payloads = PayloadBlobs(payloads)
        self.files = BlobFiles(attachments, payloads)
        self.keys = KeysTable(_once(lambda: stored.table(clients.KEYS_TABLE)))
        self.accounts = AccountsTable(self._accounts_table)
        self.timetables = TimetableRows(self._accounts_table)
        self.vault = KeyVault(
            settings.vault_url,
            identity,
            ca_file=settings.ca_file,
            development=settings.development,
        )
        self.credential = _credential(settings, identity, self.vault)
        self.identity = Entra(
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
            clock=clock,
        )
        self.drafts = GraphDrafts(
            self.graph,
            UploadSessions(
                ca_file=settings.ca_file,
                chunk_seconds=settings.send_timeout_seconds,
                clock=clock,
                local_host=urlsplit(settings.graph_url).netloc if settings.development else None,
            ),
        )

    @functools.cached_property
    def probes(self) -> Mapping[str, Callable[[], object]]:
        """See `Adapters`."""
        settings = self._settings
        return {
            "ledger": self.mails.probe,
            "waiting": self.waiting.probe,
            "queue": self.wake_ups.probe,
            "payloads": self.payloads.probe,
            "attachments": self.files.probe,
            "key_vault": lambda: self.vault.get(CLIENT_SECRET),
            "entra": lambda: self.identity.probe(settings.tenant),
            "graph": lambda: reach("graph", settings.graph_url, settings.ca_file),
            "dns": resolving.probe,
        }

    @functools.cached_property
    def hours(self) -> HourRows:
        """See `Adapters`."""
        from shared.adapters.storage.hour_rows import HourRows

        return HourRows(self._waiting_table)

    @functools.cached_property
    def checks(self) -> CheckRows:
        """See `Adapters`."""
        from shared.adapters.storage.check_rows import CheckRows

        return CheckRows(self._accounts_table)

    @functools.cached_property
    def watch_memory(self) -> WatchRows:
        """See `Adapters`."""
        from shared.adapters.storage.watch_rows import WatchRows

        return WatchRows(self._accounts_table)

    @functools.cached_property
    def flows(self) -> FlowsTable:
        """See `Adapters`."""
        from shared.adapters.storage.flows_table import FlowsTable

        return FlowsTable(_once(lambda: self._stored.table(clients.FLOWS_TABLE)))


def connected(settings: Settings) -> Services:
    """The services over the real adapters."""
    return Services(ConnectedAdapters(settings, utc_now), settings, clock=utc_now)


def _credential(settings: Settings, identity: AppIdentity, vault: KeyVault) -> AppCredential:
    if settings.credential == "managed-identity":
        return ManagedIdentity(identity, exchange_audience(settings.authority_host))
    if settings.credential == "certificate":
        from shared.adapters.entra.client_certificate import ClientCertificate

        return ClientCertificate(vault)
    return ClientSecret(vault)


_lock = threading.Lock()
_built: Services | None = None


def services() -> Services:
    """The services of this process. Raises ConfigurationError, at each call until the settings are
    right."""
    global _built
    if _built is None:
        with _lock:
            if _built is None:
                quiet_libraries()
                _built = connected(load(os.environ))
    return _built


def _once(build: Callable[[], T]) -> Callable[[], T]:
    """A client built on first use. Two threads at once may each build one; either will do."""
    return functools.cache(build)
