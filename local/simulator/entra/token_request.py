"""A request of a program: its form, the endpoint's tenant and version, and the name by which it
came."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from local.simulator.entra.errors import EntraError
from local.simulator.entra.policy import handles_challenges
from local.simulator.entra.tenant import Tenant
from local.simulator.entra.version import V1, V2, Version
from local.simulator.urls import Urls
from local.simulator.wire import Request, query_of

FORM = "application/x-www-form-urlencoded"
LARGEST_FORM = 1024 * 1024
"""Bytes. The simulator's own limit; an assertion is the largest part of a real form."""


@dataclass(frozen=True)
class TokenRequest:
    """What a client sent to the token endpoint or to the device code endpoint."""

    form: Mapping[str, str]
    tenant: Tenant
    urls: Urls
    version: Version = V2

    def needed(self, name: str) -> str:
        """A parameter. Raises EntraError if it is not there or empty."""
        value = self.form.get(name)
        if not value:
            raise EntraError(900144, parameter=name)
        return value

    @property
    def client_info(self) -> bool:
        """Whether the answer says who the account is (`client_info`)."""
        return self.form.get("client_info") == "1"

    @property
    def handles_challenges(self) -> bool:
        """Whether the client handles claims challenges. Raises EntraError."""
        return handles_challenges(self.form.get("claims", ""))

    @property
    def issuer_of(self) -> Callable[[str], str]:
        """`iss` of this version's tokens of a tenant, under the name by which the request came."""
        return lambda tenant_id: self.version.issuer(self.urls, tenant_id)

    @property
    def audiences(self) -> list[str]:
        """The names of this endpoint that a client assertion may be made for."""
        return [
            f"{self.urls.https}/{name}{path}"
            for name in (self.tenant.segment, self.tenant.path)
            for path in (V1.endpoint("token"), V2.endpoint("token"), "/v2.0")
        ]

    def check_resource(self) -> None:
        """v2 takes no `resource`. Raises EntraError."""
        if self.version == V2 and "resource" in self.form:
            raise EntraError(901002)


def form_of(request: Request) -> dict[str, str]:
    """The form in a request's body; empty if the body is something else. Raises EntraError."""
    kind = request.headers.get("content-type", FORM).partition(";")[0].strip().lower()
    if kind != FORM:
        return {}
    if len(request.body) > LARGEST_FORM:
        raise EntraError(9002313)
    values, repeated = query_of(request.body.decode("utf-8", "replace"))
    check_repeated(repeated)
    return values


def check_repeated(names: frozenset[str]) -> None:
    """Raises EntraError if a parameter is there more than once (RFC 6749 3.1 and 3.2)."""
    if names:
        raise EntraError(9000411, parameter=min(names))


def served_by(version: Version, tenant: Tenant) -> Tenant:
    """The tenant as an endpoint of this version serves it: v1 serves work accounts alone. Raises
    EntraError."""
    if version == V2:
        return tenant
    if tenant.is_personal:
        raise EntraError(90027)
    return Tenant(tenant.segment, tenant.id, work_only=True)
