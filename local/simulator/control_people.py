"""The part of the control surface for people, mailboxes and organisations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from local.simulator.control_request import Unusable, object_of
from local.simulator.directory import PERSONAL_TENANT_ID, TENANT_ID, User, new_guest, new_user
from local.simulator.organisations import CONDITIONAL_ACCESS, Organisation
from local.simulator.state import SimulatorState
from local.simulator.wire import Request

_FLAGS = (
    "admin",
    "enabled",
    "has_mailbox",
    "assigned",
    "locked",
    "password_expired",
    "mfa",
    "mfa_registered",
    "suspended",
    "copy_sent_as",
    "copy_sent_on_behalf",
)
_SETS = ("aliases", "send_as", "send_on_behalf", "full_access")
_OTHERS = ("address", "name", "kind", "mail", "conditional_access", "guest_of")
_SHOWN = ("object_id", "tenant_id", "tenant")
"""Fields that a list shows and that cannot be changed: they may be sent back with the others."""


class ControlPeople:
    """One method for each call; each returns the document of the answer."""

    def __init__(self, state: SimulatorState) -> None:
        self._state = state

    def list_users(self, request: Request) -> Any:
        """All users of the directory."""
        return {"mailboxes": [self._described(user) for user in self._state.directory]}

    def put_user(self, request: Request) -> Any:
        """Add a user, or change the one with this address."""
        document = object_of(request)
        address = document.get("address")
        if not isinstance(address, str) or "@" not in address:
            raise Unusable("address is missing")
        directory = self._state.directory
        found = directory.find(address)
        _check(document, found)
        organisations = [self._organisation(name) for name in document.get("guest_of", [])]
        user = found or self._new(address, document)
        _change(user, document)
        directory.put(user)
        for organisation in organisations:
            if directory.guest(user.object_id, organisation.id) is None:
                directory.put(new_guest(user, organisation.id, organisation.domains[-1]))
        return self._described(user)

    def remove_user(self, request: Request) -> Any:
        """Delete a user: a refresh then answers 50034."""
        user = named_user(self._state, object_of(request))
        self._state.directory.remove(user.address)
        return {"removed": user.address}

    def list_tenants(self, request: Request) -> Any:
        """Every organisation, with its state of the application and its rules."""
        return {"tenants": [asdict(one) for one in self._state.organisations]}

    def put_tenant(self, request: Request) -> Any:
        """Change the organisation that `tenant` names by id or domain, or add one by its domain."""
        document = object_of(request)
        name = document.pop("tenant", None)
        if not isinstance(name, str) or not name:
            raise Unusable("tenant is missing: an id or a domain")
        found = self._state.organisations.find(name)
        if found is None and "." not in name:
            raise Unusable(f"no tenant is called {name}; a new one is named by its domain")
        organisation = found or self._state.organisations.add(name)
        organisation.change(document)
        if document.get("application_present") is False:
            self._forget_consents(organisation)
        return asdict(organisation)

    def _forget_consents(self, organisation: Organisation) -> None:
        """Remove the consents of all its users together with its service principal."""
        grants = self._state.entra.grants
        grants.withdraw_consent(organisation.id)
        for user in self._state.directory:
            if user.tenant_id == organisation.id:
                grants.withdraw_consent(user.object_id)

    def _organisation(self, name: str) -> Organisation:
        found = self._state.organisations.find(name)
        if found is None:
            raise Unusable(f"no tenant is called {name}")
        return found

    def _new(self, address: str, document: Mapping[str, Any]) -> User:
        there = self._state.organisations.of_address(address)
        return new_user(
            address,
            document.get("name", ""),
            document.get("kind", "work"),
            has_mailbox=document.get("has_mailbox", True),
            tenant_id=there.id if there else TENANT_ID,
        )

    def _described(self, user: User) -> dict[str, Any]:
        there = self._state.organisations.find(user.tenant_id)
        return {
            "address": user.address,
            "name": user.name,
            "kind": user.kind,
            "object_id": user.object_id,
            "tenant_id": user.tenant_id,
            "tenant": "consumers" if user.tenant_id == PERSONAL_TENANT_ID else there and there.name,
            "mail": user.mail,
            "conditional_access": user.conditional_access,
            **{name: getattr(user, name) for name in _FLAGS},
            **{name: sorted(getattr(user, name)) for name in _SETS},
        }


def named_user(state: SimulatorState, document: Mapping[str, Any]) -> User:
    """The user that `mailbox` or `address` names. Raises Unusable."""
    address = document.get("mailbox") or document.get("address") or ""
    user = state.directory.find(address)
    if user is None:
        raise Unusable("mailbox names nobody")
    return user


def _check(document: Mapping[str, Any], found: User | None) -> None:
    unknown = sorted(set(document) - {*_FLAGS, *_SETS, *_OTHERS, *_SHOWN})
    if unknown:
        raise Unusable(f"unknown field {unknown[0]}")
    for name in _FLAGS:
        if not isinstance(document.get(name, False), bool):
            raise Unusable(f"{name} is true or false")
    for name in (*_SETS, "guest_of"):
        if not isinstance(document.get(name, []), list):
            raise Unusable(f"{name} is a list")
    if document.get("conditional_access") not in (None, *CONDITIONAL_ACCESS):
        raise Unusable(f"conditional_access is one of {', '.join(CONDITIONAL_ACCESS)}, or null")
    kinds = ("work", "personal", "shared", *([found.kind] if found else []))
    if document.get("kind", "work") not in kinds:
        raise Unusable("kind is work, personal or shared; a guest comes of guest_of")


def _change(user: User, document: Mapping[str, Any]) -> None:
    for name in ("name", "mail", "conditional_access", *_FLAGS):
        if name in document:
            setattr(user, name, document[name])
    for name in _SETS:
        if name in document:
            setattr(user, name, set(document[name]))
