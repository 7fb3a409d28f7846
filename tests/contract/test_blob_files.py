"""Files in blob storage against Azurite: one version, in ranges, with little memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest
from azure.core.pipeline.transport import HttpTransport
from azure.storage.blob import BlobServiceClient, ContainerClient

from local.azurite import Azurite
from shared.adapters.storage.blob_files import BlobFiles
from shared.adapters.storage.clients import Storage
from shared.errors import FileChanged, LostRace, NotSent, RemoteRefused
from shared.mail.limits import CHUNK_BYTES, MAX_FILE_BYTES
from shared.mail.message import StoredFile
from shared.settings import StorageSettings

MB = 1024 * 1024


@pytest.fixture(scope="module")
def connection_string(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One Azurite for this module, in memory, on free ports."""
    with Azurite(log=tmp_path_factory.mktemp("azurite") / "azurite.log") as azurite:
        yield azurite.connection_string


@pytest.fixture(scope="module")
def container(connection_string: str) -> Iterator[ContainerClient]:
    """The container attachments, as a caller sees it."""
    with BlobServiceClient.from_connection_string(connection_string) as service:
        service.create_container("payloads")
        yield service.create_container("attachments")


@pytest.fixture
def storage(connection_string: str) -> Iterator[Storage]:
    found = Storage(StorageSettings(connection_string=connection_string), None)
    yield found
    found.close()


@pytest.fixture
def files(storage: Storage, container: ContainerClient) -> Iterator[BlobFiles]:
    with storage.container("attachments") as attachments, storage.container("payloads") as payloads:
        yield BlobFiles(lambda: attachments, lambda: payloads)


@pytest.fixture
def put(container: ContainerClient) -> Callable[[bytes], str]:
    """Puts a file there under a new name."""

    def under_a_new_name(content: bytes) -> str:
        name = f"2026/ü {uuid4().hex}.bin"
        container.upload_blob(name, content)
        return name

    return under_a_new_name


Put = Callable[[bytes], str]


def seen(files: BlobFiles, name: str) -> StoredFile:
    found = files.head("attachments", name)
    assert found is not None
    return found


def test_a_file_is_seen_with_its_size_and_version(files: BlobFiles, put: Put) -> None:
    name = put(b"hello")

    found = seen(files, name)

    assert (found.container, found.name, found.size) == ("attachments", name, 5)
    assert found.etag


def test_a_file_that_is_not_there_is_not_seen(files: BlobFiles) -> None:
    assert files.head("attachments", "nothing") is None


@pytest.mark.parametrize("size", [0, 1, 99, 100, 101, 1000])
def test_a_file_comes_in_pieces_that_make_it_up(files: BlobFiles, put: Put, size: int) -> None:
    content = bytes(number % 251 for number in range(size))

    chunks = list(files.chunks(seen(files, put(content)), 100))

    assert b"".join(chunks) == content
    assert all(len(chunk) == 100 for chunk in chunks[:-1])


def test_a_file_that_was_kept_comes_back_and_keeping_it_again_is_harmless(
    files: BlobFiles,
) -> None:
    name = f"{uuid4()}/abc"

    first = files.keep(name, b"content")
    again = files.keep(name, b"content")

    assert first == again == files.head("payloads", name)
    assert b"".join(files.chunks(first, 3)) == b"content"


@pytest.mark.parametrize("content", [b"", b"hello"])
def test_a_file_that_was_changed_is_not_given_out(
    files: BlobFiles, put: Put, container: ContainerClient, content: bytes
) -> None:
    file = seen(files, put(content))
    container.upload_blob(file.name, b"other", overwrite=True)

    with pytest.raises(FileChanged) as caught:
        list(files.chunks(file, 100))

    assert not caught.value.gone


@pytest.mark.parametrize("content", [b"", b"hello"])
def test_a_file_that_was_removed_is_gone(
    files: BlobFiles, put: Put, container: ContainerClient, content: bytes
) -> None:
    file = seen(files, put(content))
    container.delete_blob(file.name)

    with pytest.raises(FileChanged) as caught:
        list(files.chunks(file, 100))

    assert caught.value.gone


def test_a_file_that_changes_while_it_is_read_does_not_become_a_mixture(
    files: BlobFiles, put: Put, container: ContainerClient
) -> None:
    file = seen(files, put(b"a" * 300))
    chunks = files.chunks(file, 100)

    first = next(chunks)
    container.upload_blob(file.name, b"b" * 300, overwrite=True)

    assert first == b"a" * 100
    with pytest.raises(FileChanged):
        next(chunks)


def test_a_large_file_costs_little_memory(files: BlobFiles, container: ContainerClient) -> None:
    container.upload_blob("large.bin", bytes(MAX_FILE_BYTES), max_concurrency=1)
    file = seen(files, "large.bin")
    next(files.chunks(file, 100))

    tracemalloc.start()
    total = sum(len(chunk) for chunk in files.chunks(file, CHUNK_BYTES))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    container.delete_blob("large.bin")

    assert total == MAX_FILE_BYTES
    assert peak <= 28 * MB


def test_a_container_that_is_missing_holds_no_file_and_takes_none(storage: Storage) -> None:
    with storage.container("missing") as client:
        files = BlobFiles(lambda: client, lambda: client)

        assert files.head("attachments", "a") is None
        with pytest.raises(RemoteRefused):
            files.keep("a", b"x")
        with pytest.raises(LostRace):
            files.probe()


def test_storage_that_is_not_there_is_known_to_have_done_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits: list[float] = []
    # The SDK waits between its tries, for nine seconds in all or more.
    monkeypatch.setattr(HttpTransport, "sleep", lambda transport, seconds: waits.append(seconds))
    storage = Storage(
        StorageSettings(
            connection_string="DefaultEndpointsProtocol=http;AccountName=a;AccountKey=aGk=;"
            "BlobEndpoint=http://127.0.0.1:1/a;"
        ),
        None,
    )
    with storage.container("attachments") as client:
        files = BlobFiles(lambda: client, lambda: client)

        with pytest.raises(NotSent):
            files.head("attachments", "a")
    storage.close()
    assert len(waits) == 3
