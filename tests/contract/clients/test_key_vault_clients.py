"""One call of each client of Key Vault: a secret is set and read by its newest version."""

from __future__ import annotations

from pathlib import Path

import pytest
from azure.core.exceptions import ResourceExistsError
from azure.keyvault.secrets import SecretClient

from local.simulator.server import Simulator
from tests.contract.clients.entra_programs import SECRETS_NODE, Programs
from tests.contract.simulator.conftest import (  # noqa: F401 - fixtures of these tests too
    running_simulator,
    signer,
    simulator,
    vault,
)
from tests.contract.simulator.signer import Signer


def test_azure_keyvault_secrets_sets_reads_and_backs_up(
    vault: SecretClient,  # noqa: F811
) -> None:
    made = vault.set_secret("postroom-a", "v1")

    backup = vault.backup_secret("postroom-a")

    assert vault.get_secret("postroom-a").properties.version == made.properties.version
    assert isinstance(backup, bytes)
    with pytest.raises(ResourceExistsError, match="conflict restoring"):
        vault.restore_secret_backup(backup)


def test_keyvault_secrets_for_node_sets_and_reads(
    simulator: Simulator,  # noqa: F811
    signer: Signer,  # noqa: F811
    tmp_path: Path,
) -> None:
    answer = Programs(simulator, signer, tmp_path).run(SECRETS_NODE, "read")

    assert answer == {"value": "v1", "same": True}
