"""Signing in by a code: once, with every check that the browser's way has."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest

from shared.errors import ConsentRequired, NotFinishedYet, NotSent, PostroomError
from shared.mail.account import PERSONAL_TENANT, Account
from shared.mail.known_errors import SignInRejected
from shared.services.accounts.ports import Profile
from shared.services.sign_in.connecting import Connecting, ConsentRules
from shared.services.sign_in.device_code import DeviceSignIn
from shared.services.sign_in.ports import DeviceFlow
from shared.services.sign_in.sign_in_request import read_request
from tests.unit.sign_in_fakes import (
    CLIENT,
    HOST,
    NOW,
    OBJECT,
    TENANT,
    FakeAccounts,
    FakeClock,
    FakeFlows,
    FakeIdentity,
    FakeMailService,
    FakeVault,
    account_of,
    claims_of,
    grant_of,
)

OTHER = "44444444-4444-4444-8444-444444444444"


@dataclass
class Counter:
    """A sign-in by code with everything around it."""

    tenant: str = TENANT
    allowed: tuple[str, ...] = ()
    clock: FakeClock = field(default_factory=FakeClock)
    identity: FakeIdentity = field(default_factory=FakeIdentity)
    mail_service: FakeMailService = field(default_factory=FakeMailService)
    accounts: FakeAccounts = field(default_factory=FakeAccounts)
    flows: FakeFlows = field(default_factory=FakeFlows)
    vault: FakeVault = field(default_factory=FakeVault)

    @property
    def device(self) -> DeviceSignIn:
        connecting = Connecting(
            rules=ConsentRules(CLIENT, self.tenant, HOST, self.allowed),
            identity=self.identity,
            mail_service=self.mail_service,
            vault=self.vault,
            accounts=self.accounts,
            clock=self.clock,
        )
        return DeviceSignIn(
            identity=self.identity, flows=self.flows, clock=self.clock, connecting=connecting
        )

    def begin(self, **wishes: Any) -> DeviceFlow:
        return self.device.begin(read_request(self.tenant, "billing", **wishes))

    def finish(self, flow: DeviceFlow | None = None) -> Account:
        flow = flow or self.begin()
        return self.device.finish(flow, self.device.ask(flow))

    def refuse(self, flow: DeviceFlow | None = None) -> PostroomError:
        """Finish a sign-in that must be refused, leaving everything as it was."""
        before = (dict(self.accounts.rows), self.vault.grants())
        with pytest.raises(PostroomError) as refused:
            self.finish(flow)
        assert (self.accounts.rows, self.vault.grants()) == before
        return refused.value


@pytest.fixture
def counter() -> Counter:
    return Counter()


def test_what_is_ticked_is_asked_for_where_the_kind_signs_in() -> None:
    counter = Counter(tenant="common")
    counter.begin(kind="work", verified=True)

    assert counter.identity.begun == [
        {
            "authority": "organizations",
            "scopes": ("Mail.Send", "User.Read", "Mail.ReadWrite", "email"),
        }
    ]


def test_the_mailbox_is_linked_as_by_the_browsers_way(counter: Counter) -> None:
    account = counter.finish()

    assert counter.accounts.rows == {"billing": account}
    assert (account.address, account.authority) == ("billing@contoso.com", TENANT)
    assert counter.identity.refreshes == [(TENANT, "refresh-1")]
    assert len(counter.vault.grants()) == 1


def test_a_sign_in_that_is_not_finished_can_be_asked_about_again(counter: Counter) -> None:
    counter.identity.redeemed = [NotFinishedYet(), NotFinishedYet(), grant_of(claims_of())]
    flow = counter.begin()
    for _ in range(2):
        with pytest.raises(NotFinishedYet):
            counter.device.ask(flow)

    assert counter.finish(flow).alias == "billing"


def test_a_question_that_went_astray_costs_nothing(counter: Counter) -> None:
    counter.identity.redeemed = [NotSent("entra", "x", retry_after=7), grant_of(claims_of())]
    flow = counter.begin()
    with pytest.raises(NotSent):
        counter.device.ask(flow)

    assert counter.finish(flow).alias == "billing"


def test_an_expired_code_is_refused_by_our_clock_before_any_request(counter: Counter) -> None:
    flow = counter.begin()
    counter.clock.forward(minutes=15)

    assert "has expired" in str(counter.refuse(flow))
    assert not counter.identity.redemptions


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("authorization_declined", "declined"),
        ("bad_verification_code", "used already"),
        ("expired_token", "has expired"),
        ("AADSTS53003", "Conditional Access"),
    ],
)
def test_each_ending_is_told_in_its_own_words(counter: Counter, code: str, words: str) -> None:
    counter.identity.redeemed = [ConsentRequired(code, "x")]
    error = counter.refuse()

    assert isinstance(error, SignInRejected)
    assert error.code == code
    assert words in str(error)


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param(None, id="no id token"),
        pytest.param(claims_of(aud="another"), id="audience"),
        pytest.param(claims_of(iss=f"{HOST}/{OTHER}/v2.0"), id="issuer"),
        pytest.param(claims_of(tid=OTHER), id="tenant"),
        pytest.param(claims_of(tid=PERSONAL_TENANT), id="personal"),
        pytest.param(claims_of(exp=int(NOW.timestamp()) - 600), id="expired"),
    ],
)
def test_claims_are_checked_as_by_the_browsers_way(
    counter: Counter, claims: dict[str, object] | None
) -> None:
    counter.identity.redeemed = [grant_of(claims)]

    assert isinstance(counter.refuse(), SignInRejected)


def test_another_mailbox_than_expected_is_refused(counter: Counter) -> None:
    counter.mail_service.profile = Profile(OBJECT, "ceo@contoso.com", "")

    assert "ceo@contoso.com" in str(
        counter.refuse(counter.begin(expected_address="billing@contoso.com"))
    )
    assert "object id" in str(counter.refuse(counter.begin(expected_object_id=OTHER)))


def test_the_allow_list_holds() -> None:
    assert "may be connected" in str(Counter(allowed=("fabrikam.com",)).refuse())


def test_another_mailbox_under_a_taken_alias_needs_replace(counter: Counter) -> None:
    counter.accounts.rows["billing"] = account_of(object_id=OTHER)

    assert "is another one" in str(counter.refuse())
    assert counter.finish(counter.begin(replace=True)).object_id == OBJECT


def test_a_grant_that_fails_at_its_first_refresh_is_refused(counter: Counter) -> None:
    counter.identity.refreshed = [ConsentRequired("AADSTS70000", "x")]

    assert isinstance(counter.refuse(), SignInRejected)


def test_of_two_that_finish_at_once_one_links_the_mailbox(counter: Counter) -> None:
    flow = counter.begin()

    def attempt(_: int) -> bool:
        try:
            counter.finish(flow)
        except SignInRejected:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(attempt, range(8)))

    assert outcomes.count(True) == 1
    assert len(counter.vault.grants()) == 1


def test_the_flows_row_and_words_hold_nothing_that_fetches_the_grant(counter: Counter) -> None:
    flow = counter.begin()

    assert flow.code.device_code not in str(counter.flows.rows)
    assert flow.handle not in str(counter.flows.rows)
    assert flow.code.device_code not in repr(flow)
