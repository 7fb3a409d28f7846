"""The addresses of the running simulator; known once its ports are bound."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

LOOPBACK_NAMES = ("localhost", "127.0.0.1")


@dataclass(frozen=True)
class Urls:
    """Plain http for browsers and tools, https for the SDKs, which require it."""

    http: str = "http://localhost"
    https: str = "https://localhost"

    def called(self, base_url: str) -> Urls:
        """The same services under the name in `base_url`, by which a request came.

        The pages of `localhost` are on plain http, so that browsers show no certificate warning;
        those of any other name are on https.
        """
        came = urlsplit(base_url)
        name = (came.hostname or "localhost").lower()
        if name in LOOPBACK_NAMES:
            return Urls(_renamed(self.http, name), _renamed(self.https, name))
        if came.scheme == "https":
            return Urls(f"https://{came.netloc.lower()}", f"https://{came.netloc.lower()}")
        # Behind a proxy that ends TLS, Host has no port; else it has that of plain http.
        secure = f"https://{name}" if came.port is None else _renamed(self.https, name)
        return Urls(secure, secure)

    @property
    def name(self) -> str:
        """The name of the host, without a port."""
        return urlsplit(self.https).hostname or ""

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
        """`iss` of v2 tokens. Those of v1 have another one: `version.V1`."""
        return f"{self.https}/{tenant}/v2.0"


def _renamed(url: str, name: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=f"{name}:{parts.port}" if parts.port else name).geturl()
