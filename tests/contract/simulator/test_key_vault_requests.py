"""Key Vault's backups, versions of its API, and the requests that it does not serve."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.keyvault.secrets import ApiVersion, SecretClient

from local.simulator.entra.tokens import GRAPH_AUDIENCE
from local.simulator.key_vault.backup import MOST_VERSIONS
from local.simulator.server import Simulator
from local.simulator.state import SimulatorState
from tests.contract.simulator.person import Control
from tests.contract.simulator.vault_client import inner_code, set_options, vault_token

LATEST = "2026-04-01"


def error_of(answer: requests.Response) -> tuple[int, str, str]:
    """Status, code and message; the shape is checked on the way."""
    document: dict[str, Any] = answer.json()
    assert document.keys() == {"error"}
    return answer.status_code, document["error"]["code"], document["error"]["message"]


# Backups


def test_a_backup_brings_a_secret_back_with_all_its_versions(vault: SecretClient) -> None:
    old = vault.set_secret("a", "v1", tags={"kind": "x"}).properties.version
    assert old is not None
    vault.update_secret_properties("a", old, enabled=False)
    new = vault.set_secret("a", "v2", content_type="text/plain")
    backup = vault.backup_secret("A")
    vault.begin_delete_secret("a").wait()
    vault.purge_deleted_secret("a")

    restored = vault.restore_secret_backup(backup)

    assert (restored.name, restored.version) == ("a", new.properties.version)
    assert vault.get_secret("a").value == "v2"
    assert vault.get_secret("a").properties.created_on == new.properties.created_on
    versions = {one.version: one for one in vault.list_properties_of_secret_versions("a")}
    assert versions.keys() == {old, new.properties.version}
    assert versions[old].enabled is False
    assert versions[old].tags == {"kind": "x"}


def test_a_backup_outlives_the_vault_that_was_emptied(
    simulator: Simulator, vault: SecretClient
) -> None:
    vault.set_secret("a", "v")
    backup = vault.backup_secret("a")
    simulator.state.vault.reset()

    vault.restore_secret_backup(backup)

    assert vault.get_secret("a").value == "v"


def test_a_backup_does_not_show_the_secret(vault: SecretClient) -> None:
    vault.set_secret("postroom-a", "a-secret-value")

    backup = vault.backup_secret("postroom-a")

    assert backup.startswith(b"\x29AzureKeyVaultSecretBackupV1.microsoft.com")
    assert b"a-secret-value" not in backup
    assert b"postroom-a" not in backup


def test_a_name_that_is_in_use_is_not_restored(vault: SecretClient) -> None:
    version = vault.set_secret("a", "v1").properties.version
    backup = vault.backup_secret("a")
    vault.set_secret("a", "v2")

    with pytest.raises(ResourceExistsError, match="There was a conflict restoring") as caught:
        vault.restore_secret_backup(backup)

    assert f"/secrets/a/{version}'" in str(caught.value)
    assert vault.get_secret("a").value == "v2"


def test_the_name_of_a_deleted_secret_is_not_restored(vault: SecretClient) -> None:
    vault.set_secret("a", "v1")
    backup = vault.backup_secret("a")
    vault.begin_delete_secret("a").wait()

    with pytest.raises(ResourceExistsError) as caught:
        vault.restore_secret_backup(backup)

    assert inner_code(caught.value) == "ObjectIsDeletedButRecoverable"


def changed(backup: bytes) -> bytes:
    return backup[:-1] + bytes([backup[-1] ^ 1])


@pytest.mark.parametrize("spoil", [lambda _: bytes(4728), lambda _: b"", lambda b: b[:60], changed])
def test_a_backup_that_is_none_is_refused(vault: SecretClient, spoil: Any) -> None:
    vault.set_secret("a", "v1")
    backup = spoil(vault.backup_secret("a"))

    with pytest.raises(HttpResponseError, match="invalid or corrupt version") as caught:
        vault.restore_secret_backup(backup)

    assert caught.value.status_code == 400


def test_a_secret_that_is_not_there_has_no_backup(vault: SecretClient) -> None:
    with pytest.raises(ResourceNotFoundError):
        vault.backup_secret("a")
    vault.set_secret("a", "v1")
    vault.begin_delete_secret("a").wait()
    with pytest.raises(ResourceNotFoundError):
        vault.backup_secret("a")


def test_a_secret_with_too_many_versions_has_no_backup(
    state: SimulatorState, vault: SecretClient
) -> None:
    for _ in range(MOST_VERSIONS):
        state.vault.set("a", {"value": "v"})
    vault.backup_secret("a")
    state.vault.set("a", {"value": "v"})

    with pytest.raises(HttpResponseError, match="BadParameter"):
        vault.backup_secret("a")


@pytest.mark.parametrize("action", ["backup", "restore"])
def test_backups_need_rights_of_their_own(
    state: SimulatorState, vault: SecretClient, action: str
) -> None:
    vault.set_secret("a", "v1")
    backup = vault.backup_secret("a")
    set_options(state, vault_denied=[action])

    with pytest.raises(HttpResponseError) as caught:
        vault.restore_secret_backup(backup) if action == "restore" else vault.backup_secret("a")

    assert inner_code(caught.value) == "ForbiddenByRbac"
    assert f"vaults/secrets/{action}/action" in str(caught.value)


# Versions of the API


@pytest.mark.parametrize("version", [one.value for one in ApiVersion])
def test_every_version_that_the_sdk_knows_is_taken(
    simulator: Simulator, state: SimulatorState, http: requests.Session, version: str
) -> None:
    url, headers = f"{simulator.urls.vault}/secrets/a", vault_token(state)

    made = http.put(url, json={"value": "v"}, params={"api-version": version}, headers=headers)

    assert made.status_code == 200
    has_days = version not in ("7.0", "2016-10-01")
    assert ("recoverableDays" in made.json()["attributes"]) == has_days


def test_an_unknown_version_is_told_the_latest(
    simulator: Simulator, state: SimulatorState, http: requests.Session
) -> None:
    """The text is that of Azure/azure-sdk-for-python#28595."""
    url, headers = f"{simulator.urls.vault}/secrets", vault_token(state)

    answer = http.get(url, params={"api-version": "1.0"}, headers=headers)

    assert error_of(answer) == (
        400,
        "BadParameter",
        "The specified version (1.0) is not recognized. Consider using the latest supported version "
        f"({LATEST}).",
    )


# Requests that are not served


@pytest.mark.parametrize(
    ("method", "path", "operation"),
    [
        ("GET", "/secrets/a/latest", "latest"),
        ("PATCH", "/secrets/a/latest", "latest"),
        ("DELETE", "/deletedsecrets/a/purge", "purge"),
        ("POST", "/secrets/a", ""),
        ("GET", "/secrets/a/backup", "backup"),
        ("DELETE", "/secrets", ""),
    ],
)
def test_an_operation_that_there_is_not_is_named(
    simulator: Simulator,
    state: SimulatorState,
    http: requests.Session,
    method: str,
    path: str,
    operation: str,
) -> None:
    answer = http.request(
        method,
        simulator.urls.vault + path,
        json={},
        params={"api-version": LATEST},
        headers=vault_token(state),
    )

    words = f"Method {method} does not allow operation '{operation}'"
    assert error_of(answer) == (400, "BadParameter", words)


@pytest.mark.parametrize(
    "path", ["keys", "keys/a/sign", "certificates/a", "deletedkeys", "storage"]
)
def test_other_objects_are_forbidden_and_logged(
    simulator: Simulator,
    state: SimulatorState,
    control: Control,
    http: requests.Session,
    path: str,
) -> None:
    url = f"{simulator.urls.vault}/{path}"

    challenged = http.get(url, params={"api-version": LATEST})
    answer = http.get(url, params={"api-version": LATEST}, headers=vault_token(state))

    assert challenged.status_code == 401
    assert error_of(answer)[:2] == (403, "Forbidden")
    assert control.unsupported() == ["keys, certificates and storage accounts"]


def test_the_secret_of_a_certificate_has_no_other_form(
    simulator: Simulator, state: SimulatorState, control: Control, http: requests.Session
) -> None:
    headers = vault_token(state)
    url = f"{simulator.urls.vault}/secrets/a"
    http.put(url, json={"value": "v"}, params={"api-version": LATEST}, headers=headers)

    query = {"api-version": LATEST, "outContentType": "application/x-pem-file"}
    answer = http.get(url, params=query, headers=headers)

    assert error_of(answer)[:2] == (400, "BadParameter")
    assert control.unsupported() == ["outContentType"]


def test_a_path_may_begin_with_an_empty_segment(
    simulator: Simulator, state: SimulatorState, http: requests.Session
) -> None:
    """As in the example of Microsoft's page about errors of the vault."""
    url = f"{simulator.urls.vault}//secrets/DatabaseRotatingPassword"

    answer = http.put(
        url, json={"value": "v"}, params={"api-version": "7.0"}, headers=vault_token(state)
    )

    assert answer.status_code == 200
    assert answer.json()["id"].startswith(f"{simulator.urls.vault}/secrets/Database")


def test_a_name_that_is_not_there_has_no_versions(vault: SecretClient) -> None:
    """Azure/azure-powershell#14823."""
    assert list(vault.list_properties_of_secret_versions("a")) == []


@pytest.mark.parametrize("audience", [None, GRAPH_AUDIENCE])
def test_every_answer_has_the_headers_of_the_vault(
    simulator: Simulator, state: SimulatorState, http: requests.Session, audience: str | None
) -> None:
    sent = "6d6a6a5c-35a5-4c6c-9a0b-2f6f3f0d2c11"
    headers = vault_token(state, audience) if audience else vault_token(state)

    answer = http.get(
        f"{simulator.urls.vault}/secrets",
        params={"api-version": LATEST},
        headers={**headers, "x-ms-client-request-id": sent},
    )

    assert answer.headers["x-ms-client-request-id"] == sent
    assert answer.headers["x-ms-request-id"]
    assert answer.headers["Cache-Control"] == "no-cache"
