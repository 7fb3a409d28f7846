from __future__ import annotations

import pytest

from shared.adapters.vault_reading import refused, resource_of


@pytest.mark.parametrize(
    ("vault", "resource"),
    [
        ("https://postroom.vault.azure.net/", "https://vault.azure.net"),
        ("https://postroom.vault.usgovcloudapi.net", "https://vault.usgovcloudapi.net"),
        ("https://postroom.vault.azure.cn", "https://vault.azure.cn"),
    ],
)
def test_a_token_is_asked_for_the_vaults_of_its_cloud(vault: str, resource: str) -> None:
    assert resource_of(vault) == resource


def test_only_known_reasons_are_named() -> None:
    assert "(ForbiddenByRbac)" in str(refused(403, "ForbiddenByRbac"))
    assert "made up" not in str(refused(403, "made up"))
    assert "managed identity" in str(refused(401, ""))
