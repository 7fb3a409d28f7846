"""Backups of secrets: one text with all versions of a secret, which only the vault can read.

https://learn.microsoft.com/azure/key-vault/general/backup
"""

from __future__ import annotations

import base64
import json
import os
from dataclasses import asdict

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from local.simulator.key_vault.errors import BadParameter
from local.simulator.key_vault.secret import Secret, Version

MOST_VERSIONS = 500
KIND = b"AzureKeyVaultSecretBackupV1.microsoft.com"
"""The beginning of a real backup, behind a byte with its length."""
NONCE_BYTES = 12


class Backups:
    """Seals and opens backups. They outlive the secret and a reset, but not the simulator."""

    def __init__(self) -> None:
        self._key = AESGCM(AESGCM.generate_key(256))

    def seal(self, secret: Secret) -> str:
        """The backup of a secret. Raises BadParameter if it has too many versions."""
        if len(secret.versions) > MOST_VERSIONS:
            raise BadParameter(
                f"Secret {secret.name} has more than {MOST_VERSIONS} versions and cannot be backed up."
            )
        versions = [asdict(version) for version in secret.versions]
        content = json.dumps({"name": secret.name, "versions": versions}).encode()
        nonce = os.urandom(NONCE_BYTES)
        sealed = bytes([len(KIND)]) + KIND + nonce + self._key.encrypt(nonce, content, KIND)
        return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def open(self, text: object) -> Secret:
        """The secret of a backup. Raises BadParameter if it is not one of this vault."""
        head = bytes([len(KIND)]) + KIND
        try:
            sealed = base64.urlsafe_b64decode(_padded(text))
            nonce, content = (
                sealed[len(head) : len(head) + NONCE_BYTES],
                sealed[len(head) + NONCE_BYTES :],
            )
            if not sealed.startswith(head):
                raise ValueError("another kind of backup")
            found = json.loads(self._key.decrypt(nonce, content, KIND))
        except (ValueError, InvalidTag) as error:
            raise BadParameter("Backup blob contains invalid or corrupt version.") from error
        return Secret(found["name"], [Version(**version) for version in found["versions"]])


def _padded(text: object) -> bytes:
    if not isinstance(text, str):
        raise ValueError("a backup is a text")
    return text.encode() + b"=" * (-len(text) % 4)
