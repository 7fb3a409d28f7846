"""App Service's managed-identity endpoint, by hand and through azure-identity."""

from __future__ import annotations

import time

import pytest
import requests
from azure.identity import ManagedIdentityCredential

from local.simulator.server import Simulator
from local.simulator.state import SimulatorState

VAULT = "https://vault.azure.net"


def ask(
    simulator: Simulator, http: requests.Session, header: str | None = None, **query: str
) -> requests.Response:
    """A well-formed request, but for what the test says."""
    stack = simulator.stack()
    return http.get(
        stack["identity_endpoint"],
        params={"api-version": "2019-08-01", "resource": VAULT, **query},
        headers={"X-IDENTITY-HEADER": stack["identity_header"] if header is None else header},
    )


def test_a_token_has_app_services_shape(simulator: Simulator, http: requests.Session) -> None:
    answer = ask(simulator, http).json()

    assert answer["access_token"].startswith("SIMAT.")
    assert isinstance(answer["expires_on"], str)
    assert int(answer["expires_on"]) > time.time() + 3600
    assert (answer["resource"], answer["token_type"]) == (VAULT, "Bearer")


def test_a_token_is_for_its_resource_only(
    simulator: Simulator, state: SimulatorState, http: requests.Session
) -> None:
    claims = state.tokens.find(ask(simulator, http).json()["access_token"], VAULT)

    assert claims.app_only
    assert claims.object_id == simulator.stack()["identity_principal_id"]


@pytest.mark.parametrize(
    ("header", "query", "status"),
    [
        pytest.param("forged", {}, 401, id="header"),
        pytest.param(None, {"api-version": "2017-09-01"}, 400, id="version"),
        pytest.param(None, {"resource": ""}, 400, id="no-resource"),
        pytest.param(None, {"resource": "https://evil.example"}, 400, id="unknown-resource"),
        pytest.param(None, {"client_id": "someone-else"}, 400, id="unknown-identity"),
    ],
)
def test_other_requests_are_refused(
    simulator: Simulator,
    http: requests.Session,
    header: str | None,
    query: dict[str, str],
    status: int,
) -> None:
    response = ask(simulator, http, header, **query)

    assert response.status_code == status
    assert response.json()["statusCode"] == status


@pytest.mark.parametrize("named", [True, False], ids=["by-client-id", "unnamed"])
def test_azure_identity_gets_a_token(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch, named: bool
) -> None:
    stack = simulator.stack()
    monkeypatch.setenv("IDENTITY_ENDPOINT", stack["identity_endpoint"])
    monkeypatch.setenv("IDENTITY_HEADER", stack["identity_header"])

    with ManagedIdentityCredential(
        client_id=stack["identity_client_id"] if named else None
    ) as credential:
        token = credential.get_token(f"{VAULT}/.default")

    assert token.expires_on > time.time() + 3600


def test_faults_reach_this_endpoint(simulator: Simulator, http: requests.Session) -> None:
    rule = {"where": "identity.token", "status": 429, "headers": {"Retry-After": "1"}}
    http.post(f"{simulator.urls.control}/faults", json=rule)

    response = ask(simulator, http)

    assert response.json()["statusCode"] == 429
    assert response.headers["Retry-After"] == "1"
