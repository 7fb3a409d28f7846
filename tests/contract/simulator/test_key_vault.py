"""Key Vault's secrets through the unmodified SDK, and its wire by hand where the SDK hides it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import requests
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
)
from azure.keyvault.secrets import SecretClient

from local.simulator.entra.tokens import GRAPH_AUDIENCE
from local.simulator.server import Simulator
from local.simulator.state import SimulatorState
from tests.contract.simulator.vault_client import inner_code, set_options, vault_token

VERSION = {"api-version": "2026-04-01"}


def test_what_is_set_can_be_read(vault: SecretClient) -> None:
    expires = datetime(2027, 1, 2, tzinfo=UTC)
    made = vault.set_secret(
        "postroom-a", "v1", content_type="text/plain", tags={"kind": "x"}, expires_on=expires
    )

    found = vault.get_secret("POSTROOM-A")

    assert found.value == "v1"
    assert found.properties.version == made.properties.version
    assert found.properties.tags == {"kind": "x"}
    assert found.properties.expires_on == expires
    assert found.properties.recoverable_days == 90


def test_setting_again_adds_a_version_and_keeps_the_old_one(vault: SecretClient) -> None:
    first = vault.set_secret("a", "v1").properties.version
    vault.set_secret("a", "v2")

    assert vault.get_secret("a").value == "v2"
    assert vault.get_secret("a", first).value == "v1"
    assert len(list(vault.list_properties_of_secret_versions("a"))) == 2


def test_unknown_names_and_versions_are_not_found(vault: SecretClient) -> None:
    with pytest.raises(ResourceNotFoundError, match="SecretNotFound"):
        vault.get_secret("a")
    vault.set_secret("a", "v")
    with pytest.raises(ResourceNotFoundError):
        vault.get_secret("a", "0" * 32)


def test_a_disabled_version_cannot_be_read_but_mended(vault: SecretClient) -> None:
    version = vault.set_secret("a", "v").properties.version
    assert version is not None
    vault.update_secret_properties("a", version, enabled=False)

    with pytest.raises(HttpResponseError) as caught:
        vault.get_secret("a")

    assert caught.value.status_code == 403
    assert inner_code(caught.value) == "SecretDisabled"
    vault.update_secret_properties("a", version, enabled=True)
    assert vault.get_secret("a").value == "v"


def test_lists_come_in_pages_without_values(vault: SecretClient) -> None:
    for number in range(30):
        vault.set_secret(f"s{number:02}", "v")

    names = [found.name for found in vault.list_properties_of_secrets()]

    assert names == [f"s{number:02}" for number in range(30)]


def test_a_deleted_name_is_taken_until_it_is_recovered(vault: SecretClient) -> None:
    vault.set_secret("a", "v1")
    deleted = vault.begin_delete_secret("a").result()
    assert deleted.recovery_id is not None

    with pytest.raises(ResourceNotFoundError):
        vault.get_secret("a")
    with pytest.raises(ResourceExistsError) as caught:
        vault.set_secret("a", "v2")
    assert inner_code(caught.value) == "ObjectIsDeletedButRecoverable"

    vault.begin_recover_deleted_secret("a").wait()
    assert vault.get_secret("a").value == "v1"


def test_a_purged_name_is_free_again(vault: SecretClient) -> None:
    first = vault.set_secret("a", "v1").properties.version
    vault.begin_delete_secret("a").wait()
    vault.purge_deleted_secret("a")

    vault.set_secret("a", "v2")

    assert list(vault.list_deleted_secrets()) == []
    with pytest.raises(ResourceNotFoundError):
        vault.get_secret("a", first)


def test_deletions_and_recoveries_take_their_time(
    state: SimulatorState, vault: SecretClient
) -> None:
    set_options(state, vault_deletion_seconds=60, vault_recovery_seconds=60)
    vault.set_secret("a", "v")
    vault.begin_delete_secret("a")

    with pytest.raises(ResourceNotFoundError):
        vault.get_deleted_secret("a")
    with pytest.raises(ResourceExistsError) as deleting:
        vault.set_secret("a", "v")
    state.clock.advance(61)
    vault.begin_recover_deleted_secret("a")
    with pytest.raises(ResourceExistsError) as recovering:
        vault.set_secret("a", "v")
    state.clock.advance(61)

    assert inner_code(deleting.value) == "ObjectIsBeingDeleted"
    assert inner_code(recovering.value) == "ObjectIsBeingRecovered"
    assert vault.get_secret("a").value == "v"


def test_a_deleted_secret_is_gone_after_ninety_days(
    state: SimulatorState, vault: SecretClient
) -> None:
    # The SDK keeps its token by real time, so this one has to outlast the jump.
    state.identity.options = state.identity.options.changed({"identity_token_seconds": 1e8})
    vault.set_secret("a", "v")
    vault.begin_delete_secret("a").wait()

    state.clock.advance(91 * 24 * 3600)

    assert list(vault.list_deleted_secrets()) == []
    vault.set_secret("a", "new")


def test_purge_protection_forbids_purging(state: SimulatorState, vault: SecretClient) -> None:
    set_options(state, vault_purge_protection=True)
    vault.set_secret("a", "v")
    vault.begin_delete_secret("a").wait()

    with pytest.raises(HttpResponseError) as caught:
        vault.purge_deleted_secret("a")

    assert caught.value.status_code == 403


def test_a_missing_right_is_forbidden(state: SimulatorState, vault: SecretClient) -> None:
    set_options(state, vault_denied=["delete", "purge"])
    vault.set_secret("a", "v")

    with pytest.raises(HttpResponseError) as caught:
        vault.begin_delete_secret("a")

    assert caught.value.status_code == 403
    assert inner_code(caught.value) == "ForbiddenByRbac"


@pytest.mark.parametrize(
    ("name", "value", "more"),
    [
        pytest.param("a", "x" * 25_601, {}, id="value-too-long"),
        pytest.param("a_b", "x", {}, id="name"),
        pytest.param("a" * 128, "x", {}, id="name-too-long"),
        pytest.param("a", "x", {"content_type": "y" * 256}, id="content-type"),
        pytest.param("a", "x", {"tags": {str(n): "" for n in range(16)}}, id="tags"),
        pytest.param("a", "x", {"tags": {"k": "v" * 257}}, id="tag-too-long"),
    ],
)
def test_limits_are_enforced(
    vault: SecretClient, name: str, value: str, more: dict[str, Any]
) -> None:
    with pytest.raises(HttpResponseError, match="BadParameter"):
        vault.set_secret(name, value, **more)


def test_the_longest_value_fits(vault: SecretClient) -> None:
    vault.set_secret("a", "x" * 25_600)


def test_too_many_requests_are_throttled_without_retry_after(
    state: SimulatorState, vault: SecretClient
) -> None:
    set_options(state, vault_requests_per_10s=2)
    vault.set_secret("a", "v")
    vault.get_secret("a")

    with pytest.raises(HttpResponseError, match="Throttled") as caught:
        vault.get_secret("a")

    response: Any = caught.value.response
    assert "Retry-After" not in response.headers
    state.clock.advance(11)
    vault.get_secret("a")


def test_a_request_without_a_token_is_challenged(
    simulator: Simulator, http: requests.Session
) -> None:
    stack = simulator.stack()

    response = http.get(f"{stack['vault_url']}/secrets/a/", params=VERSION)

    assert response.status_code == 401
    assert response.json()["error"]["message"].startswith("AKV10000")
    assert response.headers["WWW-Authenticate"] == (
        f'Bearer authorization="{simulator.urls.https}/{stack["tenant_id"]}", '
        'resource="https://vault.azure.net"'
    )


def test_a_token_for_another_service_is_refused(
    simulator: Simulator, state: SimulatorState, http: requests.Session
) -> None:
    headers = vault_token(state, GRAPH_AUDIENCE)

    response = http.get(f"{simulator.urls.vault}/secrets/a", params=VERSION, headers=headers)

    assert response.status_code == 401
    assert response.json()["error"]["message"].startswith("AKV10022")


def test_an_expired_token_is_refused(
    simulator: Simulator, state: SimulatorState, http: requests.Session
) -> None:
    headers = vault_token(state)
    state.clock.advance(61)

    response = http.get(f"{simulator.urls.vault}/secrets/a", params=VERSION, headers=headers)

    assert response.status_code == 401


@pytest.mark.parametrize("query", [{}, {"api-version": "1999-01-01"}])
def test_a_known_api_version_is_mandatory(
    simulator: Simulator, state: SimulatorState, http: requests.Session, query: dict[str, str]
) -> None:
    response = http.get(f"{simulator.urls.vault}/secrets", params=query, headers=vault_token(state))

    assert (response.status_code, response.json()["error"]["code"]) == (400, "BadParameter")


def test_a_body_that_is_no_json_is_refused(
    simulator: Simulator, state: SimulatorState, http: requests.Session
) -> None:
    response = http.put(
        f"{simulator.urls.vault}/secrets/a",
        b"{",
        params=VERSION,
        headers=vault_token(state),
    )

    assert response.status_code == 400


def test_a_second_refusal_of_a_token_is_an_authentication_error(
    state: SimulatorState, vault: SecretClient
) -> None:
    vault.set_secret("a", "v")
    state.tokens.reset()

    with pytest.raises(ClientAuthenticationError):
        vault.get_secret("a")


def test_faults_have_key_vaults_shape(
    simulator: Simulator, http: requests.Session, vault: SecretClient
) -> None:
    vault.set_secret("a", "v")
    rule = {
        "where": "key_vault.get_secret",
        "status": 403,
        "code": "Forbidden/ForbiddenByFirewall",
    }
    http.post(f"{simulator.urls.control}/faults", json=rule)

    with pytest.raises(HttpResponseError) as caught:
        vault.get_secret("a")

    assert inner_code(caught.value) == "ForbiddenByFirewall"
