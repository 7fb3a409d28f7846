"""Client assertions: JWTs that are signed with the key of a registered certificate.

Everything in an assertion is of the client's making, so its form and the types of its claims are
checked first (50027), then its signature, then what it says.

https://learn.microsoft.com/entra/identity-platform/certificate-credentials
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from local.simulator.entra.credentials import Certificate
from local.simulator.entra.errors import EntraError

LONGEST = 64 * 1024
"""Characters. Certificates with their chain in `x5c` are some kilobytes; the limit is the
simulator's own."""
SKEW_SECONDS = 300
LATEST = 1e15
"""Seconds since 1970. NaN and infinity, which Python's JSON reader takes, are not below it."""
ALGORITHMS = ("RS256", "PS256")
TYPES = ("jwt", "http://openid.net/specs/jwt/1.0")
_NUMBER = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,9})?")


@dataclass(frozen=True)
class Assertion:
    """A well-formed assertion, whose signature and claims are not checked yet."""

    text: str
    header: Mapping[str, Any]
    issuer: str
    subject: str
    audience: str
    expires_at: float
    not_before: float | None

    def check_signature(self, certificates: Sequence[Certificate], now: float) -> None:
        """Raises EntraError unless one of these certificates signed it."""
        certificate = next((one for one in certificates if one.signed(self.header)), None)
        if certificate is None:
            raise EntraError(700027, reason="The key was not found.")
        if certificate.expires_at <= now:
            raise EntraError(700027, reason="The key used is expired.")
        key = certificate.certificate.public_key()
        if not isinstance(key, rsa.RSAPublicKey) or self.header.get("alg") not in ALGORITHMS:
            raise EntraError(5002730)
        try:
            jwt.PyJWS().decode(self.text, key, algorithms=list(ALGORITHMS))
        except jwt.PyJWTError as error:
            reason = "The provided signature value did not match the expected signature value."
            raise EntraError(700027, reason=reason) from error

    def check_claims(self, client_id: str, audiences: Sequence[str], now: float) -> None:
        """Raises EntraError unless this client made it, for this endpoint and for this time."""
        if self.subject != self.issuer:
            raise EntraError(50048)
        if self.issuer.lower() != client_id:
            raise EntraError(700021)
        if self.audience.lower() not in {one.lower() for one in audiences}:
            raise EntraError(700023)
        starts = now if self.not_before is None else self.not_before
        if not starts - SKEW_SECONDS <= now < self.expires_at + SKEW_SECONDS:
            raise EntraError(700024)


def read_assertion(text: str) -> Assertion:
    """Raises EntraError if the text is not a JWT, or a claim is missing or of another type."""
    if len(text) > LONGEST:
        raise EntraError(50027)
    try:
        parts = jwt.PyJWS().decode_complete(text, options={"verify_signature": False})
        claims = json.loads(parts["payload"], object_pairs_hook=_without_duplicates)
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise EntraError(50027) from error
    if not isinstance(claims, dict):
        raise EntraError(50027)
    header = parts["header"]
    kind = header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.lower() not in TYPES:
        raise EntraError(5002727)
    expires_at = _seconds(claims, "exp")
    if expires_at is None:
        raise EntraError(50027)
    _seconds(claims, "iat")
    if "jti" in claims:
        _text(claims, "jti")
    return Assertion(
        text,
        header,
        issuer=_text(claims, "iss"),
        subject=_text(claims, "sub"),
        audience=_text(claims, "aud"),
        expires_at=expires_at,
        not_before=_seconds(claims, "nbf"),
    )


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a claim is there twice")
    return found


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not value:
        raise EntraError(50027)
    return value


def _seconds(claims: Mapping[str, Any], name: str) -> float | None:
    """A time, as a number or, as MSAL.NET writes it, as a number in a string; None if it is not
    there."""
    if name not in claims:
        return None
    value = claims[name]
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise EntraError(50027)
    if not 0 <= value < LATEST:
        raise EntraError(50027)
    return float(value)
