from __future__ import annotations

import pytest

from shared.adapters.http.client import Answer
from shared.adapters.key_vault.reading import _read, refused, resource_of
from shared.errors import NotSent


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


@pytest.mark.parametrize(
    "content",
    [
        b'{"error": {"code": "Oops"}}',
        b'{"id": "https://v/secrets/a/1"}',
        b'{"id": "https://v/secrets/a/1", "value": "\xff"}',
        b'{"id": "https://v/secrets/a/1", "value": "v", "attributes": {"created": 99999999999999999}}',
    ],
)
def test_a_success_that_is_no_secret_is_not_taken_for_an_empty_one(content: bytes) -> None:
    with pytest.raises(NotSent, match="unreadable"):
        _read(Answer(200, {}, content))
