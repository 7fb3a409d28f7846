"""Every operation of the clients of Key Vault's secrets: for Python in each version of the API, and for
Node."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure.identity import ClientSecretCredential
from azure.keyvault.secrets import ApiVersion, SecretClient

from local.simulator.server import Simulator
from tests.contract.clients.entra_programs import SECRETS_NODE, Programs
from tests.contract.simulator.conftest import (  # noqa: F401 - fixtures of these tests too
    control,
    http,
    running_simulator,
    signer,
    simulator,
)
from tests.contract.simulator.person import Control
from tests.contract.simulator.signer import Signer


@pytest.fixture(params=[one.value for one in ApiVersion])
def client(
    request: pytest.FixtureRequest,
    simulator: Simulator,  # noqa: F811
) -> Iterator[SecretClient]:
    """The SDK with a version of the API, and with the application's secret as its credential."""
    stack = simulator.stack()
    with (
        ClientSecretCredential(
            stack["tenant_id"],
            stack["client_id"],
            stack["client_secret"],
            authority=stack["authority_host"],
            disable_instance_discovery=True,
            connection_verify=stack["ca_file"],
        ) as credential,
        SecretClient(
            stack["vault_url"],
            credential,
            api_version=request.param,
            verify_challenge_resource=False,
            connection_verify=stack["ca_file"],
            retry_total=0,
        ) as vault,
    ):
        yield vault


def test_every_operation_of_the_sdk_is_served(
    simulator: Simulator,  # noqa: F811
    control: Control,  # noqa: F811
    client: SecretClient,
) -> None:
    first = client.set_secret("a", "v1", tags={"kind": "x"})
    client.set_secret("a", "v2", content_type="text/plain")
    client.update_secret_properties("a", enabled=True, content_type="text/html")
    names = [one.name for one in client.list_properties_of_secrets(max_page_size=1)]
    versions = list(client.list_properties_of_secret_versions("a", max_page_size=1))
    backup = client.backup_secret("a")
    client.begin_delete_secret("a").wait()
    deleted = [one.name for one in client.list_deleted_secrets()]
    client.begin_recover_deleted_secret("a").wait()
    client.begin_delete_secret("a").wait()
    client.get_deleted_secret("a")
    client.purge_deleted_secret("a")
    restored = client.restore_secret_backup(backup)

    assert (names, deleted, restored.name) == (["a"], ["a"], "a")
    assert len(versions) == 2
    assert client.get_secret("a").value == "v2"
    assert client.get_secret("a", first.properties.version).value == "v1"
    assert control.unsupported() == []


@pytest.mark.parametrize(
    ("call", "code"),
    [
        pytest.param(lambda vault: vault.get_secret("a"), "SecretNotFound", id="unknown"),
        pytest.param(lambda vault: vault.get_secret("a", "latest"), "BadParameter", id="version"),
        pytest.param(lambda vault: vault.set_secret("a_b", "v"), "BadParameter", id="name"),
        pytest.param(
            lambda vault: vault.restore_secret_backup(bytes(4728)), "BadParameter", id="backup"
        ),
        pytest.param(lambda vault: vault.purge_deleted_secret("a"), "SecretNotFound", id="purge"),
    ],
)
def test_the_sdk_reads_each_error(client: SecretClient, call: Any, code: str) -> None:
    with pytest.raises(HttpResponseError) as caught:
        call(client)

    assert caught.value.error is not None
    assert caught.value.error.code == code


def test_every_operation_for_node_is_served(
    simulator: Simulator,  # noqa: F811
    control: Control,  # noqa: F811
    signer: Signer,  # noqa: F811
    tmp_path: Path,
) -> None:
    answer = Programs(simulator, signer, tmp_path).run(SECRETS_NODE, "every-operation")

    assert answer == {"names": ["a"], "versions": 2, "deleted": ["a"], "value": "v2"}
    assert control.unsupported() == []


def test_node_reads_each_error(
    simulator: Simulator,  # noqa: F811
    signer: Signer,  # noqa: F811
    tmp_path: Path,
) -> None:
    answer = Programs(simulator, signer, tmp_path).run(SECRETS_NODE, "errors")

    assert answer == {
        "unknown": {"status": 404, "code": "SecretNotFound"},
        "version": {"status": 400, "code": "BadParameter"},
        "backup": {"status": 400, "code": "BadParameter"},
    }
