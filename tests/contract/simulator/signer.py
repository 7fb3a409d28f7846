"""A certificate of the application whose key signs assertions, whatever they claim."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from local.certificate import new_key, public_part, self_signed


@dataclass(frozen=True)
class Signer:
    """A key and its certificate. It writes JWTs by hand, as no library writes wrong ones."""

    key: rsa.RSAPrivateKey
    certificate: x509.Certificate

    @cached_property
    def pem(self) -> str:
        """What is registered."""
        return public_part(self.certificate)

    @cached_property
    def thumbprint(self) -> str:
        """`x5t` of the header."""
        der = self.certificate.public_bytes(Encoding.DER)
        return b64url(hashlib.sha1(der, usedforsecurity=False).digest())

    def sign(self, claims: Mapping[str, Any] | str, **header: Any) -> str:
        """An assertion over claims, or over a text in their place."""
        payload = claims if isinstance(claims, str) else json.dumps(claims)
        head = {"alg": "RS256", "typ": "JWT", "x5t": self.thumbprint, **header}
        signing = f"{b64url(json.dumps(head).encode())}.{b64url(payload.encode())}"
        signature = self.key.sign(signing.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signing}.{b64url(signature)}"


def new_signer() -> Signer:
    """With a certificate that is good for a year."""
    key = new_key()
    return Signer(key, self_signed(key))


def claims_for(client_id: str, audience: str, now: float) -> dict[str, Any]:
    """What MSAL claims: good from now on for ten minutes."""
    return {
        "aud": audience,
        "iss": client_id,
        "sub": client_id,
        "jti": "6d6a6a5c-35a5-4c6c-9a0b-2f6f3f0d2c11",
        "iat": int(now),
        "nbf": int(now),
        "exp": int(now) + 600,
    }


def b64url(raw: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
