"""A certificate of Key Vault as the app's proof: Postroom signs with its key; the key is never
sent.

Key Vault keeps a certificate with its private key as a secret of the same name if the certificate's
policy lets the key be exported.
https://learn.microsoft.com/azure/key-vault/certificates/about-certificates
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from shared.adapters.key_vault.credential import VaultCredential, shown
from shared.discreet import Discreet
from shared.errors import CredentialRefused
from shared.services.sign_in.ports import SecretVersion, StoredSecret

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
    from cryptography.x509 import Certificate

CLIENT_CERTIFICATE = "postroom-client-certificate"


class ClientCertificate(VaultCredential):
    """A certificate whose public part is registered with the app."""

    kind = "certificate"
    secret_name = CLIENT_CERTIFICATE
    # The registration does not know it, it has expired, or its signature is not accepted.
    turned_around = frozenset(
        {"AADSTS700027", "AADSTS50012", "AADSTS50013", "AADSTS7000215", "AADSTS7000222"}
    )

    def _for_msal(self, stored: StoredSecret) -> object:
        # MSAL then signs with PS256 and names the certificate by x5t#S256.
        # https://learn.microsoft.com/entra/identity-platform/certificate-credentials
        pair = read(stored)
        return {"private_key": pair.private_key, "public_certificate": pair.certificate}

    def _expiry(self, version: SecretVersion) -> datetime | None:
        """The expiry in the certificate; the vault's date if the certificate cannot be used."""
        stored = self._vault.get_version(self.secret_name, version.version)
        try:
            return read(stored).expires_at if stored is not None else version.expires_at
        except CredentialRefused:
            return version.expires_at

    def _missing(self) -> CredentialRefused:
        return CredentialRefused(
            "no_client_certificate",
            f"The certificate is missing: create {CLIENT_CERTIFICATE} among the certificates of Key "
            "Vault and register its public part with the app.",
        )


class KeyPair(Discreet, frozen=True):
    """A certificate and its private key, in PEM."""

    unshown: ClassVar = frozenset({"private_key"})

    private_key: str
    certificate: str
    expires_at: datetime


def read(stored: StoredSecret) -> KeyPair:
    """The key pair in a secret's value: PKCS #12 in base64, or PEM.

    Raises CredentialRefused, which says what is wrong and does not quote the value.
    """
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    # The content type alone does not decide: a secret that was stored by hand may have none.
    in_pem = "-----BEGIN" in stored.value
    with _unusable_otherwise(stored):
        key, certificates = _of_pem(stored.value) if in_pem else _of_pkcs12(stored.value)
    if key is None:
        raise _unusable(stored, "it has no private key: the policy must make the key exportable")
    if not isinstance(key, RSAPrivateKey):
        raise _unusable(stored, "its key is not RSA, and Entra takes no other")
    public = key.public_key()
    certificate = next((one for one in certificates if one.public_key() == public), None)
    if certificate is None:
        raise _unusable(stored, "no certificate in it belongs to the private key")
    return KeyPair(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        certificate.public_bytes(Encoding.PEM).decode(),
        certificate.not_valid_after_utc,
    )


def _of_pem(value: str) -> tuple[PrivateKeyTypes | None, list[Certificate]]:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from cryptography.x509 import load_pem_x509_certificates

    data = value.encode()
    key = load_pem_private_key(data, None) if "PRIVATE KEY-----" in value else None
    return key, load_pem_x509_certificates(data)


def _of_pkcs12(value: str) -> tuple[PrivateKeyTypes | None, list[Certificate]]:
    from cryptography.hazmat.primitives.serialization.pkcs12 import load_pkcs12

    # The vault writes it without a password.
    found = load_pkcs12(base64.b64decode(value, validate=True), None)
    own = [found.cert] if found.cert is not None else []
    return found.key, [one.certificate for one in (*own, *found.additional_certs)]


@contextmanager
def _unusable_otherwise(stored: StoredSecret) -> Iterator[None]:
    """Turn the errors of the readers into CredentialRefused: they may quote the secret, so they are
    dropped."""
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        yield
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _unusable(
            stored, "it is neither PKCS #12 without a password nor PEM with a plain private key"
        ) from None


def _unusable(stored: StoredSecret, why: str) -> CredentialRefused:
    return CredentialRefused(
        "unusable_certificate",
        f"Version {shown(stored.version)} of {CLIENT_CERTIFICATE} in Key Vault cannot be used: {why}.",
    )
