"""Azure Storage clients, built at first use, and the translation of their errors."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from shared.adapters.http.deadline import deadline
from shared.adapters.storage.access import Bearer, read_connection_string
from shared.adapters.storage.table_service import Table, TableService
from shared.errors import AlreadyExists, AnswerLost, LostRace, NotSent, RemoteRefused
from shared.settings import StorageSettings

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from azure.core.pipeline.transport import RequestsTransport
    from azure.storage.blob import ContainerClient
    from azure.storage.queue import QueueClient

MAILS_TABLE = "mails"
KEYS_TABLE = "keys"
FLOWS_TABLE = "flows"
ACCOUNTS_TABLE = "accounts"
WAITING_TABLE = "waiting"
OUTBOX_QUEUE = "outbox"
POISON_QUEUE = "outbox-poison"
PAYLOADS_CONTAINER = "payloads"
ATTACHMENTS_CONTAINER = "attachments"

# Seconds. A caller waits for these, and a worker holds a lease, so they are short.
CONNECT_SECONDS = 5
ANSWER_SECONDS = 10
"""For one whole answer."""
CALL_SECONDS = 40
"""For a call of an SDK with all its tries."""
CONNECTIONS = 32
BLOCK_BYTES = 256 * 1024
"""Payloads are read in pieces of this size; the SDK's own 4 KiB would mean many requests for a
large one."""
_OPTIONS: dict[str, Any] = {"retry_total": 3, "logging_enable": False}
# Seconds between the tries of the queue and blob SDKs: about 1, 3 and 5. The SDKs' own pauses add
# up to more than a minute, and a caller waits for them.
_WAITS: dict[str, Any] = {"initial_backoff": 1, "increment_base": 2, "random_jitter_range": 1}


class Storage:
    """Makes clients from the settings. Importing this module imports no SDK."""

    def __init__(self, settings: StorageSettings, credential: TokenCredential | None) -> None:
        self._settings = settings
        self._credential = credential
        self._lock = threading.Lock()
        self._transport: RequestsTransport | None = None
        self._tables: TableService | None = None

    def table(self, name: str) -> Table:
        """One table. All tables share their connections."""
        with self._lock:
            if self._tables is None:
                self._tables = self._table_service()
            return self._tables.table(name)

    def queue(self, name: str) -> QueueClient:
        """A client for one queue. Messages are sent as plain text."""
        from azure.storage.queue import QueueClient

        if self._settings.connection_string:
            return QueueClient.from_connection_string(
                self._settings.connection_string, name, **self._options(), **_WAITS
            )
        return QueueClient(
            self._settings.queue_url or "",
            name,
            credential=self._credential,
            **self._options(),
            **_WAITS,
        )

    def container(self, name: str) -> ContainerClient:
        """A client for one blob container."""
        from azure.storage.blob import ContainerClient

        if self._settings.connection_string:
            return ContainerClient.from_connection_string(
                self._settings.connection_string, name, **self._options(), **_WAITS
            )
        return ContainerClient(
            self._settings.blob_url or "",
            name,
            credential=self._credential,
            **self._options(),
            **_WAITS,
        )

    def _table_service(self) -> TableService:
        if self._settings.connection_string:
            return TableService(*read_connection_string(self._settings.connection_string))
        if self._credential is None:
            raise ValueError("storage without a connection string needs an identity")
        return TableService(self._settings.table_url or "", Bearer(self._credential))

    def _options(self) -> dict[str, Any]:
        """One pool of connections for all clients, with as many connections as the worker has
        threads."""
        from azure.core.pipeline.transport import RequestsTransport

        from shared.adapters.storage.session import StorageSession

        with self._lock:
            if self._transport is None:
                self._transport = RequestsTransport(
                    session=StorageSession(CONNECTIONS, ANSWER_SECONDS),
                    session_owner=False,
                    use_env_settings=False,
                    connection_timeout=CONNECT_SECONDS,
                    read_timeout=ANSWER_SECONDS,
                    connection_data_block_size=BLOCK_BYTES,
                )
            return {**_OPTIONS, "transport": self._transport}

    def close(self) -> None:
        """Close the pools."""
        with self._lock:
            if self._tables is not None:
                self._tables.close()
            if self._transport is not None and self._transport.session is not None:
                self._transport.session.close()


@contextmanager
def translated(what: str, content_bytes: int = 0) -> Iterator[None]:
    """Turn the SDK's errors into Postroom's, and end a call that takes too long as a whole.

    `what` is the action that failed, for the message; `content_bytes` says how much content the
    call carries, which may take more time.
    """
    from azure.core import exceptions as sdk

    from shared.adapters.storage.session import seconds_for

    try:
        with deadline(CALL_SECONDS + seconds_for(content_bytes)):
            yield
    except sdk.ResourceExistsError as error:
        raise AlreadyExists(f"{what}: it is there already") from error
    except (sdk.ResourceModifiedError, sdk.ResourceNotFoundError) as error:
        raise LostRace(f"{what}: it was changed or removed meanwhile") from error
    except sdk.ServiceResponseError as error:
        raise AnswerLost("storage", f"{what}: storage did not answer") from error
    except sdk.ServiceRequestError as error:
        raise NotSent("storage", f"{what}: storage was not reached") from error
    except sdk.HttpResponseError as error:
        status = error.status_code or 0
        if status in (404, 412):
            raise LostRace(f"{what}: it was changed meanwhile") from error
        if status >= 500:
            raise AnswerLost("storage", f"{what}: storage answered {status}") from error
        if status == 429:
            raise NotSent("storage", f"{what}: storage is throttling") from error
        raise RemoteRefused("storage", f"{what}: storage answered {status}") from error
