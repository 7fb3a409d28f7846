"""The app's user-assigned managed identity, as App Service and Functions offer it.

https://learn.microsoft.com/azure/app-service/overview-managed-identity
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from local.simulator.directory import TENANT_ID
from local.simulator.entra.tokens import (
    EXCHANGE_AUDIENCE,
    GRAPH_AUDIENCE,
    VAULT_AUDIENCE,
    AccessTokens,
    Claims,
)
from local.simulator.identity.errors import (
    NoResource,
    UnclearIdentity,
    UnknownIdentity,
    UnknownResource,
    UnknownVersion,
    WrongHeader,
)
from local.simulator.options import Options

API_VERSION = "2019-08-01"
RESOURCES = frozenset(
    {
        VAULT_AUDIENCE,
        GRAPH_AUDIENCE,
        EXCHANGE_AUDIENCE,
        "https://storage.azure.com",
        "https://management.azure.com",
    }
)


@dataclass(frozen=True)
class IdentityOptions(Options):
    """Switches of the managed identity."""

    identity_token_seconds: float = 24 * 3600.0
    """A managed identity's token is valid for a day, by the computer's clock."""
    identity_assigned: bool = True
    """False: no such identity is assigned to the app."""
    identity_must_be_named: bool = False
    """A request that names no identity is refused, as if several were assigned."""
    identity_app_roles: Sequence[str] = ()
    """Application permissions of Graph that the identity has, such as Mail.Send. They count in the
    next token: the real platform keeps a token for up to a day
    (https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/managed-identity-best-practice-recommendations)."""


class IdentityState:
    """One user-assigned identity, and the secret header that protects the endpoint."""

    client_id = "7d1f0c52-2f4b-4f0e-8f55-0c9b6a1d2e33"
    principal_id = "b6e7a9c0-13d4-4c58-9a7e-5f2d8c4b1a66"
    resource_id = (
        "/subscriptions/5c0d3b1e-7a42-4f19-8e60-1b2c3d4e5f60/resourcegroups/rg-postroom/providers/"
        "Microsoft.ManagedIdentity/userAssignedIdentities/id-postroom"
    )
    header = "SIMIDENTITY-3b1d8a52e6c94f07"

    def __init__(self, tokens: AccessTokens) -> None:
        self._tokens = tokens
        self.reset()

    def reset(self) -> None:
        """Default switches; the identity itself never changes."""
        self.options = IdentityOptions()

    def check(self, header: str | None, api_version: str | None) -> None:
        """Refuse a request without the right header. Raises IdentityError."""
        if header != self.header:
            raise WrongHeader
        if api_version != API_VERSION:
            raise UnknownVersion

    def token_for(self, query: Mapping[str, str]) -> tuple[str, Claims]:
        """A token for `resource`, as the identity that the query names. Raises IdentityError."""
        resource = query.get("resource", "").rstrip("/")
        if not resource:
            raise NoResource
        self._check_identity(query)
        if resource not in RESOURCES:
            raise UnknownResource(
                f"AADSTS500011: The resource principal named {resource} was not found in the "
                "tenant named contoso.com."
            )
        roles = self.options.identity_app_roles if resource == GRAPH_AUDIENCE else ()
        claims = Claims(
            audience=resource,
            tenant_id=TENANT_ID,
            object_id=self.principal_id,
            client_id=self.client_id,
            # azure-identity caches it by the computer's clock.
            expires_at=time.time() + self.options.identity_token_seconds,
            roles=frozenset(roles),
            by_real_time=True,
        )
        return self._tokens.issue(claims), claims

    def _check_identity(self, query: Mapping[str, str]) -> None:
        names = {
            "client_id": self.client_id,
            "object_id": self.principal_id,
            "mi_res_id": self.resource_id,
        }
        given = {name: query[name].lower() for name in names if query.get(name)}
        if not given and self.options.identity_must_be_named:
            raise UnclearIdentity
        wrong = any(value != names[name].lower() for name, value in given.items())
        if wrong or not self.options.identity_assigned:
            raise UnknownIdentity
