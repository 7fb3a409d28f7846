"""Writes users as Graph's JSON [res: user]."""

from __future__ import annotations

from typing import Any

from local.simulator.directory import User

DEFAULT = frozenset(
    (
        "businessPhones",
        "displayName",
        "givenName",
        "jobTitle",
        "mail",
        "mobilePhone",
        "officeLocation",
        "preferredLanguage",
        "surname",
        "userPrincipalName",
        "id",
    )
)
"""The properties that an answer has without `$select`."""

EMPTY = (
    "ageGroup",
    "city",
    "companyName",
    "consentProvidedForMinor",
    "country",
    "department",
    "employeeHireDate",
    "employeeId",
    "employeeType",
    "faxNumber",
    "jobTitle",
    "mobilePhone",
    "officeLocation",
    "onPremisesDomainName",
    "onPremisesImmutableId",
    "onPremisesSyncEnabled",
    "postalCode",
    "preferredDataLocation",
    "preferredLanguage",
    "showInAddressList",
    "state",
    "streetAddress",
    "usageLocation",
)
"""Properties that nobody of this directory has."""

NOT_SIMULATED = frozenset(
    (
        "aboutMe",
        "assignedLicenses",
        "assignedPlans",
        "authorizationInfo",
        "birthday",
        "createdDateTime",
        "customSecurityAttributes",
        "deletedDateTime",
        "deviceEnrollmentLimit",
        "employeeOrgData",
        "externalUserState",
        "hireDate",
        "interests",
        "isResourceAccount",
        "lastPasswordChangeDateTime",
        "legalAgeGroupClassification",
        "licenseAssignmentStates",
        "mySite",
        "onPremisesExtensionAttributes",
        "onPremisesLastSyncDateTime",
        "onPremisesSamAccountName",
        "passwordPolicies",
        "passwordProfile",
        "pastProjects",
        "preferredName",
        "provisionedPlans",
        "responsibilities",
        "schools",
        "securityIdentifier",
        "serviceProvisioningErrors",
        "signInActivity",
        "signInSessionsValidFromDateTime",
        "skills",
    )
)


def user_json(user: User) -> dict[str, Any]:
    """All simulated properties."""
    given, _, surname = user.name.partition(" ")
    return {
        **dict.fromkeys(EMPTY),
        "businessPhones": [],
        "displayName": user.name,
        "givenName": given or None,
        "mail": user.mail,
        "surname": surname or None,
        "userPrincipalName": user.address,
        "id": user.object_id,
        "accountEnabled": user.enabled and user.kind != "shared",
        "creationType": "Invitation" if user.kind == "guest" else None,
        "identities": [],
        "imAddresses": [user.mail] if user.mail else [],
        "mailNickname": user.address.partition("@")[0],
        "otherMails": [user.mail] if user.kind == "guest" and user.mail else [],
        "proxyAddresses": proxy_addresses(user),
        "userType": "Guest" if user.kind == "guest" else "Member",
    }


def proxy_addresses(user: User) -> list[str]:
    """The addresses of the mailbox; the primary one is written with `SMTP:`."""
    if user.mail is None:
        return []
    others = sorted(user.addresses - {user.mail.lower()}) if user.kind != "guest" else []
    return [f"SMTP:{user.mail}", *(f"smtp:{one}" for one in others)]
