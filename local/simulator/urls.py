"""The addresses of the running simulator; known once its ports are bound."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Urls:
    """Plain http for browsers and tools, https for the SDKs, which require it."""

    http: str = "http://localhost"
    https: str = "https://localhost"

    @property
    def graph(self) -> str:
        """Graph's base URL, with the version."""
        return f"{self.https}/v1.0"

    @property
    def vault(self) -> str:
        """The URL of the vault."""
        return self.https

    @property
    def control(self) -> str:
        """The URL of the control surface: reset, seed, faults, clock, deliveries."""
        return f"{self.http}/control"

    @property
    def inbox(self) -> str:
        """The page that shows arrived mail."""
        return f"{self.http}/inbox"

    @property
    def identity_endpoint(self) -> str:
        """The value of IDENTITY_ENDPOINT on App Service."""
        return f"{self.http}/identity/token"

    def authority(self, tenant: str) -> str:
        """The authority for MSAL."""
        return f"{self.https}/{tenant}"

    def issuer(self, tenant: str) -> str:
        """`iss` of v2 tokens."""
        return f"{self.https}/{tenant}/v2.0"
