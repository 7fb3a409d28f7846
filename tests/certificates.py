"""Certificates as Key Vault makes them, with their keys, for tests."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from local import certificate as making

PKCS12 = making.PKCS12
PEM = "application/x-pem-file"


@dataclass(frozen=True)
class Made:
    """A self-signed certificate with its key."""

    key: making.Key
    certificate: x509.Certificate

    @property
    def public(self) -> str:
        """What is registered with the app."""
        return making.public_part(self.certificate)

    @property
    def pem(self) -> str:
        return self.key_pem + self.public

    @property
    def key_pem(self) -> str:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

    def pkcs12(self, password: bytes | None = None) -> str:
        """In base64, as the vault's secret holds it."""
        encryption = BestAvailableEncryption(password) if password else NoEncryption()
        return making.archive(self.key, self.certificate, encryption)


@cache
def made(name: str = "postroom", *, days: int = 365, curve: bool = False) -> Made:
    """The same one for the same arguments: RSA keys take a while to make."""
    key: making.Key = ec.generate_private_key(ec.SECP256R1()) if curve else making.new_key()
    return Made(key, making.self_signed(key, name, days))
