"""The credentials of the application: secrets, certificates, federated credentials.

https://learn.microsoft.com/entra/identity-platform/how-to-add-credentials
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from local.simulator.entra.keys import b64url
from local.simulator.entra.tokens import EXCHANGE_AUDIENCE

HINT = 13
"""How many characters of a secret are shown."""


@dataclass
class ClientSecret:
    """A password of the application; `expires_at` by the simulator's clock."""

    value: str
    expires_at: float
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    """The Secret ID of the portal, which people often paste instead of the value."""

    @property
    def hint(self) -> str:
        """The beginning of the secret, as lists show it."""
        return self.value[:HINT]

    def is_named(self, name: str) -> bool:
        """Whether `name` is the value, the hint or the id of this secret."""
        return name in (self.value, self.hint, self.id)

    def describe(self) -> dict[str, Any]:
        """As the portal lists it."""
        return {"hint": self.hint, "id": self.id, "expires_at": self.expires_at}


class Certificate:
    """A certificate of the application, whose key signs assertions."""

    def __init__(self, pem: str) -> None:
        """Raises ValueError if the text is not a certificate in PEM."""
        self.certificate = x509.load_pem_x509_certificate(pem.encode())

    @cached_property
    def _der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @cached_property
    def thumbprint(self) -> str:
        """SHA-1 in hexadecimal, as the portal shows it."""
        return hashlib.sha1(self._der, usedforsecurity=False).hexdigest().upper()

    @property
    def expires_at(self) -> float:
        """Its `notAfter`, in seconds since the epoch."""
        return self.certificate.not_valid_after_utc.timestamp()

    def signed(self, header: Mapping[str, Any]) -> bool:
        """Whether an assertion's header names this certificate."""
        # MSAL leaves the base64 padding in, and Entra accepts that.
        sha1, sha256 = (str(header.get(name, "")).rstrip("=") for name in ("x5t", "x5t#S256"))
        by_sha1 = b64url(hashlib.sha1(self._der, usedforsecurity=False).digest())
        return sha1 == by_sha1 or sha256 == b64url(hashlib.sha256(self._der).digest())

    def describe(self) -> dict[str, Any]:
        """As the portal lists it."""
        return {"thumbprint": self.thumbprint, "expires_at": self.expires_at}


@dataclass(frozen=True)
class FederatedCredential:
    """An identity whose token is accepted in place of a secret. All three values are compared
    case-sensitively."""

    name: str
    subject: str
    """Object id of the managed identity (not its client id)."""
    issuer: str | None = None
    """None is the application's own tenant."""
    audience: str = EXCHANGE_AUDIENCE
    works_from: float = 0.0
    """By the simulator's clock: a new credential takes some time to become valid everywhere."""

    def describe(self) -> dict[str, Any]:
        """As the portal lists it."""
        return {
            "name": self.name,
            "subject": self.subject,
            "issuer": self.issuer,
            "audience": self.audience,
            "works_from": self.works_from,
        }
