"""The app registration: redirect URIs, secrets, certificates, federated credentials.

https://learn.microsoft.com/entra/identity-platform/certificate-credentials
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import jwt
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

from local.simulator.clock import Clock
from local.simulator.directory import TENANT_ID
from local.simulator.entra.errors import EntraError
from local.simulator.entra.keys import b64url
from local.simulator.entra.tokens import (
    EXCHANGE_AUDIENCE,
    PREFIX,
    AccessTokens,
    ExpiredToken,
    TokenProblem,
)

CLIENT_ID = "1c0ffee5-70d4-4b6a-8d5f-2e9a7b3c6d48"
CLIENT_SECRET = "SIMSECRET~p0stroom.Local_Only-7Qx2"  # noqa: S105 - made up, and good nowhere else
JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass
class ClientSecret:
    """A password of the application; `expires_at` by the simulator's clock."""

    value: str
    expires_at: float


class Application:
    """The one registration that the simulated tenant has."""

    tenant_id = TENANT_ID
    client_id = CLIENT_ID
    name = "Postroom"

    def __init__(self, clock: Clock, tokens: AccessTokens) -> None:
        self._clock = clock
        self._tokens = tokens
        self.reset()

    def reset(self) -> None:
        """One secret, good for a year, and no certificate."""
        self.secrets = [ClientSecret(CLIENT_SECRET, self._clock.time() + 365 * 24 * 3600)]
        self.certificates: list[x509.Certificate] = []

    # Credentials, as an administrator manages them

    def newest_secret(self) -> str:
        """The secret that was added last; empty where there is none."""
        return self.secrets[-1].value if self.secrets else ""

    def add_secret(self, value: str, expires_in_seconds: float) -> None:
        """One more secret; those before it stay good."""
        self.remove_secret(value)
        self.secrets.append(ClientSecret(value, self._clock.time() + expires_in_seconds))

    def expire_secret(self, value: str) -> bool:
        """End a secret now (7000222 from here on); False where it is unknown."""
        found = [secret for secret in self.secrets if secret.value == value]
        for secret in found:
            secret.expires_at = self._clock.time()
        return bool(found)

    def remove_secret(self, value: str) -> bool:
        """Delete a secret (7000215 from here on); False where it is unknown."""
        kept = [secret for secret in self.secrets if secret.value != value]
        removed = len(kept) < len(self.secrets)
        self.secrets = kept
        return removed

    def add_certificate(self, pem: str) -> None:
        """Register a certificate. Raises ValueError where it is none."""
        self.certificates.append(x509.load_pem_x509_certificate(pem.encode()))

    # Credentials, as the token endpoint sees them

    def authenticate(
        self, form: Mapping[str, str], audiences: Sequence[str], federated: Sequence[str]
    ) -> bool:
        """Whether the client proved who it is; False where it did not try. Raises EntraError.

        `audiences` are the token endpoint's names; `federated` the object ids that may stand in.
        """
        if form.get("client_secret"):
            self._check_secret(form["client_secret"])
            return True
        assertion = form.get("client_assertion")
        if not assertion:
            return False
        if form.get("client_assertion_type") != JWT_BEARER:
            raise EntraError(900144, parameter="client_assertion_type")
        if assertion.startswith(PREFIX):
            self._check_federated(assertion, federated)
        else:
            self._check_assertion(assertion, audiences)
        return True

    def _check_secret(self, value: str) -> None:
        for secret in self.secrets:
            if hmac.compare_digest(secret.value.encode(), value.encode()):
                if secret.expires_at <= self._clock.time():
                    raise EntraError(7000222, client_id=self.client_id)
                return
        raise EntraError(7000215, client_id=self.client_id)

    def _check_federated(self, assertion: str, subjects: Sequence[str]) -> None:
        """A managed identity's token in place of a secret."""
        try:
            claims = self._tokens.find(assertion)
        except ExpiredToken as error:
            raise EntraError(700024) from error
        except TokenProblem as error:
            raise EntraError(50013) from error
        if not claims.app_only:
            raise EntraError(700229)
        # The subject is compared case-sensitively; audience and tenant must match too.
        matches = claims.audience == EXCHANGE_AUDIENCE and claims.tenant_id == self.tenant_id
        if not matches or claims.object_id not in subjects:
            raise EntraError(700213, subject=claims.object_id)

    def _check_assertion(self, assertion: str, audiences: Sequence[str]) -> None:
        """A JWT signed with a registered certificate's key."""
        try:
            header = jwt.get_unverified_header(assertion)
        except jwt.PyJWTError as error:
            raise EntraError(50012) from error
        certificate = self._certificate(header)
        key = certificate.public_key()
        if not isinstance(key, rsa.RSAPublicKey):
            raise EntraError(700027)
        try:
            claims = jwt.decode(
                assertion,
                key,
                algorithms=["RS256", "PS256"],
                audience=list(audiences),
                # The simulator's clock decides, below.
                options={"verify_exp": False, "verify_nbf": False, "verify_iat": False},
            )
        except jwt.PyJWTError as error:
            raise EntraError(50013) from error
        self._check_times_and_names(claims)

    def _check_times_and_names(self, claims: Mapping[str, Any]) -> None:
        if claims.get("iss") != self.client_id or claims.get("sub") != self.client_id:
            raise EntraError(50012)
        now = self._clock.time()
        if not claims.get("nbf", now) - 300 <= now < claims.get("exp", 0) + 300:
            raise EntraError(700024)

    def _certificate(self, header: Mapping[str, Any]) -> x509.Certificate:
        # MSAL leaves the base64 padding in, which Entra does not mind.
        sha1, sha256 = (str(header.get(name, "")).rstrip("=") for name in ("x5t", "x5t#S256"))
        for certificate in self.certificates:
            der = certificate.public_bytes(Encoding.DER)
            by_sha1 = b64url(hashlib.sha1(der, usedforsecurity=False).digest())
            by_sha256 = b64url(hashlib.sha256(der).digest())
            if sha1 == by_sha1 or sha256 == by_sha256:
                return certificate
        raise EntraError(700027)


def redirect_matches(registered: Sequence[str], asked: str) -> bool:
    """Exact, but for the port of http://localhost
    (https://learn.microsoft.com/entra/identity-platform/reply-url)."""
    return asked in registered or _portless(asked) in {_portless(uri) for uri in registered}


def _portless(uri: str) -> str:
    parts = urlsplit(uri)
    if parts.scheme == "http" and parts.hostname == "localhost" and "@" not in parts.netloc:
        return parts._replace(netloc="localhost").geturl()
    return uri
