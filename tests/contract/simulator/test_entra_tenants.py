"""Several organisations: whose accounts an endpoint serves, and what each has of the application."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import jwt
import pytest
import requests

from local.simulator.directory import FABRIKAM_ID, PERSONAL_TENANT_ID, TENANT_ID
from local.simulator.server import Simulator
from local.simulator.state import SimulatorState
from tests.contract.simulator.person import (
    ADMIN,
    BILLING,
    CALLBACK,
    FABRIKAM_ADMIN,
    FABRIKAM_USER,
    GUEST,
    PERSONAL,
    READ_WRITE,
    Control,
    Person,
    TokenEndpoint,
    application,
    authorize_url,
    refused_with,
)

GRAPH_DEFAULT = "https://graph.microsoft.com/.default"
MAIL = {
    "message": {
        "subject": "Hello",
        "body": {"contentType": "text", "content": "x"},
        "toRecipients": [{"emailAddress": {"address": "ada@example.org"}}],
    }
}


def signed_in(
    simulator: Simulator, person: Person, token_endpoint: TokenEndpoint, tenant: str, address: str
) -> dict[str, Any]:
    """The token answer of a sign-in at a tenant's endpoint."""
    code = person.open(authorize_url(simulator, tenant)).sign_in(address)["code"]
    answer: dict[str, Any] = token_endpoint.code(code, tenant, client_info="1").json()
    return answer


def identity(answer: dict[str, Any]) -> dict[str, Any]:
    """The id token's claims; that it is signed is another test's matter."""
    claims: dict[str, Any] = jwt.decode(answer["id_token"], options={"verify_signature": False})
    return claims


def consent_link(simulator: Simulator, tenant: str, scope: str = READ_WRITE) -> str:
    asked = {
        "client_id": simulator.stack()["client_id"],
        "scope": scope,
        "redirect_uri": CALLBACK,
        "state": "s",
    }
    return f"{simulator.urls.http}/{tenant}/v2.0/adminconsent?{urlencode(asked)}"


def send_as_application(
    simulator: Simulator, http: requests.Session, tenant: str, mailbox: str
) -> tuple[int, str]:
    """Status and code of an app-only sendMail with a token of this tenant."""
    app = application(simulator, authority=f"{simulator.urls.https}/{tenant}")
    token = app.acquire_token_for_client([GRAPH_DEFAULT])["access_token"]
    url = f"{simulator.urls.graph}/users/{mailbox}/sendMail"
    answer = http.post(url, json=MAIL, headers={"Authorization": f"Bearer {token}"})
    return answer.status_code, answer.json()["error"]["code"] if answer.content else ""


@pytest.mark.parametrize(
    ("name", "identifier"),
    [
        ("contoso.com", TENANT_ID),
        ("Contoso.onmicrosoft.com", TENANT_ID),
        (FABRIKAM_ID, FABRIKAM_ID),
        ("fabrikam.com", FABRIKAM_ID),
        ("fabrikam.onmicrosoft.com", FABRIKAM_ID),
        ("consumers", PERSONAL_TENANT_ID),
    ],
)
def test_every_name_of_a_tenant_has_the_issuer_of_its_id(
    simulator: Simulator, http: requests.Session, name: str, identifier: str
) -> None:
    url = f"{simulator.urls.https}/{name}/v2.0/.well-known/openid-configuration"

    found = http.get(url).json()

    assert found["issuer"] == f"{simulator.urls.https}/{identifier}/v2.0"
    assert f"/{identifier}/" in found["token_endpoint"]
    assert http.get(found["jwks_uri"]).json()["keys"]


@pytest.mark.parametrize("tenant", ["fabrikam.com", FABRIKAM_ID, "organizations", "common"])
def test_a_user_of_another_organisation_signs_in_at_home(
    simulator: Simulator, person: Person, token_endpoint: TokenEndpoint, tenant: str
) -> None:
    claims = identity(signed_in(simulator, person, token_endpoint, tenant, FABRIKAM_USER))

    assert claims["tid"] == FABRIKAM_ID
    assert claims["iss"] == f"{simulator.urls.https}/{FABRIKAM_ID}/v2.0"


@pytest.mark.parametrize(
    ("tenant", "address", "number"),
    [
        ("contoso.com", FABRIKAM_USER, 50020),
        ("fabrikam.com", BILLING, 50020),
        ("contoso.com", PERSONAL, 50020),
        ("organizations", PERSONAL, 500208),
        ("consumers", BILLING, 500208),
        ("contoso.com", "nobody@contoso.com", 50034),
    ],
)
def test_an_account_that_is_not_for_the_endpoint_is_refused(
    simulator: Simulator, person: Person, tenant: str, address: str, number: int
) -> None:
    person.open(authorize_url(simulator, tenant)).press("next", username=address)

    assert person.page.texts["error"].startswith(f"AADSTS{number}")


def test_a_stranger_cannot_meet_a_tenants_second_factor(
    simulator: Simulator, control: Control, person: Person
) -> None:
    control("POST", "tenants", {"tenant": "contoso.com", "mfa": True})

    person.open(authorize_url(simulator)).press(FABRIKAM_USER)

    assert person.page.texts["error"].startswith("AADSTS90072")


def test_a_session_at_home_does_not_open_anothers_door(
    simulator: Simulator, person: Person
) -> None:
    person.open(authorize_url(simulator, "fabrikam.com")).sign_in(FABRIKAM_USER)

    person.open(authorize_url(simulator, "contoso.com"))

    assert FABRIKAM_USER in person.page.accounts


def test_a_guest_is_somebody_else_in_the_organisation_that_invited_them(
    simulator: Simulator, person: Person, token_endpoint: TokenEndpoint
) -> None:
    there = signed_in(simulator, person, token_endpoint, "contoso.com", GUEST)
    person.session.cookies.clear()
    at_home = signed_in(simulator, person, token_endpoint, "organizations", GUEST)

    guest, own = identity(there), identity(at_home)
    assert (guest["tid"], own["tid"]) == (TENANT_ID, FABRIKAM_ID)
    assert guest["oid"] != own["oid"]
    assert guest["preferred_username"] == own["preferred_username"] == GUEST
    # MSAL's account id is that of the home account either way.
    assert there["client_info"] == at_home["client_info"]


def test_a_guest_has_no_mailbox(
    simulator: Simulator, person: Person, token_endpoint: TokenEndpoint, http: requests.Session
) -> None:
    token = signed_in(simulator, person, token_endpoint, "contoso.com", GUEST)["access_token"]

    answer = http.post(
        f"{simulator.urls.graph}/me/sendMail",
        json=MAIL,
        headers={"Authorization": f"Bearer {token}"},
    )

    assert (answer.status_code, answer.json()["error"]["code"]) == (
        404,
        "MailboxNotEnabledForRESTAPI",
    )


def test_anybody_can_be_invited(simulator: Simulator, control: Control, person: Person) -> None:
    control("POST", "mailboxes", {"address": BILLING, "guest_of": ["fabrikam.com"]})

    answer = person.open(authorize_url(simulator, "fabrikam.com")).sign_in(BILLING)

    assert "code" in answer


@pytest.mark.parametrize(
    ("tenant", "switch", "number"),
    [("fabrikam.com", "guests_out", 500212), ("contoso.com", "guests_in", 500213)],
)
def test_cross_tenant_access_keeps_guests_away(
    simulator: Simulator, control: Control, person: Person, tenant: str, switch: str, number: int
) -> None:
    control("POST", "tenants", {"tenant": tenant, switch: False})

    person.open(authorize_url(simulator)).press(GUEST)

    assert person.page.texts["error"].startswith(f"AADSTS{number}")


def test_a_code_is_not_redeemed_at_another_tenant(
    simulator: Simulator, person: Person, token_endpoint: TokenEndpoint
) -> None:
    code = person.open(authorize_url(simulator, "fabrikam.com")).sign_in(FABRIKAM_USER)["code"]

    answer = token_endpoint.code(code, "contoso.com")

    assert refused_with(answer) == (400, "invalid_grant", 700005)


def test_a_refresh_token_is_not_good_where_its_user_is_unknown(
    simulator: Simulator, person: Person, token_endpoint: TokenEndpoint
) -> None:
    tokens = signed_in(simulator, person, token_endpoint, "fabrikam.com", FABRIKAM_USER)

    answer = token_endpoint.refresh(tokens["refresh_token"], "contoso.com")

    assert refused_with(answer) == (400, "invalid_grant", 50020)


@pytest.mark.parametrize(
    ("audience", "tenant", "number"),
    [
        ("AzureADMyOrg", "common", 50194),
        ("AzureADMyOrg", "organizations", 50194),
        ("AzureADMyOrg", "fabrikam.com", 700016),
        ("AzureADMultipleOrgs", "consumers", 700016),
        ("PersonalMicrosoftAccount", "contoso.com", 700016),
    ],
)
def test_an_application_is_known_only_to_its_audience(
    simulator: Simulator,
    control: Control,
    person: Person,
    token_endpoint: TokenEndpoint,
    audience: str,
    tenant: str,
    number: int,
) -> None:
    control("POST", "options", {"sign_in_audience": audience})

    person.open(authorize_url(simulator, tenant))
    answer = token_endpoint.refresh("SIMRT.any", tenant)

    assert person.page.texts["error-code"] == f"AADSTS{number}"
    assert refused_with(answer)[2] == number


@pytest.mark.parametrize(
    ("audience", "address"),
    [("AzureADMultipleOrgs", PERSONAL), ("PersonalMicrosoftAccount", BILLING)],
)
def test_common_serves_the_accounts_of_the_applications_audience(
    simulator: Simulator, control: Control, person: Person, audience: str, address: str
) -> None:
    control("POST", "options", {"sign_in_audience": audience})

    person.open(authorize_url(simulator, "common")).press(address)

    assert person.page.texts["error"].startswith("AADSTS500208")


def test_an_application_that_nobody_consented_to_is_not_in_the_directory(
    token_endpoint: TokenEndpoint,
) -> None:
    answer = token_endpoint.post(
        "fabrikam.com", grant_type="client_credentials", scope=GRAPH_DEFAULT
    )

    assert refused_with(answer) == (400, "unauthorized_client", 700016)


def test_without_a_role_an_application_gets_a_token_that_graph_refuses(
    simulator: Simulator, control: Control, http: requests.Session
) -> None:
    control("POST", "tenants", {"tenant": "fabrikam.com", "application_present": True})

    assert send_as_application(simulator, http, "fabrikam.com", FABRIKAM_USER) == (
        403,
        "ErrorAccessDenied",
    )


def test_an_administrators_consent_brings_the_roles_of_that_tenant_alone(
    simulator: Simulator, person: Person, http: requests.Session
) -> None:
    answer = person.open(consent_link(simulator, "fabrikam.com", GRAPH_DEFAULT)).sign_in(
        FABRIKAM_ADMIN
    )

    assert (answer["admin_consent"], answer["tenant"]) == ("True", FABRIKAM_ID)
    assert send_as_application(simulator, http, "fabrikam.com", FABRIKAM_USER) == (202, "")
    assert send_as_application(simulator, http, "fabrikam.com", BILLING)[0] == 404


def test_roles_are_each_tenants_own(
    simulator: Simulator, control: Control, http: requests.Session
) -> None:
    control("POST", "tenants", {"tenant": "contoso.com", "app_roles": []})

    assert send_as_application(simulator, http, "contoso.com", BILLING)[0] == 403


def test_an_access_policy_is_each_tenants_own(
    simulator: Simulator, control: Control, http: requests.Session
) -> None:
    control("POST", "tenants", {"tenant": "contoso.com", "app_only_mailboxes": [BILLING]})

    assert send_as_application(simulator, http, "contoso.com", BILLING)[0] == 202
    assert send_as_application(simulator, http, "contoso.com", "ada@contoso.com") == (
        403,
        "ErrorAccessDenied",
    )


@pytest.mark.parametrize("tenant", ["fabrikam.com", FABRIKAM_ID, "organizations"])
def test_admin_consent_is_remembered_for_its_tenant_alone(
    simulator: Simulator, control: Control, person: Person, tenant: str
) -> None:
    control("POST", "options", {"consent_policy": "admin_only"})
    scope = f"openid {READ_WRITE}"
    person.open(consent_link(simulator, tenant, scope)).sign_in(FABRIKAM_ADMIN)
    person.session.cookies.clear()

    there = person.open(authorize_url(simulator, "organizations", scope=scope)).sign_in(
        FABRIKAM_USER
    )
    person.session.cookies.clear()
    person.open(authorize_url(simulator, "organizations", scope=scope)).press(BILLING)

    assert "code" in there
    assert person.page.texts["error-code"] == "AADSTS90094"


def test_admin_consent_is_refused_to_another_tenants_administrator(
    simulator: Simulator, person: Person
) -> None:
    person.open(consent_link(simulator, "fabrikam.com")).press(ADMIN)

    assert person.page.texts["error"].startswith("AADSTS50020")


def test_an_administrator_may_refuse(simulator: Simulator, person: Person) -> None:
    person.open(consent_link(simulator, "fabrikam.com")).press(FABRIKAM_ADMIN).press("cancel")

    assert person.answer["error"] == "access_denied"
    assert person.answer["state"] == "s"


@pytest.mark.parametrize("tenant", ["common", "consumers"])
def test_admin_consent_is_for_organisations(
    simulator: Simulator, person: Person, tenant: str
) -> None:
    person.open(consent_link(simulator, tenant))

    assert person.page.texts["error-code"] == "AADSTS50059"


def test_each_tenant_has_a_consent_policy(
    simulator: Simulator, control: Control, person: Person
) -> None:
    control("POST", "tenants", {"tenant": "fabrikam.com", "consent_policy": "microsoft_managed"})
    url = authorize_url(simulator, "organizations", scope=f"openid {READ_WRITE}")

    person.open(url).press(FABRIKAM_USER)
    refused = person.page.texts.get("error-code")
    person.session.cookies.clear()

    assert refused == "AADSTS90094"
    assert "code" in person.open(url).sign_in(BILLING)


def test_assignment_is_each_tenants_own(
    simulator: Simulator, control: Control, person: Person
) -> None:
    control("POST", "tenants", {"tenant": "fabrikam.com", "assignment_required": True})
    url = authorize_url(simulator, "organizations")

    person.open(url).press(FABRIKAM_USER)
    refused = person.page.texts["error"]
    control("POST", "mailboxes", {"address": FABRIKAM_USER, "assigned": True})

    assert refused.startswith("AADSTS50105")
    assert "code" in person.open(url).sign_in(FABRIKAM_USER)


def test_an_application_can_be_blocked_in_one_tenant(
    simulator: Simulator, control: Control, person: Person, token_endpoint: TokenEndpoint
) -> None:
    tokens = signed_in(simulator, person, token_endpoint, "organizations", FABRIKAM_USER)
    control("POST", "tenants", {"tenant": "fabrikam.com", "application_enabled": False})

    person.open(authorize_url(simulator, "fabrikam.com"))

    assert person.page.texts["error-code"] == "AADSTS7000112"
    for tenant in ("fabrikam.com", "organizations"):
        answer = token_endpoint.refresh(tokens["refresh_token"], tenant)
        assert refused_with(answer) == (400, "unauthorized_client", 7000112)


def test_an_application_that_is_removed_takes_every_consent_with_it(
    simulator: Simulator, control: Control, person: Person, token_endpoint: TokenEndpoint
) -> None:
    tokens = signed_in(simulator, person, token_endpoint, "fabrikam.com", FABRIKAM_USER)

    control("POST", "tenants", {"tenant": "fabrikam.com", "application_present": False})

    answer = token_endpoint.refresh(tokens["refresh_token"], "fabrikam.com")
    assert refused_with(answer) == (400, "invalid_grant", 65001)
    assert answer.json()["suberror"] == "consent_required"


def test_a_users_consent_brings_the_application_into_their_tenant(
    simulator: Simulator, state: SimulatorState, person: Person
) -> None:
    person.open(authorize_url(simulator, "organizations")).sign_in(FABRIKAM_USER)

    found = state.organisations.find("fabrikam.com")
    assert found is not None
    assert found.application_present


def test_a_tenant_can_be_added(simulator: Simulator, control: Control, person: Person) -> None:
    added = control("POST", "tenants", {"tenant": "adatum.com", "name": "Adatum"})
    control("POST", "mailboxes", {"address": "desk@adatum.com"})

    answer = person.open(authorize_url(simulator, added["id"])).sign_in("desk@adatum.com")

    assert "code" in answer
    assert [each["name"] for each in control("GET", "tenants")["tenants"]] == [
        "Contoso",
        "Fabrikam",
        "Adatum",
    ]
