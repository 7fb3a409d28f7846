"""The queue operations that the host makes, each counted.

Connections: https://learn.microsoft.com/azure/azure-functions/functions-bindings-storage-queue-trigger#connections
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import requests
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.core.pipeline.transport import RequestsTransport
from azure.storage.queue import QueueClient, QueueMessage
from requests.adapters import HTTPAdapter

from local.host.errors import HostError

# https://learn.microsoft.com/azure/storage/common/storage-use-azurite#http-connection-strings
_DEVELOPMENT_STORAGE = (
    "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;"
    "AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;"
    "QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1;"
)
_QUEUE_NAME = re.compile(r"^(?=.{3,63}$)[a-z0-9]+(-[a-z0-9]+)*$")

_AZURE_DOMAINS = (".core.windows.net", ".core.chinacloudapi.cn", ".core.usgovcloudapi.net")
_HOST_STORAGE = "AzureWebJobsStorage"

Count = Callable[[str], None]


class StoredQueue:
    """One queue as listeners and output bindings use it; raises azure.core's errors."""

    def __init__(self, client: QueueClient, count: Count) -> None:
        self._client = client
        self._count = count
        self.name = str(client.queue_name)
        self.url = str(client.url)

    def exists(self) -> bool:
        self._count("exists")
        try:
            self._client.get_queue_properties()
        except ResourceNotFoundError:
            return False
        return True

    def receive(self, most: int, visibility: int) -> list[QueueMessage]:
        self._count("receive")
        pages = self._client.receive_messages(
            messages_per_page=most, visibility_timeout=visibility
        ).by_page()
        return list(next(pages, ()))

    def delete(self, message_id: str, receipt: str) -> None:
        self._count("delete")
        self._client.delete_message(message_id, receipt)

    def set_visibility(self, message_id: str, receipt: str, seconds: int) -> str:
        """Change when the message becomes visible. Returns the new pop receipt; the text stays the
        same."""
        self._count("update")
        updated = self._client.update_message(message_id, receipt, visibility_timeout=seconds)
        return str(updated.pop_receipt)

    def holds_what_azurite_cannot_give(self, error: HttpResponseError) -> bool:
        """Whether this error of a receive is Azurite's for a message with characters that XML does
        not have, which it takes and cannot give out."""
        is_azure = str(urlsplit(self.url).hostname).endswith(_AZURE_DOMAINS)
        return error.status_code == 500 and not getattr(error, "error_code", "") and not is_azure

    def put(self, text: str, operation: str) -> None:
        """Add a message with the service's default time to live. The queue is made if it is
        missing."""
        self._count(operation)
        try:
            self._client.send_message(text)
        except ResourceNotFoundError:
            self._count(operation)
            self._client.create_queue()
            self._count(operation)
            self._client.send_message(text)

    def close(self) -> None:
        self._client.close()


class Queues:
    """Opens queues of the app's storage connections."""

    def __init__(self, settings: Mapping[str, str], count: Count) -> None:
        # azure-core logs the address and headers of every request at INFO.
        http_log = logging.getLogger("azure.core.pipeline.policies.http_logging_policy")
        http_log.setLevel(logging.WARNING)
        self._settings = settings
        self._count = count

    def open(self, connection: str, queue: str, where: str) -> StoredQueue:
        name = queue.lower()
        if _QUEUE_NAME.match(name) is None:
            raise HostError(
                f"{where}: {queue!r} is not a queue name; "
                "use 3 to 63 lower-case letters, digits and single hyphens"
            )
        return StoredQueue(self._client(connection, name, where), self._count)

    def _client(self, connection: str, queue: str, where: str) -> QueueClient:
        # The listener has its own back-off; the SDK's retries would only hide an outage.
        options: dict[str, Any] = {
            "retry_total": 0,
            "connection_timeout": 10,
            "read_timeout": 60,
            "transport": _transport(),
        }
        text = self._settings.get(connection) or self._settings.get(f"AzureWebJobs{connection}")
        if text:
            if text.strip().rstrip(";").lower() == "usedevelopmentstorage=true":
                text = _DEVELOPMENT_STORAGE
            try:
                return QueueClient.from_connection_string(text, queue, **options)
            except ValueError as error:
                raise HostError(
                    f"{where}: the setting {connection} is not a storage connection string"
                ) from error
        uri = self._service_uri(connection)
        if uri is None:
            raise HostError(
                f"{where}: the setting {connection} is missing; set it to a connection string, "
                f"or set {connection}__queueServiceUri"
            )
        return QueueClient(uri, queue, credential=self._credential(connection), **options)

    def _service_uri(self, connection: str) -> str | None:
        for name in ("queueServiceUri", "serviceUri"):
            if uri := self._settings.get(f"{connection}__{name}"):
                return uri
        account = self._settings.get(f"{connection}__accountName")
        return f"https://{account}.queue.core.windows.net" if account else None

    def _credential(self, connection: str) -> Any:
        # Connection strings do not need it, and it is slow to import.
        from azure.identity import DefaultAzureCredential, ManagedIdentityCredential

        client_id = self._settings.get(f"{connection}__clientId")
        if self._settings.get(f"{connection}__credential", "").lower() == "managedidentity":
            return ManagedIdentityCredential(client_id=client_id)
        return DefaultAzureCredential()


def host_storage(settings: Mapping[str, str]) -> tuple[str, int] | None:
    """Host and port of AzureWebJobsStorage; None if the setting is missing or cannot be read."""
    try:
        queue = Queues(settings, lambda operation: None).open(_HOST_STORAGE, "probe", "the host")
    except HostError:
        return None
    found = urlsplit(queue.url)
    queue.close()
    return str(found.hostname), found.port or (443 if found.scheme == "https" else 80)


def check_host_storage(settings: Mapping[str, str], where: str) -> None:
    """Raises HostError if AzureWebJobsStorage is missing or cannot be read: timers need it."""
    Queues(settings, lambda operation: None).open(_HOST_STORAGE, "probe", where).close()


def poison_queue_name(queue: str) -> str | None:
    """The name of the poison queue; None if the queue is one already, or if the name would be too
    long."""
    name = f"{queue}-poison"
    return None if queue.endswith("-poison") or len(name) > 63 else name


def is_lost(error: HttpResponseError) -> bool:
    """Whether this receiver has lost the message: it is deleted, or another one received it."""
    lost = ("PopReceiptMismatch", "MessageNotFound")
    return error.status_code == 404 or error_code(error) in lost


def error_code(error: HttpResponseError) -> str:
    """The service's error code; the SDK adds it without declaring it."""
    return str(getattr(error, "error_code", "") or error.status_code)


def _transport() -> RequestsTransport:
    session = requests.Session()
    # requests keeps ten connections and warns about every further one.
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(pool_connections=2, pool_maxsize=64))
    return RequestsTransport(session=session)
