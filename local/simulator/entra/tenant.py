"""The first path segment: which directory, and whose accounts it lets in.

https://learn.microsoft.com/entra/identity-platform/v2-protocols-oidc
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass

from local.simulator.directory import PERSONAL_TENANT_ID, TENANT_DOMAIN, TENANT_ID, User
from local.simulator.entra.errors import EntraError

_DOMAIN = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")
_IDS = {
    TENANT_ID: TENANT_ID,
    TENANT_DOMAIN: TENANT_ID,
    PERSONAL_TENANT_ID: PERSONAL_TENANT_ID,
    "consumers": PERSONAL_TENANT_ID,
    "common": None,
    "organizations": None,
}


@dataclass(frozen=True)
class Tenant:
    """`id` is None for `common` and `organizations`, which stand for many."""

    segment: str
    id: str | None

    @property
    def path(self) -> str:
        """How metadata spell it: by id where there is one."""
        return self.id or self.segment

    @property
    def issuer_path(self) -> str:
        """Many-tenant metadata carry a template, with literal braces."""
        return self.id or "{tenantid}"

    def check(self, user: User) -> None:
        """Refuse an account that this endpoint does not serve."""
        if self.id is not None and self.id != PERSONAL_TENANT_ID and user.tenant_id != self.id:
            raise EntraError(50020, address=user.address)
        personal = user.kind == "personal"
        wants_personal = self.id == PERSONAL_TENANT_ID
        if (self.segment == "organizations" and personal) or (wants_personal and not personal):
            raise EntraError(500208, address=user.address)


def tenant_named(segment: str) -> Tenant:
    """The tenant of a path segment. Raises EntraError 90002 (unknown) or 900023 (malformed)."""
    name = segment.lower()
    if name in _IDS:
        return Tenant(name, _IDS[name])
    raise EntraError(90002 if _well_formed(name) else 900023, tenant=segment)


def _well_formed(name: str) -> bool:
    try:
        uuid.UUID(name)
    except ValueError:
        return _DOMAIN.fullmatch(name) is not None
    return True
