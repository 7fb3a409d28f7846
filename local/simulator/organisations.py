"""The organisations (tenants): their domains, the state of the application in each, their rules.

The application is registered in Contoso. Every other organisation has its own consent, roles and
assignment, as its service principal is its own
(https://learn.microsoft.com/entra/identity-platform/app-objects-and-service-principals).
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from local.simulator.directory import FABRIKAM_DOMAIN, FABRIKAM_ID, TENANT_DOMAIN, TENANT_ID

CONDITIONAL_ACCESS = {
    "block": 53003,
    "compliant_device": 53000,
    "joined_device": 53001,
    "managed_device": 530003,
    "device_authentication": 50097,
    "register_security_info": 53004,
    "security_policy": 530032,
    "security_defaults": 530035,
}
"""Requirements of a policy that a server, or this browser, cannot meet, each with its AADSTS
number."""
CONSENT_POLICIES = ("anyone", "microsoft_managed", "admin_only")


class BadOrganisation(ValueError):
    """There is no such field, or the value does not fit; the message says which."""


@dataclass
class Organisation:
    """One tenant. None means the value in the options of Entra and Graph."""

    id: str
    name: str
    domains: Sequence[str]
    """Verified domains, the main one first."""
    application_present: bool = False
    """Whether anybody here has consented to the application, which makes its service principal."""
    application_enabled: bool = True
    """False blocks the application here (7000112)."""
    app_roles: Sequence[str] | None = None
    """Application permissions that an administrator here has granted."""
    app_only_mailboxes: Sequence[str] | None = None
    """Addresses that application tokens may use; None means all (RBAC for Applications)."""
    assignment_required: bool | None = None
    consent_policy: str | None = None
    mfa: bool = False
    """Everybody needs multi-factor authentication here."""
    mfa_days: float | None = None
    """How long a second factor counts before 50078; None means for ever."""
    sign_in_frequency_hours: float | None = None
    """The number of hours after which people must sign in again (70043)."""
    conditional_access: str | None = None
    """One of CONDITIONAL_ACCESS, for everybody."""
    block_device_code: bool = False
    """A policy on authentication flows blocks device code (53003)."""
    guests_in: bool = True
    """False: the cross-tenant access settings refuse guests (500213)."""
    guests_out: bool = True
    """False: the cross-tenant access settings do not let this organisation's users be guests
    (500212)."""

    def change(self, document: Mapping[str, Any]) -> None:
        """Set fields by name. Raises BadOrganisation, and then nothing is changed."""
        kinds = {field.name: str(field.type) for field in fields(self) if field.name != "id"}
        for name, value in document.items():
            if name not in kinds:
                raise BadOrganisation(f"unknown field {name}; there are {', '.join(sorted(kinds))}")
            _check(name, kinds[name], value)
        for name, value in document.items():
            setattr(self, name, value)


class Organisations:
    """All tenants of work accounts. They are found by id and by each verified domain."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self.reset()

    def reset(self) -> None:
        """Contoso, where the application is registered, and Fabrikam, which does not have it."""
        with self._lock:
            self._known = {each.id: each for each in _seed()}

    def find(self, name: str | None) -> Organisation | None:
        """The organisation with this id or domain, in upper or lower case."""
        wanted = (name or "").lower()
        with self._lock:
            if wanted in self._known:
                return self._known[wanted]
            return next((one for one in self._known.values() if wanted in one.domains), None)

    def of_address(self, address: str) -> Organisation | None:
        """The organisation with the domain of an address."""
        return self.find(address.rpartition("@")[2])

    def add(self, domain: str) -> Organisation:
        """A new organisation, whose id is derived from its domain."""
        identifier = str(uuid.uuid5(uuid.NAMESPACE_DNS, domain.lower()))
        label = domain.partition(".")[0]
        made = Organisation(identifier, label.title(), _domains(domain.lower()), app_roles=())
        with self._lock:
            self._known[identifier] = made
        return made

    def __iter__(self) -> Iterator[Organisation]:
        with self._lock:
            return iter(list(self._known.values()))


def _seed() -> list[Organisation]:
    return [
        Organisation(TENANT_ID, "Contoso", _domains(TENANT_DOMAIN), application_present=True),
        Organisation(FABRIKAM_ID, "Fabrikam", _domains(FABRIKAM_DOMAIN), app_roles=()),
    ]


def _domains(domain: str) -> list[str]:
    return [domain, f"{domain.partition('.')[0]}.onmicrosoft.com"]


def _check(name: str, kind: str, value: Any) -> None:
    if value is None:
        if "None" not in kind:
            raise BadOrganisation(f"{name} is needed")
    elif "bool" in kind:
        _demand(isinstance(value, bool), f"{name} is true or false")
    elif "float" in kind:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        _demand(number and value >= 0, f"{name} is a number, not below 0")
    elif "Sequence" in kind:
        texts = isinstance(value, list) and all(isinstance(one, str) for one in value)
        _demand(texts, f"{name} is a list of texts")
    else:
        _demand(isinstance(value, str), f"{name} is a text")
        choices = {"conditional_access": CONDITIONAL_ACCESS, "consent_policy": CONSENT_POLICIES}
        if name in choices:
            one_of = ", ".join(choices[name])
            _demand(value in choices[name], f"{name} is one of {one_of}, or null")


def _demand(holds: bool, otherwise: str) -> None:
    if not holds:
        raise BadOrganisation(otherwise)
