"""Starting and stopping the storage emulator."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from azure.storage.queue import QueueClient

from local import azurite, ports
from local.azurite import Azurite, AzuriteError, AzuritePorts


def test_it_answers_when_it_has_started_and_is_gone_when_it_has_stopped(tmp_path: Path) -> None:
    with Azurite(tmp_path / "azurite.log", directory=tmp_path / "data") as running:
        with QueueClient.from_connection_string(running.connection_string, "some") as queue:
            queue.create_queue()
        port = running.ports.queue

    assert not ports.is_open(port)
    assert list((tmp_path / "data").iterdir())


def test_missing_packages_are_named_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(azurite, "SCRIPT", tmp_path / "nowhere.js")

    with pytest.raises(AzuriteError, match="run: make install"):
        Azurite(tmp_path / "log").start()


def test_missing_node_is_named_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)

    with pytest.raises(AzuriteError, match=r"install Node\.js"):
        Azurite(tmp_path / "log").start()


def test_a_taken_port_is_named(tmp_path: Path, azurite: Azurite) -> None:
    taken = azurite.ports.blob

    with pytest.raises(AzuriteError, match=f"port {taken} is in use"):
        Azurite(tmp_path / "log", at=AzuritePorts(taken, *ports.free_ports(2))).start()
