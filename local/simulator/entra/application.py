"""The app registration, and the check of its credentials at the token endpoint.

https://learn.microsoft.com/entra/identity-platform/certificate-credentials
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from local.simulator.clock import Clock
from local.simulator.directory import TENANT_ID
from local.simulator.entra.assertion import read_assertion
from local.simulator.entra.credentials import Certificate, ClientSecret, FederatedCredential
from local.simulator.entra.errors import EntraError
from local.simulator.entra.tokens import (
    PREFIX,
    AccessTokens,
    ExpiredToken,
    TokenProblem,
)
from local.simulator.identity.state import IdentityState

CLIENT_ID = "1c0ffee5-70d4-4b6a-8d5f-2e9a7b3c6d48"
CLIENT_SECRET = "SIMSECRET~p0stroom.Local_Only-7Qx2"  # noqa: S105 - made up, and good nowhere else
JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
YEAR = 365 * 24 * 3600.0


class UnclearName(ValueError):
    """No credential has this name, or several have it."""


@dataclass(frozen=True)
class Endpoint:
    """The names that an assertion is compared with."""

    audiences: Sequence[str]
    """The names of the token endpoint."""
    issuer_of: Callable[[str], str]
    """`iss` of the tokens of a tenant, by its id."""


class Application:
    """The only registration of the simulated tenant."""

    tenant_id = TENANT_ID
    client_id = CLIENT_ID
    name = "Postroom"

    def __init__(self, clock: Clock, tokens: AccessTokens) -> None:
        self._clock = clock
        self._tokens = tokens
        self.reset()

    def reset(self) -> None:
        """One secret, valid for a year; no certificate; the managed identity's token."""
        self.secrets = [ClientSecret(CLIENT_SECRET, self._clock.time() + YEAR)]
        self.certificates: list[Certificate] = []
        self.federated = [FederatedCredential("managed-identity", IdentityState.principal_id)]

    # Credentials, for the administrator

    def newest_secret(self) -> str:
        """The secret that was added last; empty if there is none."""
        return self.secrets[-1].value if self.secrets else ""

    def add_secret(self, value: str, expires_in_seconds: float) -> None:
        """Add a secret; earlier ones stay valid."""
        self.secrets = [secret for secret in self.secrets if secret.value != value]
        self.secrets.append(ClientSecret(value, self._clock.time() + expires_in_seconds))

    def find_secret(self, name: str) -> ClientSecret:
        """By value, hint or id. Raises UnclearName."""
        found = [secret for secret in self.secrets if secret.is_named(name)]
        exact = [secret for secret in found if secret.value == name]
        if len(exact or found) != 1:
            several = f"several client secrets begin with {name}: name one by its id"
            raise UnclearName(several if found else "no such client secret")
        return (exact or found)[0]

    def expire_secret(self, name: str) -> None:
        """End a secret now: 7000222 from now on. Raises UnclearName."""
        self.find_secret(name).expires_at = self._clock.time()

    def remove_secret(self, name: str) -> None:
        """Delete a secret: 7000215 from now on. Raises UnclearName."""
        self.secrets.remove(self.find_secret(name))

    def add_certificate(self, pem: str) -> None:
        """Register a certificate. Raises ValueError if the text is not one."""
        self.certificates.append(Certificate(pem))

    def remove_certificate(self, thumbprint: str) -> None:
        """Delete a certificate: 700027 from now on. Raises UnclearName."""
        kept = [one for one in self.certificates if one.thumbprint != thumbprint.upper()]
        if len(kept) == len(self.certificates):
            raise UnclearName("no certificate has this thumbprint")
        self.certificates = kept

    def add_federated(self, credential: FederatedCredential) -> None:
        """Add a federated credential, or replace the one of that name."""
        kept = [one for one in self.federated if one.name != credential.name]
        self.federated = [*kept, credential]

    def remove_federated(self, name: str) -> None:
        """Delete a federated credential. Raises UnclearName."""
        kept = [one for one in self.federated if one.name != name]
        if len(kept) == len(self.federated):
            raise UnclearName("no federated credential has this name")
        self.federated = kept

    # Credentials, at the token endpoint

    def authenticate(
        self, form: Mapping[str, str], endpoint: Endpoint, subjects: Sequence[str] | None
    ) -> bool:
        """Whether the client proved its identity; False if it sent no credential. Raises
        EntraError.

        `subjects`, if given, replace those of the federated credentials.
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
            self._check_federated(assertion, endpoint, subjects)
            return True
        read = read_assertion(assertion)
        read.check_signature(self.certificates, self._clock.time())
        read.check_claims(self.client_id, endpoint.audiences, self._clock.time())
        return True

    def _check_secret(self, value: str) -> None:
        for secret in self.secrets:
            if hmac.compare_digest(secret.value.encode(), value.encode()):
                if secret.expires_at <= self._clock.time():
                    raise EntraError(7000222, client_id=self.client_id)
                return
        raise EntraError(7000215, client_id=self.client_id)

    def _check_federated(
        self, assertion: str, endpoint: Endpoint, subjects: Sequence[str] | None
    ) -> None:
        """A managed identity's token in place of a secret."""
        try:
            claims = self._tokens.find(assertion)
        except ExpiredToken as error:
            raise EntraError(700024) from error
        except TokenProblem as error:
            raise EntraError(50013) from error
        if not claims.app_only:
            raise EntraError(700229)
        now, issuer = self._clock.time(), endpoint.issuer_of(claims.tenant_id)
        own = endpoint.issuer_of(self.tenant_id)
        known = [
            one
            for one in self.federated
            if one.works_from <= now
            and (one.issuer or own, one.audience) == (issuer, claims.audience)
        ]
        if not known:
            raise EntraError(70021)
        if claims.object_id not in (subjects if subjects is not None else _subjects(known)):
            raise EntraError(700213, subject=claims.object_id)


def _subjects(credentials: Sequence[FederatedCredential]) -> set[str]:
    return {one.subject for one in credentials}


def redirect_matches(registered: Sequence[str], asked: str) -> bool:
    """An exact comparison, except for the port of http://localhost
    (https://learn.microsoft.com/entra/identity-platform/reply-url)."""
    return asked in registered or _portless(asked) in {_portless(uri) for uri in registered}


def _portless(uri: str) -> str:
    try:
        parts = urlsplit(uri)
    except ValueError:
        # Not a URI: it matches nothing but itself.
        return uri
    if parts.scheme == "http" and parts.hostname == "localhost" and "@" not in parts.netloc:
        return parts._replace(netloc="localhost").geturl()
    return uri
