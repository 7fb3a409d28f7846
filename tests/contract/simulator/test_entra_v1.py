"""The endpoints of v1: `resource` in place of `scope`, numbers as strings, the issuer of v1.

https://learn.microsoft.com/previous-versions/azure/active-directory/azuread-dev/v1-protocols-oauth-code
"""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlencode

import jwt
import pytest
import requests

from local.simulator.server import Simulator
from local.simulator.state import SimulatorState
from tests.contract.simulator.person import (
    ADA,
    ADMIN,
    BILLING,
    CALLBACK,
    FABRIKAM_ADMIN,
    PERSONAL,
    Control,
    Person,
    refused_with,
)

GRAPH = "https://graph.microsoft.com"
VAULT = "https://vault.azure.net"


class V1:
    """The endpoints of v1 by hand."""

    def __init__(self, simulator: Simulator, http: requests.Session) -> None:
        self.stack = simulator.stack()
        self.urls = simulator.urls
        self.http = http

    def link(self, tenant: str = "contoso.com", **changes: str | None) -> str:
        """An authorize request, as Microsoft's page shows it; None leaves a parameter out."""
        asked: dict[str, str | None] = {
            "client_id": self.stack["client_id"],
            "response_type": "code",
            "redirect_uri": CALLBACK,
            "response_mode": "query",
            "resource": GRAPH,
            "state": "12345",
            **changes,
        }
        query = urlencode({name: value for name, value in asked.items() if value is not None})
        return f"{self.urls.http}/{tenant}/oauth2/authorize?{query}"

    def token(self, tenant: str = "contoso.com", **form: str | None) -> requests.Response:
        """Any grant; None leaves a parameter out."""
        asked: dict[str, str | None] = {
            "client_id": self.stack["client_id"],
            "client_secret": self.stack["client_secret"],
            **form,
        }
        known = {name: value for name, value in asked.items() if value is not None}
        return self.http.post(f"{self.urls.https}/{tenant}/oauth2/token", known)

    def code(self, code: str, tenant: str = "contoso.com", **more: str) -> requests.Response:
        """Redeem an authorization code."""
        asked = {"redirect_uri": CALLBACK, **more}
        return self.token(tenant, grant_type="authorization_code", code=code, **asked)


@pytest.fixture
def v1(simulator: Simulator, http: requests.Session) -> V1:
    return V1(simulator, http)


def unverified(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


def test_client_credentials_get_a_token_for_their_resource(v1: V1, state: SimulatorState) -> None:
    """The request of Key Vault's page about errors."""
    answer = v1.token(grant_type="client_credentials", resource=VAULT, client_info="1").json()

    claims = state.tokens.find(answer["access_token"], VAULT)
    assert claims.app_only
    assert answer["token_type"] == "Bearer"
    assert answer["resource"] == VAULT
    life = int(answer["expires_in"])
    assert abs(int(answer["expires_on"]) - time.time() - life) < 60
    assert all(isinstance(answer[name], str) for name in ("expires_in", "expires_on", "not_before"))


def test_a_code_becomes_tokens_of_v1(v1: V1, person: Person, state: SimulatorState) -> None:
    code = person.open(v1.link()).sign_in()["code"]

    answer = v1.code(code, resource=f"{GRAPH}/").json()

    claims = state.tokens.find(answer["access_token"], GRAPH)
    assert claims.address == BILLING
    assert claims.scopes == {"Mail.Send", "Mail.ReadWrite", "User.Read"}
    assert answer["scope"].split() == ["Mail.ReadWrite", "Mail.Send", "User.Read"]
    assert answer["refresh_token"].startswith("SIMRT.")
    named = unverified(answer["id_token"])
    assert named["iss"] == f"https://sts.windows.net/{v1.stack['tenant_id']}/"
    assert (named["ver"], named["upn"], named["unique_name"]) == ("1.0", BILLING, BILLING)
    assert "preferred_username" not in named


@pytest.mark.parametrize(("scope", "algorithm"), [(None, "none"), ("openid", "RS256")])
def test_the_id_token_is_signed_for_a_client_of_openid_connect(
    v1: V1, person: Person, scope: str | None, algorithm: str
) -> None:
    code = person.open(v1.link(scope=scope, nonce="n0nce")).sign_in()["code"]

    token = v1.code(code).json()["id_token"]

    assert jwt.get_unverified_header(token)["alg"] == algorithm
    assert unverified(token)["nonce"] == "n0nce"


@pytest.mark.parametrize(
    ("at_authorize", "at_token"), [(GRAPH, None), (None, GRAPH), (GRAPH, GRAPH)]
)
def test_the_resource_is_in_one_of_the_two_requests_or_in_both(
    v1: V1, person: Person, at_authorize: str | None, at_token: str | None
) -> None:
    person.open(v1.link()).sign_in()
    code = person.open(v1.link(resource=at_authorize)).sign_in()["code"]

    answer = v1.code(code, **({"resource": at_token} if at_token else {}))

    assert answer.json()["resource"] == GRAPH


@pytest.mark.parametrize(
    ("at_authorize", "at_token", "refusal"),
    [
        pytest.param(None, None, (400, "invalid_request", 900144), id="in-none"),
        pytest.param(GRAPH, VAULT, (400, "invalid_grant", 70000), id="another"),
        pytest.param(GRAPH, "https://wingtip.com", (400, "invalid_resource", 500011), id="unknown"),
    ],
)
def test_a_resource_that_does_not_fit_is_refused(
    v1: V1,
    person: Person,
    at_authorize: str | None,
    at_token: str | None,
    refusal: tuple[int, str, int],
) -> None:
    code = person.open(v1.link(resource=at_authorize)).sign_in()["code"]

    answer = v1.code(code, **({"resource": at_token} if at_token else {}))

    assert refused_with(answer) == refusal


def test_a_refresh_token_is_good_at_both_versions(
    v1: V1, person: Person, http: requests.Session, simulator: Simulator
) -> None:
    first = v1.code(person.open(v1.link()).sign_in()["code"]).json()

    second = v1.token(grant_type="refresh_token", refresh_token=first["refresh_token"]).json()
    third = http.post(
        f"{simulator.urls.https}/contoso.com/oauth2/v2.0/token",
        {
            "client_id": v1.stack["client_id"],
            "client_secret": v1.stack["client_secret"],
            "grant_type": "refresh_token",
            "refresh_token": second["refresh_token"],
            "scope": f"{GRAPH}/Mail.Send",
        },
    ).json()

    assert second["resource"] == GRAPH
    assert isinstance(third["expires_in"], int)
    assert unverified(third["id_token"])["ver"] == "2.0"


def test_without_a_redirect_the_browser_goes_to_the_registered_one(v1: V1, person: Person) -> None:
    person.open(v1.link(redirect_uri=None)).sign_in()

    assert person.answered_by == "http://localhost/api/auth/callback"


@pytest.mark.parametrize("address", [ADMIN, ADA])
def test_an_administrator_consents_for_everybody(
    v1: V1, person: Person, state: SimulatorState, address: str
) -> None:
    person.open(v1.link(prompt="admin_consent")).press(address)
    asked = "accept" in person.page.ids
    person.press("accept" if asked else "return")

    user = state.directory.find(BILLING)
    assert user is not None
    assert asked == (address == ADMIN)
    assert person.answer.get("admin_consent") == ("True" if asked else None)
    assert bool(state.entra.grants.consented(user, GRAPH)) == asked


def test_the_admin_consent_link_of_v1_asks_for_all_registered_permissions(
    v1: V1, simulator: Simulator, person: Person, state: SimulatorState
) -> None:
    query = urlencode(
        {"client_id": v1.stack["client_id"], "redirect_uri": CALLBACK, "state": "st4te"}
    )

    person.open(f"{simulator.urls.http}/common/adminconsent?{query}").press(FABRIKAM_ADMIN)
    scopes = set(person.page.scopes)
    person.press("accept")

    assert {"Mail.Send", "Mail.ReadWrite", "User.Read"} <= scopes
    assert person.answer["admin_consent"] == "True"
    organisation = state.organisations.find("fabrikam.com")
    assert organisation is not None
    assert organisation.application_present


@pytest.mark.parametrize("tenant", ["consumers", "9188040d-6c67-4c5b-b112-36a304b66dad"])
def test_v1_has_no_tokens_for_personal_accounts(v1: V1, person: Person, tenant: str) -> None:
    person.open(v1.link(tenant))

    assert person.page.texts["error-code"] == "AADSTS90027"
    assert refused_with(v1.token(tenant, grant_type="refresh_token"))[2] == 90027


def test_a_personal_account_is_refused_at_common(v1: V1, person: Person) -> None:
    person.open(v1.link("common")).press(PERSONAL)

    assert "AADSTS500208" in person.page.texts["error"] + person.page.texts.get("error-code", "")


def test_a_work_account_signs_in_at_common(v1: V1, person: Person) -> None:
    code = person.open(v1.link("common")).sign_in()["code"]

    assert "access_token" in v1.code(code, "common").json()


def test_v2_does_not_know_the_prompt_of_v1(v1: V1, person: Person) -> None:
    link = v1.link(prompt="admin_consent", scope="openid", resource=None)

    person.open(link.replace("/oauth2/authorize", "/oauth2/v2.0/authorize"))

    assert person.answer["error_description"].startswith("AADSTS90023")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_device_signs_in_by_v1(
    v1: V1, http: requests.Session, simulator: Simulator, person: Person, method: str
) -> None:
    url = f"{simulator.urls.https}/contoso.com/oauth2/devicecode"
    asked = {"client_id": v1.stack["client_id"], "resource": GRAPH}
    get = method == "GET"
    answered = http.get(url, params=asked) if get else http.post(url, asked)
    device = answered.json()

    person.open(device["verification_url"]).press("next", otc=device["user_code"])
    person.press(ADA).press("accept")
    answer = v1.token(
        client_secret=None, grant_type="device_code", code=device["device_code"], resource=GRAPH
    )

    assert (device["expires_in"], device["interval"]) == ("900", "5")
    assert answer.json()["resource"] == GRAPH


def test_metadata_of_v1_lead_to_its_endpoints(
    simulator: Simulator, http: requests.Session, v1: V1
) -> None:
    base = f"{simulator.urls.https}/{v1.stack['tenant_id']}"
    found = http.get(f"{simulator.urls.https}/contoso.com/.well-known/openid-configuration").json()

    assert found["token_endpoint"] == f"{base}/oauth2/token"
    assert found["device_authorization_endpoint"] == f"{base}/oauth2/devicecode"
    assert found["jwks_uri"] == f"{base}/discovery/keys"
    assert found["authorization_endpoint"].endswith("/oauth2/authorize")
    assert http.get(found["jwks_uri"]).json()["keys"]
    assert http.get(found["userinfo_endpoint"]).status_code == 401
    common = http.get(f"{simulator.urls.https}/common/.well-known/openid-configuration").json()
    assert common["issuer"] == "https://sts.windows.net/{tenantid}/"


def test_faults_of_the_sign_in_page_reach_v1(v1: V1, control: Control, person: Person) -> None:
    control("POST", "faults", {"where": "entra.authorize", "action": "aadsts", "code": 65004})

    person.open(v1.link())

    assert person.answer["error"] == "access_denied"
    assert person.answer["state"] == "12345"
