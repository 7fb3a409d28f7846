"""Azurite and hosts for the tests of `local/host`; each is started once, on first use."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.storage.queue import QueueClient

from local.azurite import Azurite
from tests.contract.host.driver import Host

NEED_STORAGE = ("work", "buried", "enqueue", "tick", "nightly")
"""The functions of the sample app that do not run without storage."""


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    with Azurite(tmp_path_factory.mktemp("azurite") / "azurite.log") as running:
        yield running


@pytest.fixture
def queue(azurite: Azurite) -> Iterator[QueueClient]:
    """A new, empty queue."""
    name = f"jobs-{uuid.uuid4().hex[:8]}"
    with QueueClient.from_connection_string(azurite.connection_string, name) as client:
        client.create_queue()
        yield client


@pytest.fixture
def poison(azurite: Azurite, queue: QueueClient) -> Iterator[QueueClient]:
    """The poison queue of `queue`, which the host makes when it needs it."""
    name = f"{queue.queue_name}-poison"
    with QueueClient.from_connection_string(azurite.connection_string, name) as client:
        yield client


@pytest.fixture
def queue_host(azurite: Azurite, queue: QueueClient, tmp_path: Path) -> Iterator[Host]:
    """A host whose queue function listens on `queue`."""
    with Host(tmp_path, listening_on(azurite, str(queue.queue_name))) as host:
        yield host


def listening_on(azurite: Azurite, queue: str) -> dict[str, str]:
    return {
        "AzureWebJobsStorage": azurite.connection_string,
        "SAMPLE_QUEUE": queue,
        "AzureWebJobs.buried.Disabled": "true",
        "AzureWebJobs.tick.Disabled": "true",
        "AzureWebJobs.nightly.Disabled": "true",
    }


@pytest.fixture(scope="session")
def web_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A host for HTTP alone: nothing of it needs storage."""
    with Host(tmp_path_factory.mktemp("web"), without_storage()) as host:
        yield host


def without_storage() -> dict[str, str]:
    return {f"AzureWebJobs.{name}.Disabled": "true" for name in NEED_STORAGE}
