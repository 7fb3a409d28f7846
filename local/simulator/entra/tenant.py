"""The first path segment, which names the directory.

https://learn.microsoft.com/entra/identity-platform/v2-protocols-oidc
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass

from local.simulator.directory import PERSONAL_TENANT_ID
from local.simulator.entra.errors import EntraError
from local.simulator.organisations import Organisations

_DOMAIN = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")
_NOT_ONE = {
    PERSONAL_TENANT_ID: PERSONAL_TENANT_ID,
    "consumers": PERSONAL_TENANT_ID,
    "common": None,
    "organizations": None,
}


@dataclass(frozen=True)
class Tenant:
    """`id` is None for `common` and `organizations`, which name many directories."""

    segment: str
    id: str | None
    work_only: bool = False
    """Whether its endpoint serves work accounts alone, whatever the segment is."""

    @property
    def path(self) -> str:
        """The form in metadata: the id if there is one."""
        return self.id or self.segment

    @property
    def issuer_path(self) -> str:
        """The metadata of several tenants contain a template, with literal braces."""
        return self.id or "{tenantid}"

    @property
    def is_personal(self) -> bool:
        """Whether it serves only personal accounts."""
        return self.id == PERSONAL_TENANT_ID

    @property
    def is_one_organisation(self) -> bool:
        """Whether it is an organisation's own endpoint."""
        return self.id is not None and not self.is_personal


def tenant_named(segment: str, organisations: Organisations) -> Tenant:
    """The tenant of a path segment. Raises EntraError 90002 (unknown) or 900023 (malformed)."""
    name = segment.lower()
    if name in _NOT_ONE:
        return Tenant(name, _NOT_ONE[name])
    found = organisations.find(name)
    if found is None:
        raise EntraError(90002 if _well_formed(name) else 900023, tenant=segment)
    return Tenant(name, found.id)


def _well_formed(name: str) -> bool:
    try:
        uuid.UUID(name)
    except ValueError:
        return _DOMAIN.fullmatch(name) is not None
    return True
