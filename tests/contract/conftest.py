"""The adapters' counterpart: one simulator, freshly reset for each test, and ways to disturb it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from azure.core.credentials import TokenCredential
from azure.identity import ManagedIdentityCredential

from local.simulator.server import Simulator
from shared.adapters.key_vault.secrets import KeyVault


@dataclass
class Stand:
    """Simulated Microsoft, and what an operator of it can do."""

    simulator: Simulator

    @property
    def ca_file(self) -> str:
        return str(self.simulator.ca_file)

    @property
    def stack(self) -> dict[str, Any]:
        return self.simulator.stack()

    def control(self, path: str, document: object, method: str = "POST") -> dict[str, Any]:
        """Ask the control surface."""
        with requests.Session() as session:
            session.trust_env = False
            url = f"{self.simulator.urls.control}/{path}"
            answer = session.request(method, url, json=document, timeout=10)
        answer.raise_for_status()
        document_back: dict[str, Any] = answer.json()
        return document_back

    def fault(self, where: str, **rule: object) -> None:
        """Let something go wrong."""
        self.control("faults", {"where": where, **rule})

    def count(self, operation: str) -> int:
        """How often an operation was asked for since the last reset."""
        return int(self.control("counts", None, "GET")["counts"].get(operation, 0))


@pytest.fixture(scope="session")
def stand_running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    """One for all tests of this folder; it costs a second to make its certificates."""
    directory: Path = tmp_path_factory.mktemp("stand")
    with Simulator(directory) as simulator:
        yield simulator


@pytest.fixture
def stand(stand_running: Simulator) -> Stand:
    """The simulator as it is after a reset."""
    stand_running.state.reset()
    return Stand(stand_running)


@pytest.fixture
def credential(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> Iterator[TokenCredential]:
    """The app's managed identity, as App Service offers it."""
    monkeypatch.setenv("IDENTITY_ENDPOINT", stand.stack["identity_endpoint"])
    monkeypatch.setenv("IDENTITY_HEADER", stand.stack["identity_header"])
    with ManagedIdentityCredential() as identity:
        yield identity


@pytest.fixture
def vault(stand: Stand, credential: TokenCredential) -> Iterator[KeyVault]:
    """Our adapter for the simulated vault. It does not wait between tries."""
    adapter = KeyVault(
        stand.stack["vault_url"],
        credential,
        ca_file=stand.ca_file,
        development=True,
        sleep=lambda seconds: None,
    )
    yield adapter
    adapter.close()
