"""What clients send to Entra besides a well-formed request for a token: forms, methods, grants, PKCE."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from local.simulator.entra.token_request import LARGEST_FORM
from local.simulator.server import Simulator
from local.simulator.state import SimulatorState
from tests.contract.simulator.person import (
    ADA,
    CALLBACK,
    READ_WRITE,
    SEND,
    VERIFIER,
    Control,
    Person,
    TokenEndpoint,
    authorize_url,
    refused_with,
)

GRAPH_DEFAULT = "https://graph.microsoft.com/.default"
HOUR = 3600


def token_url(simulator: Simulator, tenant: str = "contoso.com", segment: str = "/v2.0") -> str:
    return f"{simulator.urls.https}/{tenant}/oauth2{segment}/token"


# Device code


@pytest.mark.parametrize(
    ("grant_type", "parameter"),
    [
        pytest.param("urn:ietf:params:oauth:grant-type:device_code", "device_code", id="rfc-8628"),
        pytest.param("device_code", "device_code", id="msal-node-and-dotnet"),
        pytest.param("device_code", "code", id="v1"),
    ],
)
def test_a_device_code_is_redeemed_by_each_name_of_the_grant(
    simulator: Simulator,
    http: requests.Session,
    person: Person,
    token_endpoint: TokenEndpoint,
    grant_type: str,
    parameter: str,
) -> None:
    form = {"client_id": simulator.stack()["client_id"], "scope": SEND}
    device = http.post(f"{simulator.urls.https}/contoso.com/oauth2/v2.0/devicecode", form).json()
    asked: dict[str, str | None] = {
        "client_secret": None,
        "grant_type": grant_type,
        parameter: device["device_code"],
    }

    pending = token_endpoint.post("contoso.com", **asked)
    person.open(device["verification_uri"]).press("next", otc=device["user_code"])
    person.press(ADA).press("accept")

    assert refused_with(pending) == (400, "authorization_pending", 70016)
    assert "access_token" in token_endpoint.post("contoso.com", **asked).json()


# PKCE


def test_pkce_is_recommended_and_not_required(
    simulator: Simulator, person: Person, token_endpoint: TokenEndpoint
) -> None:
    link = authorize_url(simulator, code_challenge=None, code_challenge_method=None)

    code = person.open(link).sign_in()["code"]

    assert token_endpoint.code(code, code_verifier=None).status_code == 200


@pytest.mark.parametrize("method", ["plain", None])
def test_a_plain_challenge_is_its_verifier(
    simulator: Simulator, person: Person, token_endpoint: TokenEndpoint, method: str | None
) -> None:
    link = authorize_url(simulator, code_challenge=VERIFIER, code_challenge_method=method)
    code = person.open(link).sign_in()["code"]

    assert refused_with(token_endpoint.code(code, code_verifier="x" * 43))[2] == 501481
    assert token_endpoint.code(code).status_code == 200


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"code_challenge": None, "code_challenge_method": None}, id="none"),
        pytest.param({"code_challenge_method": "plain"}, id="plain"),
        pytest.param({"code_challenge_method": None}, id="no-method"),
    ],
)
def test_a_switch_requires_a_challenge_by_s256(
    simulator: Simulator, control: Control, person: Person, changes: dict[str, str | None]
) -> None:
    control("POST", "options", {"require_pkce": True})

    person.open(authorize_url(simulator, **changes))

    assert person.answer["error"] == "invalid_request"
    assert person.answer["error_description"].startswith("AADSTS50147")


def test_a_single_page_application_must_use_pkce(
    simulator: Simulator, control: Control, person: Person, token_endpoint: TokenEndpoint
) -> None:
    control("POST", "options", {"platform": "spa"})
    link = authorize_url(simulator, code_challenge=None, code_challenge_method=None)
    code = person.open(link).sign_in()["code"]

    answer = token_endpoint.code(code, client_secret=None, code_verifier=None)

    assert refused_with(answer) == (400, "invalid_request", 9002325)


# Forms


@pytest.mark.parametrize("name", ["scope", "client_id", "grant_type", "client_secret"])
def test_a_parameter_that_is_there_twice_is_refused(
    simulator: Simulator, http: requests.Session, name: str
) -> None:
    stack = simulator.stack()
    form = {
        "client_id": stack["client_id"],
        "client_secret": stack["client_secret"],
        "grant_type": "client_credentials",
        "scope": GRAPH_DEFAULT,
    }

    answer = http.post(token_url(simulator), [*form.items(), (name, form[name])])

    assert refused_with(answer) == (400, "invalid_request", 9000411)
    assert f"'{name}' is duplicated" in answer.json()["error_description"]


def test_a_parameter_that_is_there_twice_in_a_link_ends_on_a_page(
    simulator: Simulator, person: Person
) -> None:
    person.open(authorize_url(simulator) + "&scope=openid")

    assert person.page.texts["error-code"] == "AADSTS9000411"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        pytest.param("application/json", b'{"grant_type":"client_credentials"}', id="json"),
        pytest.param("text/plain", b"grant_type=client_credentials", id="text"),
        pytest.param("application/x-www-form-urlencoded", b"", id="empty"),
        pytest.param("application/x-www-form-urlencoded", b"\xff\xfe=\x00&&&=", id="bytes"),
        pytest.param("application/x-www-form-urlencoded", b"grant_type=", id="empty-value"),
        pytest.param("multipart/form-data; boundary=x", b"--x\r\n\r\n--x--", id="multipart"),
    ],
)
@pytest.mark.parametrize("path", ["oauth2/v2.0/token", "oauth2/token"])
def test_a_body_without_a_form_has_no_grant_type(
    simulator: Simulator, http: requests.Session, path: str, kind: str, body: bytes
) -> None:
    url = f"{simulator.urls.https}/contoso.com/{path}"

    answer = http.post(url, body, headers={"Content-Type": kind})

    assert refused_with(answer) == (400, "invalid_request", 900144)
    assert "grant_type" in answer.json()["error_description"]


def test_a_form_that_is_too_large_is_refused(simulator: Simulator, http: requests.Session) -> None:
    answer = http.post(token_url(simulator), {"grant_type": "x" * LARGEST_FORM})

    assert refused_with(answer) == (400, "invalid_request", 9002313)


@pytest.mark.parametrize(
    "header", ["Basic", "Basic é", "Basic %%%", "Basic /w==", "Basic eDp5", "Bearer x"]
)
def test_any_authorization_header_gets_an_answer_of_entra(
    simulator: Simulator, http: requests.Session, header: str
) -> None:
    form = {"grant_type": "client_credentials", "scope": GRAPH_DEFAULT}

    answer = http.post(token_url(simulator), form, headers={"Authorization": header.encode()})

    assert refused_with(answer)[0] == 400


@pytest.mark.parametrize(
    "uri", ["http://[", "http://[::1", "http://localhost:99999999/x", "é", "http://a\u2100b/"]
)
def test_a_redirect_that_is_no_uri_is_one_that_is_not_registered(
    simulator: Simulator, http: requests.Session, person: Person, uri: str
) -> None:
    person.open(authorize_url(simulator, redirect_uri=uri))
    logout = http.get(
        f"{simulator.urls.https}/common/oauth2/v2.0/logout",
        params={"post_logout_redirect_uri": uri},
        allow_redirects=False,
    )

    assert person.page.texts["error-code"] == "AADSTS50011"
    assert logout.status_code == 200


def test_v2_takes_no_resource(token_endpoint: TokenEndpoint) -> None:
    answer = token_endpoint.post(
        grant_type="client_credentials", resource="https://graph.microsoft.com"
    )

    assert refused_with(answer) == (400, "invalid_request", 901002)


def test_a_resource_that_the_tenant_does_not_have_is_named(token_endpoint: TokenEndpoint) -> None:
    answer = token_endpoint.post(
        grant_type="client_credentials", scope="https://wingtip.com/.default"
    )

    assert refused_with(answer) == (400, "invalid_resource", 500011)
    assert "https://wingtip.com" in answer.json()["error_description"]


# Claims


CAPABLE = '{"access_token": {"xms_cc": {"values": ["CP1"]}}}'


@pytest.mark.parametrize(
    ("claims", "shortest", "longest"),
    [
        pytest.param(CAPABLE, 20 * HOUR, 28 * HOUR, id="capable"),
        pytest.param('{"access_token": {"xms_cc": {"values": "CP1"}}}', HOUR, 5400, id="text"),
        pytest.param('{"access_token": {"xms_cc": ["CP1"]}}', HOUR, 5400, id="list"),
        pytest.param('{"access_token": {"xms_cc": {"values": [1]}}}', HOUR, 5400, id="number"),
        pytest.param('{"id_token": {"auth_time": null}}', HOUR, 5400, id="others"),
        pytest.param("", HOUR, 5400, id="empty"),
    ],
)
def test_tokens_for_graph_last_longer_for_a_client_that_handles_challenges(
    simulator: Simulator,
    person: Person,
    token_endpoint: TokenEndpoint,
    claims: str,
    shortest: int,
    longest: int,
) -> None:
    """azure-identity and MSAL send this with the capability CP1."""
    code = person.open(authorize_url(simulator)).sign_in()["code"]

    answer = token_endpoint.code(code, claims=claims).json()

    assert shortest <= answer["expires_in"] <= longest


@pytest.mark.parametrize("claims", ["{", "[]", "1", '{"access_token": []}', "[" * 20_000])
def test_claims_of_another_form_are_refused(
    simulator: Simulator, person: Person, token_endpoint: TokenEndpoint, claims: str
) -> None:
    code = person.open(authorize_url(simulator)).sign_in()["code"]

    answer = token_endpoint.code(code, claims=claims)

    assert refused_with(answer) == (400, "invalid_request", 90100)


# Methods, and what is not simulated


@pytest.mark.parametrize("segment", ["", "/v2.0"])
@pytest.mark.parametrize(
    ("method", "endpoint"),
    [("GET", "token"), ("PUT", "token"), ("OPTIONS", "token"), ("PUT", "authorize")],
)
def test_another_method_is_refused_with_the_right_one(
    simulator: Simulator, http: requests.Session, segment: str, method: str, endpoint: str
) -> None:
    url = f"{simulator.urls.https}/contoso.com/oauth2{segment}/{endpoint}"

    answer = http.request(method, url)

    assert refused_with(answer) == (400, "invalid_request", 900561)
    assert f"Received a {method} request" in answer.json()["error_description"]


@pytest.mark.parametrize(
    "grant_type",
    [
        "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "urn:ietf:params:oauth:grant-type:saml1_1-bearer",
        "urn:ietf:params:oauth:grant-type:saml2-bearer",
        "urn:ietf:params:oauth:grant-type:token-exchange",
    ],
)
def test_a_grant_that_is_not_simulated_is_refused_and_logged(
    control: Control, token_endpoint: TokenEndpoint, grant_type: str
) -> None:
    answer = token_endpoint.post(grant_type=grant_type, assertion="x", scope=SEND)

    assert refused_with(answer) == (400, "unsupported_grant_type", 70003)
    assert control.unsupported() == [f"grant_type {grant_type}"]


def test_a_grant_that_entra_does_not_know_is_refused_and_not_logged(
    control: Control, token_endpoint: TokenEndpoint
) -> None:
    assert refused_with(token_endpoint.post(grant_type="magic"))[2] == 70003
    assert control.unsupported() == []


@pytest.mark.parametrize(
    ("tenant", "form", "refusal"),
    [
        pytest.param("common", {}, (400, "invalid_request", 9001023), id="common"),
        pytest.param("consumers", {}, (400, "invalid_request", 9001023), id="consumers"),
        pytest.param("contoso.com", {}, (400, "invalid_grant", 50126), id="tenant"),
        pytest.param("organizations", {}, (400, "invalid_grant", 50126), id="organizations"),
        pytest.param(
            "contoso.com", {"password": None}, (400, "invalid_request", 900144), id="none"
        ),
    ],
)
def test_nobody_has_a_password(
    token_endpoint: TokenEndpoint,
    tenant: str,
    form: dict[str, str | None],
    refusal: tuple[int, str, int],
) -> None:
    asked: dict[str, str | None] = {"username": ADA, "password": "x", "scope": SEND, **form}

    assert refused_with(token_endpoint.post(tenant, grant_type="password", **asked)) == refusal


def test_a_path_that_nothing_serves_is_logged(
    simulator: Simulator, control: Control, http: requests.Session
) -> None:
    answer = http.get(f"{simulator.urls.https}/contoso.com/oauth2/v3.0/token")

    assert answer.status_code == 404
    assert control.unsupported() == ["GET /contoso.com/oauth2/v3.0/token"]


# What clients ask before they ask for a token


def discover(simulator: Simulator, http: requests.Session, **query: str) -> requests.Response:
    return http.get(f"{simulator.urls.https}/common/discovery/instance", params=query)


@pytest.mark.parametrize(
    ("path", "metadata"),
    [
        ("contoso.com/oauth2/v2.0/authorize", "contoso.com/v2.0/.well-known/openid-configuration"),
        ("common/oauth2/authorize", "common/.well-known/openid-configuration"),
        ("contoso.com", "contoso.com/.well-known/openid-configuration"),
    ],
)
def test_instance_discovery_leads_to_the_metadata(
    simulator: Simulator, http: requests.Session, path: str, metadata: str
) -> None:
    base = simulator.urls.https
    asked: dict[str, Any] = {"authorization_endpoint": f"{base}/{path}", "api-version": "1.1"}

    found = discover(simulator, http, **asked).json()

    assert found["tenant_discovery_endpoint"] == f"{base}/{metadata}"
    assert http.get(found["tenant_discovery_endpoint"]).status_code == 200
    (instance,) = found["metadata"]
    assert "localhost" in instance["aliases"]


def test_the_first_version_of_instance_discovery_has_no_aliases(
    simulator: Simulator, http: requests.Session
) -> None:
    endpoint = f"{simulator.urls.https}/common/oauth2/v2.0/authorize"

    found = discover(simulator, http, **{"authorization_endpoint": endpoint, "api-version": "1.0"})

    assert found.json().keys() == {"tenant_discovery_endpoint"}


@pytest.mark.parametrize(
    ("query", "refusal"),
    [
        pytest.param(
            {"authorization_endpoint": "https://login.wingtip.com/common/oauth2/authorize"},
            (400, "invalid_instance", 50049),
            id="another-instance",
        ),
        pytest.param(
            {"authorization_endpoint": "https://login.microsoftonline.com/common"},
            (400, "invalid_instance", 50049),
            id="microsofts",
        ),
        pytest.param({}, (400, "invalid_request", 500502), id="nothing"),
        pytest.param(
            {"authorization_endpoint": "https://[", "api-version": "1.1"},
            (400, "invalid_request", 50050),
            id="no-uri",
        ),
        pytest.param(
            {"authorization_endpoint": "localhost"}, (400, "invalid_request", 50050), id="no-scheme"
        ),
        pytest.param({"api-version": "2.0"}, (400, "invalid_request", 500501), id="version"),
        pytest.param({"api-version": ""}, (400, "invalid_request", 500501), id="no-version"),
    ],
)
def test_instance_discovery_refuses_what_it_does_not_know(
    simulator: Simulator,
    http: requests.Session,
    query: dict[str, Any],
    refusal: tuple[int, str, int],
) -> None:
    assert refused_with(discover(simulator, http, **{"api-version": "1.1", **query})) == refusal


@pytest.mark.parametrize(
    ("address", "kind", "domain"),
    [
        ("billing@contoso.com", "Managed", "contoso.com"),
        ("anybody@FABRIKAM.com", "Managed", "fabrikam.com"),
        ("ada@wingtip.com", "Unknown", None),
        ("postroom.demo@outlook.com", "Unknown", None),
    ],
)
@pytest.mark.parametrize("form", ["path", "query"])
def test_the_realm_of_a_user_is_that_of_the_domain(
    simulator: Simulator,
    http: requests.Session,
    form: str,
    address: str,
    kind: str,
    domain: str | None,
) -> None:
    """MSAL for Python asks for it before it sends a password."""
    realm = f"{simulator.urls.https}/common/userrealm/"
    query = {"api-version": "1.0", **({"user": address} if form == "query" else {})}

    found = http.get(realm + (address if form == "path" else ""), params=query).json()

    assert (found["ver"], found["account_type"]) == ("1.0", kind)
    assert found.get("domain_name") == domain


def test_another_version_of_the_realm_is_refused_and_logged(
    simulator: Simulator, control: Control, http: requests.Session
) -> None:
    url = f"{simulator.urls.https}/common/userrealm/{ADA}"

    assert refused_with(http.get(url, params={"api-version": "2.1"}))[2] == 90023
    assert control.unsupported() == ["another api-version of userrealm than 1.0"]


def test_a_refresh_gets_what_it_asks_for(
    simulator: Simulator, state: SimulatorState, person: Person, token_endpoint: TokenEndpoint
) -> None:
    """MSAL asks for one resource by the refresh token of another."""
    person.open(authorize_url(simulator, scope=f"openid offline_access {READ_WRITE}")).sign_in()
    code = person.open(authorize_url(simulator)).sign_in()["code"]
    token = token_endpoint.code(code, redirect_uri=CALLBACK).json()["refresh_token"]

    answer = token_endpoint.refresh(token, scope=f"{READ_WRITE} offline_access openid profile")

    claims = state.tokens.find(answer.json()["access_token"])
    assert {"Mail.Send", "Mail.ReadWrite"} <= claims.scopes
