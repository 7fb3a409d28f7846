"""Grants in the vault that no account refers to, and those that must stay."""

from __future__ import annotations

import json
import logging
from datetime import timedelta

import pytest

from shared.errors import NotSent, RemoteRefused
from shared.mail.account import Account
from shared.services.accounts.access_tokens import grant_secret
from shared.services.sign_in.connecting import Connecting, ConsentRules
from shared.services.sign_in.ports import SignInRequest
from shared.services.sign_in.stray_grants import StrayGrants
from tests.fakes import Crash
from tests.unit import sign_in_fakes as fakes
from tests.unit.sign_in_fakes import FakeAccounts, FakeClock, FakeVault, account_of


class House:
    """An installation with one account, whose mailbox is signed in anew."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.vault = FakeVault(self.clock)
        self.accounts = FakeAccounts({"hr": account_of("hr", object_id="other", grant="hr")})
        self.accounts.registered = 1
        self.vault.set("postroom-grant-hr", "refresh-hr")
        self.vault.set("postroom-session-key", "not a grant")

    def sign_in(self) -> Account:
        connecting = Connecting(
            rules=ConsentRules(fakes.CLIENT, fakes.TENANT, fakes.HOST),
            identity=fakes.FakeIdentity(),
            mail_service=fakes.FakeMailService(),
            vault=self.vault,
            accounts=self.accounts,
            clock=self.clock,
        )
        sign_in_request = SignInRequest(alias="billing", authority=fakes.TENANT)
        return connecting.link(sign_in_request, fakes.grant_of(fakes.claims_of()))

    def sweep(self, seconds: float = 60) -> int:
        stop = self.clock() + timedelta(seconds=seconds)
        return StrayGrants(shelf=self.vault, accounts=self.accounts, clock=self.clock).remove(stop)


@pytest.fixture
def house() -> House:
    return House()


def crash() -> None:
    raise Crash


def crashed_sign_in(house: House) -> str:
    """The grant that it left."""
    house.accounts.before_enrol = crash
    with pytest.raises(Crash):
        house.sign_in()
    house.accounts.before_enrol = lambda: None
    (name,) = set(house.vault.grants()) - {"postroom-grant-hr"}
    return name


def test_what_a_crash_between_grant_and_row_left_goes_after_a_day(house: House) -> None:
    crashed_sign_in(house)
    house.clock.forward(days=1, seconds=1)

    assert house.sweep() == 1
    assert list(house.vault.secrets) == ["postroom-grant-hr", "postroom-session-key"]
    assert house.sweep() == 0


def test_a_sign_in_under_way_keeps_its_grant(house: House) -> None:
    def sweep_meanwhile() -> None:
        house.clock.forward(hours=23)
        assert house.sweep() == 0

    house.accounts.before_enrol = sweep_meanwhile
    account = house.sign_in()

    assert grant_secret(account) in house.vault.secrets


def test_a_grant_that_an_account_refers_to_stays_however_old_it_is(house: House) -> None:
    account = house.sign_in()
    house.clock.forward(days=400)

    assert house.sweep() == 0
    assert set(house.vault.grants()) == {"postroom-grant-hr", grant_secret(account)}


def test_a_grant_that_was_replaced_while_the_vault_refused_goes(house: House) -> None:
    first = house.sign_in()
    kept = house.vault.secrets[grant_secret(first)]
    house.clock.forward(hours=1)
    second = house.sign_in()
    house.vault.secrets[grant_secret(first)] = kept
    house.clock.forward(days=2)

    assert house.sweep() == 1
    assert set(house.vault.grants()) == {"postroom-grant-hr", grant_secret(second)}


def test_a_vault_that_does_not_answer_leaves_it_for_the_next_day(house: House) -> None:
    name = crashed_sign_in(house)
    house.clock.forward(days=2)
    house.vault.trouble = NotSent("vault", "Key Vault cannot be reached.")
    with pytest.raises(NotSent):
        house.sweep()
    house.vault.trouble = None

    assert name in house.vault.secrets
    assert house.sweep() == 1


def test_accounts_that_cannot_be_read_leave_everything(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unread() -> None:
        raise NotSent("storage", "The table service did not answer.")

    house.clock.forward(days=2)
    monkeypatch.setattr(house.accounts, "snapshot", unread)
    with pytest.raises(NotSent):
        house.sweep()

    assert house.vault.grants() == ["postroom-grant-hr"]


def test_beside_a_table_that_never_had_an_account_nothing_is_removed(house: House) -> None:
    house.clock.forward(days=2)
    house.accounts.rows.clear()
    house.accounts.registered = 0

    assert house.sweep() == 0
    assert house.vault.grants() == ["postroom-grant-hr"]


def test_one_that_may_not_be_deleted_leaves_the_others_to_go_and_is_logged_without_its_name(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "postroom")
    first = crashed_sign_in(house)
    house.vault.set("postroom-grant-another", "refresh")
    house.clock.forward(days=2)
    remove = house.vault.remove

    def removing(name: str) -> None:
        if name == first:
            raise RemoteRefused("vault", "Key Vault refused.")
        remove(name)

    monkeypatch.setattr(house.vault, "remove", removing)

    assert house.sweep() == 1
    assert [json.loads(line) for line in caplog.messages] == [{"event": "unused_grant_kept"}]


def test_what_is_not_done_in_time_is_left_for_the_next_day(house: House) -> None:
    crashed_sign_in(house)
    house.clock.forward(days=2)

    assert house.sweep(seconds=0) == 0
    assert house.sweep() == 1
