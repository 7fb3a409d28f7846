"""One call of the client of Key Vault: a secret is set, backed up, and read by its newest version."""

from __future__ import annotations

import pytest
from azure.keyvault.secrets import SecretClient

from tests.contract.simulator.conftest import (  # noqa: F401 - fixtures of these tests too
    running_simulator,
    simulator,
    vault,
)


def test_azure_keyvault_secrets_sets_reads_and_backs_up(
    vault: SecretClient,  # noqa: F811
) -> None:
    made = vault.set_secret("postroom-a", "v1")

    backup = vault.backup_secret("postroom-a")

    assert vault.get_secret("postroom-a").properties.version == made.properties.version
    assert isinstance(backup, bytes)
    with pytest.raises(Exception, match="conflict restoring"):
        vault.restore_secret_backup(backup)
