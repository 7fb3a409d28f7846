"""Each sign-in has a secret of its own, so that whoever knows an earlier one harms no later one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import pytest
from msgspec.structs import replace

from shared.errors import RequestRejected
from shared.mail.account import DISCONNECTING, Account, AccountState
from shared.services.accounts.access_tokens import TokenSource, grant_secret
from shared.services.accounts.disconnecting import Disconnecting, PendingMailAction
from shared.services.sign_in.connecting import Connecting, ConsentRules
from shared.services.sign_in.ports import Destruction, SignInRequest
from tests.fakes import FakeServices
from tests.unit import sign_in_fakes as fakes
from tests.unit.sign_in_fakes import NOW, FakeAccounts, FakeIdentity, FakeVault, account_of


@dataclass
class Shredder:
    """Destroys what lies in the vault of sign-ins; something may happen just before."""

    vault: FakeVault
    before: Callable[[], object] | None = None

    def destroy(self, name: str) -> Destruction:
        happens, self.before = self.before, None
        if happens is not None:
            happens()
        self.vault.remove(name)
        return Destruction(purged=True)


class House:
    """Disconnecting and signing in, on the same accounts and the same vault."""

    def __init__(self) -> None:
        self.services = FakeServices(account_of(grant="first"))
        self.vault = FakeVault(fakes.FakeClock())
        self.vault.set("postroom-grant-first", "refresh-0")
        self.shredder = Shredder(self.vault)

    def disconnect(self) -> bool:
        services = self.services
        return (
            Disconnecting(
                departures=services.accounts,
                shredder=self.shredder,
                timetables=services.timetables,
                checks=services.checks,
                ledger=services.ledger,
                changes=services.changes,
                clock=services.clock,
            )
            .disconnect("billing", PendingMailAction.HOLD)
            .done
        )

    def sign_in(self) -> Account:
        connecting = Connecting(
            rules=ConsentRules(fakes.CLIENT, fakes.TENANT, fakes.HOST),
            identity=FakeIdentity(),
            mail_service=fakes.FakeMailService(),
            vault=self.vault,
            accounts=self.services.accounts,
            clock=fakes.FakeClock(),
        )
        sign_in_request = SignInRequest(alias="billing", authority=fakes.TENANT)
        return connecting.link(sign_in_request, fakes.grant_of(fakes.claims_of()))

    @property
    def row(self) -> Account:
        return self.services.accounts.rows["billing"]


@pytest.fixture
def house() -> House:
    return House()


def test_a_repeated_disconnect_leaves_the_mailbox_that_was_connected_again(house: House) -> None:
    def overtaken() -> None:
        assert house.disconnect()
        house.sign_in()

    house.shredder.before = overtaken
    with pytest.raises(RequestRejected):
        house.disconnect()

    assert house.row.state is AccountState.READY
    assert house.row.account_id == account_of().account_id
    assert house.vault.grants() == [grant_secret(house.row)]


def test_disconnecting_destroys_the_grant_of_the_sign_in_that_was_just_finished(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The roll was read before it, and the row marked after it."""
    accounts, snapshot = house.services.accounts, house.services.accounts.snapshot
    once = [house.sign_in]

    def roll_then_sign_in() -> object:
        seen = snapshot()
        if once:
            once.pop()()
        return seen

    monkeypatch.setattr(accounts, "snapshot", roll_then_sign_in)
    house.disconnect()

    assert house.vault.grants() == []


def test_signing_in_again_replaces_the_secret_and_drops_the_earlier_one(house: House) -> None:
    account = house.sign_in()

    assert account.grant not in (None, "first")
    assert house.vault.grants() == [grant_secret(account)]


class Desk:
    """One account's tokens, and what happens while one is fetched."""

    def __init__(self) -> None:
        self.clock = fakes.FakeClock()
        self.vault = FakeVault(self.clock)
        self.account = account_of(grant="first")
        self.vault.set("postroom-grant-first", "stored")
        self.clock.forward(days=2)
        self.accounts = FakeAccounts({"billing": self.account})
        self.identity = FakeIdentity()
        self.source = TokenSource(self.identity, self.vault, self.accounts, self.clock)

    def newer_sign_in(self) -> None:
        row = replace(self.account, grant="second", signed_in_at=NOW + timedelta(days=2))
        self.accounts.rows["billing"] = row
        self.vault.set("postroom-grant-second", "newer")
        self.vault.remove("postroom-grant-first")

    def while_writing_back(self, happens: Callable[[], object]) -> None:
        write = self.vault.set

        def late(name: str, value: str) -> object:
            self.vault.set = write  # type: ignore[method-assign]
            happens()
            return write(name, value)

        self.vault.set = late  # type: ignore[method-assign,assignment]


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_worker_that_knows_an_earlier_sign_in_uses_the_latest(desk: Desk) -> None:
    desk.newer_sign_in()

    assert desk.source.access_token(desk.account) == "access-2"
    assert [token for _, token in desk.identity.refreshes] == ["newer"]
    assert desk.accounts.rows["billing"].state is AccountState.READY


def test_a_late_write_back_leaves_the_grant_of_the_newer_sign_in(desk: Desk) -> None:
    desk.while_writing_back(desk.newer_sign_in)
    desk.source.access_token(desk.account)

    assert desk.vault.grants() == ["postroom-grant-second"]
    assert desk.vault.secrets["postroom-grant-second"][-1].value == "newer"


def test_a_late_write_back_to_a_disconnected_mailbox_is_taken_back(desk: Desk) -> None:
    def disconnect() -> None:
        desk.vault.remove("postroom-grant-first")
        del desk.accounts.rows["billing"]

    desk.while_writing_back(disconnect)
    desk.source.access_token(desk.account)

    assert desk.vault.grants() == []


def test_a_late_write_back_while_a_mailbox_is_being_disconnected_is_taken_back(desk: Desk) -> None:
    def mark() -> None:
        desk.accounts.rows["billing"] = replace(
            desk.account, state=AccountState.NEEDS_SIGN_IN, reason=DISCONNECTING
        )

    desk.while_writing_back(mark)
    desk.source.access_token(desk.account)

    assert desk.vault.grants() == []
