"""Signing in by a code against the simulator: what Entra answers, from the code to the grant."""

from __future__ import annotations

import pytest

from shared.adapters.entra.identity_platform import Entra
from shared.errors import ConsentRequired, CredentialRefused, NotFinishedYet, NotSent
from shared.services.sign_in.ports import DeviceCode
from tests.contract.conftest import Stand
from tests.contract.person import Person
from tests.contract.test_entra_adapter import BILLING, PERSONAL, SCOPES, entra, person, tenant

__all__ = ["entra", "person", "tenant"]
TOKEN = "entra.token"


@pytest.fixture
def code(entra: Entra, tenant: str) -> DeviceCode:
    return entra.begin_device(tenant, (*SCOPES, "email"))


def test_the_code_comes_with_where_to_type_it_and_for_how_long(code: DeviceCode) -> None:
    assert len(code.user_code) == 9
    assert code.verification_uri.endswith("/devicelogin")
    assert (code.expires_in_seconds, code.interval_seconds) == (900, 5)


def test_a_code_that_was_entered_becomes_a_grant_that_can_be_refreshed(
    entra: Entra, person: Person, tenant: str, code: DeviceCode
) -> None:
    person.enter_code(code.verification_uri, code.user_code, BILLING)
    grant = entra.poll_device(tenant, code)

    assert grant.id_token_claims is not None
    assert grant.id_token_claims["tid"] == tenant
    assert {"Mail.Send", "User.Read"} <= grant.scopes
    assert entra.refresh(tenant, str(grant.refresh_token), SCOPES).access_token


def test_a_personal_account_signs_in_and_is_refreshed_at_consumers(
    entra: Entra, person: Person
) -> None:
    code = entra.begin_device("consumers", SCOPES)
    person.enter_code(code.verification_uri, code.user_code, PERSONAL)
    grant = entra.poll_device("consumers", code)

    assert entra.refresh("consumers", str(grant.refresh_token), SCOPES).access_token


def test_until_then_each_question_is_one_request_and_says_to_wait(
    entra: Entra, stand: Stand, tenant: str, code: DeviceCode
) -> None:
    for asked in (1, 2):
        with pytest.raises(NotFinishedYet) as pending:
            entra.poll_device(tenant, code)
        assert not pending.value.slower
        assert stand.count(TOKEN) == asked


def test_entra_may_ask_for_fewer_questions(
    entra: Entra, stand: Stand, tenant: str, code: DeviceCode
) -> None:
    stand.fault(TOKEN, action="aadsts", code="70016/slow_down")
    with pytest.raises(NotFinishedYet) as pending:
        entra.poll_device(tenant, code)

    assert pending.value.slower


def test_a_declined_sign_in_is_told_so(
    entra: Entra, person: Person, tenant: str, code: DeviceCode
) -> None:
    person.enter_code(code.verification_uri, code.user_code, BILLING, accept=False)
    with pytest.raises(ConsentRequired) as refused:
        entra.poll_device(tenant, code)

    assert refused.value.code == "authorization_declined"


def test_an_expired_code_is_told_so(
    entra: Entra, stand: Stand, tenant: str, code: DeviceCode
) -> None:
    stand.control("clock", {"advance_seconds": 901})
    with pytest.raises(ConsentRequired) as refused:
        entra.poll_device(tenant, code)

    assert refused.value.code == "expired_token"


def test_a_code_gives_its_grant_once(
    entra: Entra, person: Person, tenant: str, code: DeviceCode
) -> None:
    person.enter_code(code.verification_uri, code.user_code, BILLING)
    entra.poll_device(tenant, code)
    with pytest.raises(ConsentRequired) as refused:
        entra.poll_device(tenant, code)

    assert refused.value.code == "bad_verification_code"


@pytest.mark.parametrize(
    "rule",
    [
        pytest.param({"action": "status", "status": 503}, id="503"),
        pytest.param({"action": "reset"}, id="reset"),
    ],
)
def test_a_question_without_an_answer_is_asked_again_with_success(
    entra: Entra, stand: Stand, person: Person, tenant: str, code: DeviceCode, rule: dict[str, int]
) -> None:
    person.enter_code(code.verification_uri, code.user_code, BILLING)
    stand.fault(TOKEN, **rule)
    with pytest.raises(NotSent):
        entra.poll_device(tenant, code)

    assert entra.poll_device(tenant, code).refresh_token


def test_throttling_says_how_long_to_wait(
    entra: Entra, stand: Stand, tenant: str, code: DeviceCode
) -> None:
    stand.fault(TOKEN, action="status", status=429, headers={"Retry-After": "17"})
    with pytest.raises(NotSent) as throttled:
        entra.poll_device(tenant, code)

    assert throttled.value.retry_after == 17


def test_the_apps_own_trouble_is_the_operators_to_mend(
    entra: Entra, stand: Stand, tenant: str, code: DeviceCode
) -> None:
    stand.fault(TOKEN, action="aadsts", code=7000222)
    with pytest.raises(CredentialRefused) as refused:
        entra.poll_device(tenant, code)

    assert refused.value.code == "AADSTS7000222"
