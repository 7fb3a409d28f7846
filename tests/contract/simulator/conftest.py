"""One simulator for all tests of this folder; each test finds it freshly reset."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from azure.identity import ManagedIdentityCredential
from azure.keyvault.secrets import SecretClient

from local.simulator.server import Simulator
from local.simulator.state import SimulatorState
from tests.contract.simulator.person import Control, Person, TokenEndpoint
from tests.contract.simulator.signer import Signer, new_signer


@pytest.fixture(scope="session", autouse=True)
def _own_certificates() -> Iterator[None]:
    """These two win over `verify=` in requests, and so in MSAL (entra-oauth.md 1.3)."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("REQUESTS_CA_BUNDLE", raising=False)
        patch.delenv("CURL_CA_BUNDLE", raising=False)
        yield


@pytest.fixture(scope="session")
def running_simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    with Simulator(tmp_path_factory.mktemp("simulator")) as simulator:
        yield simulator


@pytest.fixture
def simulator(running_simulator: Simulator) -> Simulator:
    """The running simulator as it is after a reset."""
    running_simulator.state.reset()
    return running_simulator


@pytest.fixture
def state(simulator: Simulator) -> SimulatorState:
    return simulator.state


@pytest.fixture
def stack(simulator: Simulator) -> dict[str, Any]:
    """What `stack.json` says."""
    return simulator.stack()


@pytest.fixture
def http(simulator: Simulator) -> Iterator[requests.Session]:
    """A client that trusts the simulator and follows no proxy settings."""
    with requests.Session() as session:
        session.trust_env = False
        session.verify = str(simulator.ca_file)
        yield session


@pytest.fixture
def person(simulator: Simulator, http: requests.Session) -> Person:
    """Somebody with a fresh browser."""
    return Person(simulator, http)


@pytest.fixture
def token_endpoint(simulator: Simulator, http: requests.Session) -> TokenEndpoint:
    return TokenEndpoint(simulator, http)


@pytest.fixture
def control(simulator: Simulator, http: requests.Session) -> Control:
    """The control surface by its paths."""
    return Control(simulator, http)


@pytest.fixture(scope="session")
def signer() -> Signer:
    """A certificate with its key; a test registers it."""
    return new_signer()


@pytest.fixture
def vault(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[SecretClient]:
    """The vault through the SDK, as the managed identity."""
    stack = simulator.stack()
    monkeypatch.setenv("IDENTITY_ENDPOINT", stack["identity_endpoint"])
    monkeypatch.setenv("IDENTITY_HEADER", stack["identity_header"])
    with (
        ManagedIdentityCredential(client_id=stack["identity_client_id"]) as credential,
        SecretClient(
            stack["vault_url"],
            credential,
            verify_challenge_resource=False,
            connection_verify=stack["ca_file"],
            retry_total=0,
        ) as client,
    ):
        yield client
