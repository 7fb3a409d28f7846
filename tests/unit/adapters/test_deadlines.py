"""Every remote call ends in its own time, however slowly its service answers.

The constants are shortened; the services are one that drips.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from azure.core.credentials import AccessToken

from local.simulator.tls import server_context
from shared.adapters.entra import identity_platform, managed_identity, token_endpoint, wire
from shared.adapters.entra.app_credential import Proof
from shared.adapters.entra.identity_platform import Entra
from shared.adapters.entra.managed_identity import AppIdentity
from shared.adapters.entra.token_endpoint import TokenEndpoint
from shared.adapters.graph import drafts, mail_service, upload_session
from shared.adapters.graph.drafts import GraphDrafts
from shared.adapters.graph.mail_service import Graph
from shared.adapters.graph.upload_session import UploadSessions
from shared.adapters.key_vault import reading, secrets
from shared.adapters.key_vault.secrets import KeyVault
from shared.adapters.storage import clients, table_service
from shared.adapters.storage.blob_files import BlobFiles
from shared.adapters.storage.outbox_queue import OutboxQueue
from shared.adapters.storage.payload_blobs import PayloadBlobs
from shared.errors import RemoteError
from shared.mail.message import Attachment, StoredFile
from shared.mail.outcome import Sought
from shared.services.mails.stored_files import Attached
from shared.settings import StorageSettings
from tests.fakes import Faults, MemoryFiles, MemoryPayloads
from tests.unit.adapters.dripping import dripping

LIMIT = 0.5
TRIES = 4
"""A call may be made so often, each in its own time."""
HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n"
    b"Content-Range: bytes 0-999/1000\r\nETag: etag\r\n\r\n"
)
NOW = datetime(2026, 12, 1, 9, 30, tzinfo=UTC)
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


class Token:
    """A token of the app's identity."""

    def get_token(self, *_: str, **__: object) -> AccessToken:
        return AccessToken("token", int(time.time()) + 3600)


class Secret:
    """A client secret."""

    def proof(self) -> Proof:
        return Proof("secret", "1")

    def after(self, refused: object) -> Proof:
        raise AssertionError(refused)

    def worked(self, proof: Proof) -> None:
        return


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (mail_service, drafts, upload_session):
        monkeypatch.setattr(module, "READ_SECONDS", LIMIT)
    for module in (reading, secrets, table_service, clients, token_endpoint, wire):
        monkeypatch.setattr(module, "ANSWER_SECONDS", LIMIT)
    monkeypatch.setattr(identity_platform, "ANSWER_SECONDS", LIMIT)
    monkeypatch.setattr(managed_identity, "_ANSWER_SECONDS", LIMIT)
    monkeypatch.setattr(clients, "CALL_SECONDS", 2 * LIMIT)
    monkeypatch.setattr(
        clients, "_WAITS", {"initial_backoff": 0, "increment_base": 0, "random_jitter_range": 0}
    )


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """The address of a service that drips, over https, and its CA."""
    context, ca_file = server_context(tmp_path)
    with dripping(HEAD, b"a" * 1000, context=context) as port:
        yield f"https://localhost:{port}", str(ca_file)


@pytest.fixture
def plain() -> Iterator[str]:
    """The same over http."""
    with dripping(HEAD, b"a" * 1000) as port:
        yield f"http://127.0.0.1:{port}"


@contextmanager
def in_time() -> Iterator[None]:
    """What is done here ends, with an error, in the time of all its tries."""
    began = time.monotonic()
    with pytest.raises(RemoteError):
        yield
    assert time.monotonic() - began < TRIES * (LIMIT + 0.5) + 1


GRAPH: dict[str, Callable[[Graph], object]] = {
    "send": lambda graph: graph.send_mail("token", "/me", "application/json", b"{}"),
    "profile": lambda graph: graph.me("token"),
}
DRAFTS: dict[str, Callable[[GraphDrafts], object]] = {
    "create": lambda made: made.create("token", "/me", "application/json", b"{}"),
    "remove": lambda made: made.remove("token", "/me", "id"),
    "send": lambda made: made.send("token", "/me", "id"),
    "search": lambda made: made.find("token", "/me", Sought("mail", "id", None, False, NOW)),
}


@pytest.mark.parametrize("call", GRAPH)
def test_a_call_of_graph(call: str, secure: tuple[str, str]) -> None:
    url, ca_file = secure
    graph = Graph(url, ca_file=ca_file, send_seconds=LIMIT, clock=lambda: NOW)

    with in_time():
        GRAPH[call](graph)


@pytest.mark.parametrize("call", DRAFTS)
def test_a_call_about_a_draft(call: str, secure: tuple[str, str]) -> None:
    url, ca_file = secure
    graph = Graph(url, ca_file=ca_file, send_seconds=LIMIT, clock=lambda: NOW)
    uploads = UploadSessions(ca_file=ca_file, chunk_seconds=LIMIT, clock=lambda: NOW)

    with in_time():
        DRAFTS[call](GraphDrafts(graph, uploads))


def test_a_chunk_of_an_upload(secure: tuple[str, str]) -> None:
    url, ca_file = secure
    uploads = UploadSessions(
        ca_file=ca_file,
        chunk_seconds=LIMIT / 4,
        clock=lambda: NOW,
        local_host=url.removeprefix("https://"),
        sleep=lambda seconds: None,
    )
    attachment = Attachment("a.pdf", b"a" * 4_000_000, "application/pdf")
    file = Attached(attachment, MemoryFiles(Faults(), MemoryPayloads(Faults())))

    began = time.monotonic()
    with pytest.raises(RemoteError):
        uploads.carry(f"{url}/upload", file, lambda: None)
    # Five tries, between them four questions how much arrived, and the cancelling.
    assert time.monotonic() - began < 5 * (LIMIT / 4 + 0.3) + 5 * (LIMIT + 0.3) + 1


def test_a_refresh(secure: tuple[str, str]) -> None:
    url, ca_file = secure

    with in_time():
        TokenEndpoint(url, "client", ca_file).refresh("common", {}, "token", ["Mail.Send"])


def test_a_call_of_msal(secure: tuple[str, str]) -> None:
    url, ca_file = secure
    entra = Entra(
        client_id="client",
        authority_host=url,
        redirect_uri="https://localhost/callback",
        credential=Secret(),  # type: ignore[arg-type]
        development=True,
        ca_file=ca_file,
    )

    with in_time():
        entra.begin("common", ["Mail.Send"])


@pytest.mark.parametrize(
    "call",
    [
        lambda vault: vault.get("name"),
        lambda vault: vault.set("name", "value"),
        lambda vault: vault.versions("name"),
        lambda vault: vault.remove("name"),
    ],
    ids=["get", "set", "versions", "remove"],
)
def test_a_call_of_key_vault(call: Callable[[KeyVault], object], secure: tuple[str, str]) -> None:
    url, ca_file = secure
    vault = KeyVault(url, Token(), ca_file=ca_file, development=True, sleep=lambda seconds: None)

    with in_time():
        call(vault)


def test_a_token_of_the_managed_identity(plain: str) -> None:
    from azure.core.exceptions import AzureError

    environment = {"IDENTITY_ENDPOINT": f"{plain}/msi/token", "IDENTITY_HEADER": "secret"}
    identity = AppIdentity(None, environment, sleep=lambda seconds: None)

    began = time.monotonic()
    with pytest.raises(AzureError):
        identity.get_token("https://vault.azure.net/.default")
    assert time.monotonic() - began < TRIES * (LIMIT + 0.5) + 1


@pytest.fixture
def storage(plain: str) -> Iterator[clients.Storage]:
    account = f"{plain}/devstoreaccount1"
    text = (
        f"AccountName=devstoreaccount1;AccountKey={KEY};TableEndpoint={account};"
        f"QueueEndpoint={account};BlobEndpoint={account}"
    )
    stored = clients.Storage(StorageSettings(connection_string=text), None)
    yield stored
    stored.close()


STORAGE: dict[str, Callable[[clients.Storage], object]] = {
    "a row": lambda storage: storage.table("mails").get("reading", "p", "r"),
    "a new row": lambda storage: storage.table("mails").insert(
        "writing", {"PartitionKey": "p", "RowKey": "r"}
    ),
    "a queue message": lambda storage: OutboxQueue(lambda: storage.queue("outbox")).enqueue("m"),
    "a queue": lambda storage: OutboxQueue(lambda: storage.queue("outbox")).probe(),
    "a payload to store": lambda storage: PayloadBlobs(lambda: storage.container("p")).put(
        "name", b"content"
    ),
    "a payload to read": lambda storage: PayloadBlobs(lambda: storage.container("p")).get("name"),
    "the list of payloads": lambda storage: list(
        PayloadBlobs(lambda: storage.container("p")).older_than(NOW)
    ),
    "a file": lambda storage: list(
        BlobFiles(
            lambda: storage.container("attachments"), lambda: storage.container("payloads")
        ).chunks(StoredFile("attachments", "a.pdf", 1000, "etag"), 1000)
    ),
}


@pytest.mark.parametrize("call", STORAGE)
def test_a_call_of_storage(
    call: str, storage: clients.Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_service, "_PAUSES", (0.0, 0.0))

    with in_time():
        STORAGE[call](storage)
