"""The two versions of Entra's endpoints, and what differs between them but the form of scopes.

https://learn.microsoft.com/entra/identity-platform/v2-protocols-oidc,
https://learn.microsoft.com/previous-versions/azure/active-directory/azuread-dev/azure-ad-endpoint-comparison
"""

from __future__ import annotations

from dataclasses import dataclass

from local.simulator.urls import Urls

V1_ISSUER = "https://sts.windows.net"
"""Tokens of v1 have this issuer under every name of the sign-in service."""


@dataclass(frozen=True)
class Version:
    """`name` is the claim `ver`; `segment` is the part of the paths that says the version."""

    name: str
    segment: str

    def endpoint(self, name: str) -> str:
        """The path of an OAuth endpoint below the tenant."""
        return f"/oauth2{self.segment}/{name}"

    @property
    def metadata(self) -> str:
        """The path of the metadata below the tenant."""
        return f"{self.segment}/.well-known/openid-configuration"

    @property
    def keys(self) -> str:
        """The path of the signing keys below the tenant."""
        return f"/discovery{self.segment}/keys"

    def issuer(self, urls: Urls, tenant: str) -> str:
        """`iss` of the tokens of a tenant."""
        return urls.issuer(tenant) if self == V2 else f"{V1_ISSUER}/{tenant}/"


V1 = Version("1.0", "")
V2 = Version("2.0", "/v2.0")
