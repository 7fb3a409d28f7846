"""A certificate as Key Vault would make it: RSA, self-signed, with an exportable key."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
)
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates
from cryptography.x509.oid import NameOID

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
PKCS12 = "application/x-pkcs12"


def new_key() -> rsa.RSAPrivateKey:
    """A new key of 2048 bits, as the vault's default policy makes it."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def self_signed(key: Key, name: str = "postroom", days: int = 365) -> x509.Certificate:
    """A certificate that is valid since an hour ago."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=days))
        .sign(key, hashes.SHA256())
    )


def public_part(certificate: x509.Certificate) -> str:
    """The part that is registered with the app, in PEM."""
    return certificate.public_bytes(Encoding.PEM).decode()


def archive(
    key: Key,
    certificate: x509.Certificate,
    encryption: KeySerializationEncryption | None = None,
) -> str:
    """PKCS #12 in base64, as the value of the vault's secret is."""
    content = serialize_key_and_certificates(
        b"postroom", key, certificate, None, encryption or NoEncryption()
    )
    return base64.b64encode(content).decode()
