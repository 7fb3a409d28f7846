"""Where the running simulator can be reached; known once its ports are bound."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Urls:
    """Plain http for browsers and tools, https for the SDKs, which insist on it."""

    http: str = "http://localhost"
    https: str = "https://localhost"

    @property
    def graph(self) -> str:
        """Graph's base, version included."""
        return f"{self.https}/v1.0"

    @property
    def vault(self) -> str:
        """The one vault there is."""
        return self.https

    @property
    def control(self) -> str:
        """Reset, seed, faults, clock, what was delivered."""
        return f"{self.http}/control"

    @property
    def inbox(self) -> str:
        """The page that shows arrived mail."""
        return f"{self.http}/inbox"

    @property
    def identity_endpoint(self) -> str:
        """What App Service puts into IDENTITY_ENDPOINT."""
        return f"{self.http}/identity/token"

    def authority(self, tenant: str) -> str:
        """What MSAL is given."""
        return f"{self.https}/{tenant}"

    def issuer(self, tenant: str) -> str:
        """`iss` of v2 tokens."""
        return f"{self.https}/{tenant}/v2.0"
