"""The signing key, its JWKS entry, and id tokens signed with it.

https://learn.microsoft.com/entra/identity-platform/id-token-claims-reference
"""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID


def b64url(raw: bytes) -> str:
    """Base64url without padding, as JOSE writes it."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unsigned(claims: dict[str, Any]) -> str:
    """A JWT over the claims without a signature (RFC 7519 6)."""
    return jwt.encode(claims, "", algorithm="none")


class SigningKey:
    """One RSA key in a self-signed certificate, as Entra publishes its keys."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._certificate = _self_signed(self._key)
        self.kid = b64url(hashlib.sha1(self._der, usedforsecurity=False).digest())

    @property
    def _der(self) -> bytes:
        return self._certificate.public_bytes(serialization.Encoding.DER)

    def jwk(self, issuer: str) -> dict[str, Any]:
        """The key as `/discovery/v2.0/keys` lists it."""
        numbers = self._key.public_key().public_numbers()
        return {
            "kty": "RSA",
            "use": "sig",
            "kid": self.kid,
            "x5t": self.kid,
            "n": b64url(numbers.n.to_bytes(256, "big")),
            "e": b64url(numbers.e.to_bytes(3, "big")),
            "x5c": [base64.b64encode(self._der).decode()],
            "issuer": issuer,
        }

    def sign(self, claims: dict[str, Any]) -> str:
        """A JWT over the claims, RS256."""
        return jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": self.kid})


def _self_signed(key: rsa.RSAPrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "simulated Entra signing key")])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=365))
        .sign(key, hashes.SHA256())
    )
