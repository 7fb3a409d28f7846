"""The token endpoint by hand: who gets which token, and what the others are told."""

from __future__ import annotations

import time
from typing import Any

import jwt
import pytest
import requests

from local.simulator.server import Simulator
from local.simulator.state import SimulatorState
from tests.contract.simulator.person import (
    BILLING,
    PERSONAL,
    READ_WRITE,
    SEND,
    VERIFIER,
    Person,
    TokenEndpoint,
    authorize_url,
    refused_with,
)

DAY = 24 * 3600


@pytest.fixture
def code(simulator: Simulator, person: Person) -> str:
    """A fresh authorization code of billing@contoso.com."""
    return person.open(authorize_url(simulator, nonce="n0nce")).sign_in()["code"]


@pytest.fixture
def tokens(code: str, token_endpoint: TokenEndpoint) -> dict[str, Any]:
    """What that code was redeemed for."""
    answer: dict[str, Any] = token_endpoint.code(code, client_info="1").json()
    return answer


@pytest.fixture
def refresh_token(tokens: dict[str, Any]) -> str:
    return str(tokens["refresh_token"])


def test_a_code_becomes_tokens(tokens: dict[str, Any]) -> None:
    assert tokens["token_type"] == "Bearer"
    assert 3600 <= tokens["expires_in"] <= 5400
    assert tokens["access_token"].startswith("SIMAT.")
    assert tokens["refresh_token"].startswith("SIMRT.")
    assert "client_info" in tokens


def test_the_access_token_says_who_and_what(state: SimulatorState, tokens: dict[str, Any]) -> None:
    claims = state.tokens.find(tokens["access_token"], "https://graph.microsoft.com")

    assert claims.address == BILLING
    assert claims.scopes == {"Mail.Send"}
    assert not claims.app_only


def test_the_id_token_is_signed_by_a_published_key(
    simulator: Simulator, http: requests.Session, tokens: dict[str, Any]
) -> None:
    metadata = http.get(
        f"{simulator.urls.https}/contoso.com/v2.0/.well-known/openid-configuration"
    ).json()
    published = http.get(metadata["jwks_uri"]).json()["keys"][0]

    claims = jwt.decode(
        tokens["id_token"],
        jwt.PyJWK(published).key,
        algorithms=["RS256"],
        audience=simulator.stack()["client_id"],
        issuer=metadata["issuer"],
    )

    assert claims["nonce"] == "n0nce"
    assert claims["preferred_username"] == BILLING
    assert claims["tid"] == simulator.stack()["tenant_id"]
    assert jwt.get_unverified_header(tokens["id_token"])["kid"] == published["kid"]


def test_common_metadata_carry_the_issuer_template(
    simulator: Simulator, http: requests.Session
) -> None:
    for tenant in ("common", "organizations"):
        url = f"{simulator.urls.https}/{tenant}/v2.0/.well-known/openid-configuration"
        assert http.get(url).json()["issuer"].endswith("/{tenantid}/v2.0")


def test_metadata_of_an_unknown_tenant_are_refused(
    simulator: Simulator, http: requests.Session
) -> None:
    url = f"{simulator.urls.https}/wingtip.com/v2.0/.well-known/openid-configuration"

    assert refused_with(http.get(url)) == (400, "invalid_tenant", 90002)


def test_scopes_are_echoed_as_they_were_asked(
    simulator: Simulator, person: Person, token_endpoint: TokenEndpoint
) -> None:
    scope = "openid mail.send User.Read"
    code = person.open(authorize_url(simulator, scope=scope)).sign_in()["code"]

    short = token_endpoint.code(code).json()["scope"].split()

    assert short[:2] == ["mail.send", "User.Read"]


def test_earlier_consents_are_in_the_token_too(
    simulator: Simulator, person: Person, token_endpoint: TokenEndpoint
) -> None:
    person.open(authorize_url(simulator, scope=f"openid {READ_WRITE}")).sign_in()
    code = person.open(authorize_url(simulator, scope=f"openid {SEND}")).sign_in()["code"]

    assert READ_WRITE in token_endpoint.code(code).json()["scope"].split()


def test_without_offline_access_there_is_no_refresh_token(
    simulator: Simulator, person: Person, token_endpoint: TokenEndpoint
) -> None:
    code = person.open(authorize_url(simulator, scope=f"openid {SEND}")).sign_in()["code"]

    assert "refresh_token" not in token_endpoint.code(code).json()


def test_a_code_works_once(code: str, token_endpoint: TokenEndpoint) -> None:
    token_endpoint.code(code)

    assert refused_with(token_endpoint.code(code)) == (400, "invalid_grant", 54005)


def test_a_code_lives_ten_minutes(
    state: SimulatorState, code: str, token_endpoint: TokenEndpoint
) -> None:
    state.clock.advance(601)

    assert refused_with(token_endpoint.code(code)) == (400, "invalid_grant", 70008)


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        pytest.param({"code_verifier": "x" * 43}, (400, "invalid_grant", 501481), id="verifier"),
        pytest.param({"code_verifier": None}, (400, "invalid_grant", 501481), id="no-verifier"),
        pytest.param(
            {"redirect_uri": "http://localhost:1/api/auth/callback"},
            (400, "invalid_grant", 500112),
            id="redirect",
        ),
        pytest.param({"tenant": "common"}, (400, "invalid_grant", 700005), id="tenant"),
        pytest.param({"client_secret": "wrong"}, (401, "invalid_client", 7000215), id="secret"),
        pytest.param({"client_secret": None}, (401, "invalid_client", 7000218), id="no-secret"),
        pytest.param({"client_id": "x"}, (400, "unauthorized_client", 700016), id="client"),
        pytest.param({"code": "made up"}, (400, "invalid_grant", 70000), id="code"),
        pytest.param({"scope": READ_WRITE}, (400, "invalid_grant", 65001), id="not-consented"),
    ],
)
def test_a_code_is_bound_to_its_flow(
    code: str,
    token_endpoint: TokenEndpoint,
    changes: dict[str, Any],
    refusal: tuple[int, str, int],
) -> None:
    assert refused_with(token_endpoint.code(**{"code": code, **changes})) == refusal


def test_a_refused_redemption_does_not_use_the_code_up(
    code: str, token_endpoint: TokenEndpoint
) -> None:
    token_endpoint.code(code, code_verifier="x" * 43)

    assert token_endpoint.code(code).status_code == 200


def test_a_verifier_without_a_challenge_is_refused(
    simulator: Simulator, state: SimulatorState, person: Person, token_endpoint: TokenEndpoint
) -> None:
    """RFC 9700 4.8.2: otherwise PKCE could be downgraded."""
    state.entra.options = state.entra.options.changed({"require_pkce": False})
    link = authorize_url(simulator, code_challenge=None, code_challenge_method=None)
    code = person.open(link).sign_in()["code"]

    assert refused_with(token_endpoint.code(code, code_verifier=VERIFIER))[2] == 501481


def test_refreshing_brings_a_new_token_and_keeps_the_old_one_good(
    refresh_token: str, token_endpoint: TokenEndpoint
) -> None:
    first = token_endpoint.refresh(refresh_token).json()
    second = token_endpoint.refresh(refresh_token).json()

    assert len({refresh_token, first["refresh_token"], second["refresh_token"]}) == 3
    assert token_endpoint.refresh(first["refresh_token"]).status_code == 200


def test_strict_reuse_makes_a_refresh_token_work_once(
    state: SimulatorState, refresh_token: str, token_endpoint: TokenEndpoint
) -> None:
    state.entra.options = state.entra.options.changed({"strict_refresh_reuse": True})
    token_endpoint.refresh(refresh_token)

    assert refused_with(token_endpoint.refresh(refresh_token))[2] == 70000


def test_a_refresh_token_dies_after_ninety_days(
    state: SimulatorState, refresh_token: str, token_endpoint: TokenEndpoint
) -> None:
    state.clock.advance(89 * DAY)
    renewed = token_endpoint.refresh(refresh_token).json()["refresh_token"]
    state.clock.advance(2 * DAY)

    assert refused_with(token_endpoint.refresh(refresh_token)) == (400, "invalid_grant", 700082)
    assert token_endpoint.refresh(renewed).status_code == 200


def test_a_revoked_grant_is_refused(
    simulator: Simulator, http: requests.Session, refresh_token: str, token_endpoint: TokenEndpoint
) -> None:
    http.post(f"{simulator.urls.control}/revoke", json={"mailbox": BILLING})

    assert refused_with(token_endpoint.refresh(refresh_token)) == (400, "invalid_grant", 50173)


def test_withdrawn_consent_is_refused_as_such(
    simulator: Simulator, http: requests.Session, refresh_token: str, token_endpoint: TokenEndpoint
) -> None:
    document = {"mailbox": BILLING, "withdraw_consent": True}
    http.post(f"{simulator.urls.control}/revoke", json=document)

    answer = token_endpoint.refresh(refresh_token)

    assert refused_with(answer) == (400, "invalid_grant", 65001)
    assert answer.json()["suberror"] == "consent_required"


@pytest.mark.parametrize(("change", "number"), [("disable", 50057), ("delete", 50034)])
def test_a_lost_user_cannot_refresh(
    state: SimulatorState,
    refresh_token: str,
    token_endpoint: TokenEndpoint,
    change: str,
    number: int,
) -> None:
    user = state.directory.find(BILLING)
    assert user is not None
    if change == "disable":
        user.enabled = False
    else:
        state.directory.remove(BILLING)

    assert refused_with(token_endpoint.refresh(refresh_token))[2] == number


def test_personal_accounts_can_be_made_to_fail_at_common(
    simulator: Simulator, state: SimulatorState, person: Person, token_endpoint: TokenEndpoint
) -> None:
    state.entra.options = state.entra.options.changed({"personal_common_refresh_fails": True})
    refreshed = {}
    for tenant in ("common", "consumers"):
        link = authorize_url(simulator, tenant, prompt="login")
        code = person.open(link).sign_in(PERSONAL)["code"]
        token = token_endpoint.code(code, tenant).json()["refresh_token"]
        refreshed[tenant] = token_endpoint.refresh(token, tenant)

    assert refused_with(refreshed["common"]) == (400, "invalid_grant", 70000)
    assert refreshed["consumers"].status_code == 200


def test_a_second_secret_is_good_beside_the_first(
    state: SimulatorState, refresh_token: str, token_endpoint: TokenEndpoint
) -> None:
    state.entra.application.add_secret("SIMSECRET~two", 3600)

    for secret in ("SIMSECRET~two", state.entra.application.secrets[0].value):
        assert token_endpoint.refresh(refresh_token, client_secret=secret).status_code == 200


def test_an_expired_secret_says_so(
    state: SimulatorState, refresh_token: str, token_endpoint: TokenEndpoint
) -> None:
    state.entra.application.expire_secret(state.entra.application.newest_secret())

    refusal = refused_with(token_endpoint.refresh(refresh_token))

    assert refusal == (401, "invalid_client", 7000222)


def test_basic_authentication_is_accepted_too(
    simulator: Simulator, http: requests.Session, refresh_token: str
) -> None:
    stack = simulator.stack()
    response = http.post(
        f"{stack['authority']}/oauth2/v2.0/token",
        {"grant_type": "refresh_token", "refresh_token": refresh_token},
        auth=(stack["client_id"], stack["client_secret"]),
    )

    assert response.status_code == 200


def test_the_clients_correlation_id_comes_back(
    simulator: Simulator, http: requests.Session
) -> None:
    sent = "6d6a6a5c-35a5-4c6c-9a0b-2f6f3f0d2c11"
    response = http.post(
        f"{simulator.urls.https}/contoso.com/oauth2/v2.0/token",
        {"grant_type": "refresh_token"},
        headers={"client-request-id": sent},
    )

    assert response.json()["correlation_id"] == sent


def test_app_only_tokens_carry_roles(state: SimulatorState, token_endpoint: TokenEndpoint) -> None:
    answer = token_endpoint.post(
        grant_type="client_credentials", scope="https://graph.microsoft.com/.default"
    ).json()
    claims = state.tokens.find(answer["access_token"], "https://graph.microsoft.com")

    assert claims.app_only
    assert "Mail.Send" in claims.roles
    assert "refresh_token" not in answer


@pytest.mark.parametrize(
    ("tenant", "form", "error"),
    [
        pytest.param("common", {}, "invalid_request", id="no-tenant"),
        pytest.param("contoso.com", {"scope": SEND}, "invalid_scope", id="named-scope"),
        pytest.param("contoso.com", {"grant_type": "password"}, "invalid_request", id="ropc"),
        pytest.param(
            "contoso.com", {"grant_type": "magic"}, "unsupported_grant_type", id="unknown-grant"
        ),
    ],
)
def test_other_client_credential_requests_are_refused(
    token_endpoint: TokenEndpoint, tenant: str, form: dict[str, str], error: str
) -> None:
    asked = {"grant_type": "client_credentials", "scope": "https://graph.microsoft.com/.default"}

    assert refused_with(token_endpoint.post(tenant, **(asked | form)))[1] == error


@pytest.mark.parametrize(
    ("number", "refusal"),
    [
        (50076, (400, "interaction_required", 50076)),
        ("50076/invalid_grant", (400, "invalid_grant", 50076)),
        (70043, (400, "invalid_grant", 70043)),
        (7000222, (401, "invalid_client", 7000222)),
        (90033, (503, "temporarily_unavailable", 90033)),
        (50196, (400, "invalid_grant", 50196)),
    ],
)
def test_any_aadsts_number_can_be_forced(
    simulator: Simulator,
    http: requests.Session,
    refresh_token: str,
    token_endpoint: TokenEndpoint,
    number: int | str,
    refusal: tuple[int, str, int],
) -> None:
    rule = {"where": "entra.token", "action": "aadsts", "code": number}
    http.post(f"{simulator.urls.control}/faults", json=rule)

    assert refused_with(token_endpoint.refresh(refresh_token)) == refusal
    assert token_endpoint.refresh(refresh_token).status_code == 200


def test_a_fault_can_hit_one_mailbox_only(
    simulator: Simulator, http: requests.Session, refresh_token: str, token_endpoint: TokenEndpoint
) -> None:
    rule = {"where": "entra.token", "action": "aadsts", "code": 53003}
    for mailbox in ("ada@contoso.com", BILLING):
        http.post(f"{simulator.urls.control}/faults", json={**rule, "mailbox": mailbox})

    answers = [token_endpoint.refresh(refresh_token).status_code for _ in range(2)]

    assert answers == [400, 200]


@pytest.mark.parametrize(
    ("option", "absent"),
    [
        ("omit_id_token", "id_token"),
        ("omit_client_info", "client_info"),
        ("omit_refresh_token", "refresh_token"),
    ],
)
def test_parts_of_the_answer_can_be_left_out(
    state: SimulatorState, code: str, token_endpoint: TokenEndpoint, option: str, absent: str
) -> None:
    state.entra.options = state.entra.options.changed({option: True})

    assert absent not in token_endpoint.code(code, client_info="1").json()


@pytest.mark.parametrize(
    ("option", "claim"),
    [("wrong_nonce", "nonce"), ("wrong_audience", "aud"), ("wrong_issuer", "iss")],
)
def test_claims_of_the_id_token_can_be_wrong(
    simulator: Simulator,
    state: SimulatorState,
    code: str,
    token_endpoint: TokenEndpoint,
    option: str,
    claim: str,
) -> None:
    state.entra.options = state.entra.options.changed({option: True})

    claims = jwt.decode(
        token_endpoint.code(code).json()["id_token"], options={"verify_signature": False}
    )

    stack = simulator.stack()
    right = {
        "nonce": "n0nce",
        "aud": stack["client_id"],
        "iss": f"{simulator.urls.https}/{stack['tenant_id']}/v2.0",
    }
    assert {name for name, value in right.items() if claims[name] != value} == {claim}


def test_an_id_token_can_be_expired(
    state: SimulatorState, code: str, token_endpoint: TokenEndpoint
) -> None:
    state.entra.options = state.entra.options.changed({"expired_id_token": True})

    claims = jwt.decode(
        token_endpoint.code(code).json()["id_token"], options={"verify_signature": False}
    )

    assert claims["exp"] < time.time()


def test_an_id_token_is_dated_by_the_clock_of_whoever_reads_it(
    simulator: Simulator, state: SimulatorState, person: Person, token_endpoint: TokenEndpoint
) -> None:
    """So that a mailbox can be signed in again wherever simulated time stands."""
    state.clock.advance(91 * DAY)
    code = person.open(authorize_url(simulator, max_age="60")).sign_in()["code"]

    token = token_endpoint.code(code).json()["id_token"]

    claims = jwt.decode(token, options={"verify_signature": False})
    assert abs(claims["iat"] - time.time()) < 60
    assert abs(claims["auth_time"] - time.time()) < 60


def test_short_scopes_can_be_echoed_for_long_ones(
    state: SimulatorState, code: str, token_endpoint: TokenEndpoint
) -> None:
    state.entra.options = state.entra.options.changed({"short_scopes": True})

    assert token_endpoint.code(code).json()["scope"].split()[0] == "Mail.Send"


def test_user_info_answers_a_good_token(
    simulator: Simulator, http: requests.Session, tokens: dict[str, Any]
) -> None:
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    url = f"{simulator.urls.https}/oidc/userinfo"

    assert http.get(url, headers=headers).json()["email"] == BILLING
    assert http.get(url).status_code == 401


def test_a_scope_beyond_graph_is_another_audience(
    state: SimulatorState, token_endpoint: TokenEndpoint
) -> None:
    answer = token_endpoint.post(
        grant_type="client_credentials", scope="https://vault.azure.net/.default"
    ).json()

    claims = state.tokens.find(answer["access_token"], "https://vault.azure.net")
    assert claims.roles == frozenset()
