"""The state of the application in each organisation: its service principal, and who may use it.

Entra's switches apply to organisations without values of their own.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable

from local.simulator.directory import PERSONAL_TENANT_ID, Directory, User
from local.simulator.entra.application import Application
from local.simulator.entra.errors import EntraError
from local.simulator.entra.options import EntraOptions
from local.simulator.entra.policy import Rules
from local.simulator.entra.tenant import Tenant
from local.simulator.organisations import Organisation, Organisations


class ServicePrincipals:
    """Decides which account a person has at an endpoint, and whether the application may serve
    it."""

    def __init__(
        self,
        directory: Directory,
        organisations: Organisations,
        application: Application,
        options: Callable[[], EntraOptions],
    ) -> None:
        self._directory = directory
        self._organisations = organisations
        self._application = application
        self._options = options

    # The application

    def check_client(self, client_id: str | None, tenant: Tenant) -> None:
        """Refuse an unknown application, and one that does not serve this endpoint's accounts."""
        if not client_id:
            raise EntraError(900144, parameter="client_id")
        if client_id.lower() != self._application.client_id:
            raise EntraError(700016, client_id=client_id)
        if self._options().application_disabled:
            raise EntraError(7000112, client_id=client_id)
        self._check_audience(client_id, tenant)
        self._check_enabled(tenant.id)

    def _check_audience(self, client_id: str, tenant: Tenant) -> None:
        audience = self._options().sign_in_audience
        if audience == "AzureADMyOrg" and tenant.id != self._application.tenant_id:
            raise EntraError(700016 if tenant.is_one_organisation else 50194, client_id=client_id)
        if audience == "AzureADMultipleOrgs" and tenant.is_personal:
            raise EntraError(700016, client_id=client_id)
        if audience == "PersonalMicrosoftAccount" and tenant.is_one_organisation:
            raise EntraError(700016, client_id=client_id)

    def _check_enabled(self, tenant_id: str | None) -> None:
        organisation = self._organisations.find(tenant_id)
        if organisation is not None and not organisation.application_enabled:
            raise EntraError(7000112, client_id=self._application.client_id)

    def app_only(self, tenant: Tenant) -> tuple[str, frozenset[str]]:
        """Object id and roles of an app-only token. Raises EntraError."""
        organisation = self._organisations.find(tenant.id)
        if organisation is None:
            raise EntraError(50059)
        if not organisation.application_present:
            raise EntraError(700016, client_id=self._application.client_id)
        roles = organisation.app_roles
        granted = self._options().app_roles if roles is None else roles
        name = f"{self._application.client_id}/{organisation.id}"
        return str(uuid.uuid5(uuid.NAMESPACE_OID, name)), frozenset(granted)

    def consented(self, tenant_id: str, *, with_roles: bool = False) -> None:
        """Somebody consented: the application gets a service principal here, with its roles if an
        administrator consented to all registered permissions."""
        organisation = self._organisations.find(tenant_id)
        if organisation is not None:
            organisation.application_present = True
            if with_roles:
                organisation.app_roles = list(self._options().registered_app_roles)

    def consent_policy(self, tenant_id: str) -> str:
        """Which permissions the users of this organisation may consent to themselves."""
        organisation = self._organisations.find(tenant_id)
        own = organisation.consent_policy if organisation else None
        return self._options().consent_policy if own is None else own

    # The people

    def admit(self, found: User | None, address: str, tenant: Tenant) -> Rules:
        """The account of a person at this endpoint, with its rules. Raises EntraError."""
        home = self._directory.home_of(found) if found else None
        if home is None:
            raise EntraError(50034, address=address)
        user = self._account_at(home, tenant)
        if not home.can_sign_in or not user.enabled:
            raise EntraError(50057)
        organisation = self._organisations.find(user.tenant_id)
        self._check_enabled(user.tenant_id)
        if self._must_be_assigned(organisation) and not (user.admin or user.assigned):
            raise EntraError(50105, client_id=self._application.client_id)
        return Rules(user, home, organisation)

    def _account_at(self, home: User, tenant: Tenant) -> User:
        self._check_kind(home, tenant)
        if tenant.id in (None, home.tenant_id):
            return home
        guest = self._directory.guest(home.object_id, tenant.id or "")
        there = self._organisations.find(tenant.id)
        if guest is None:
            # "… so the user can't satisfy the MFA requirements for the tenant"
            raise EntraError(90072 if there and there.mfa else 50020, address=home.address)
        here = self._organisations.find(home.tenant_id)
        if here is not None and not here.guests_out:
            raise EntraError(500212)
        if there is not None and not there.guests_in:
            raise EntraError(500213)
        return guest

    def _check_kind(self, home: User, tenant: Tenant) -> None:
        personal = home.tenant_id == PERSONAL_TENANT_ID
        audience = self._options().sign_in_audience
        wrong = (
            tenant.is_personal and not personal,
            (tenant.segment == "organizations" or tenant.work_only) and personal,
            tenant.segment == "common" and personal and audience == "AzureADMultipleOrgs",
            tenant.segment == "common" and not personal and audience == "PersonalMicrosoftAccount",
        )
        if any(wrong):
            raise EntraError(500208, address=home.address)

    def _must_be_assigned(self, organisation: Organisation | None) -> bool:
        if organisation is None:
            return False
        own = organisation.assignment_required
        return self._options().assignment_required if own is None else own
