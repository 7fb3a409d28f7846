"""A mailbox that was disconnected and is connected again, and one that is on its way out."""

from __future__ import annotations

import pytest

from shared.mail.account import DISCONNECTING, AccountState
from shared.mail.known_errors import SignInRejected
from shared.services.accounts.access_tokens import grant_secret
from shared.services.accounts.ports import DisconnectedMailbox
from tests.unit.services.sign_in.test_authorization_code import Office
from tests.unit.sign_in_fakes import NOW, OBJECT, TENANT, account_of


def gone(alias: str = "billing", object_id: str = OBJECT) -> DisconnectedMailbox:
    return DisconnectedMailbox(alias, "id-before", TENANT, object_id, NOW)


@pytest.fixture
def office() -> Office:
    return Office()


def test_the_same_mailbox_gets_its_mails_back(office: Office) -> None:
    office.accounts.disconnected = [gone("hr"), gone()]
    account = office.finish(office.begin())

    assert account.account_id == "id-before"
    assert office.released == [account]
    assert account.grant != "id-before"
    assert office.vault.grants() == [grant_secret(account)]


@pytest.mark.parametrize(
    "disconnected", [gone("hr"), gone(object_id="99999999-9999-4999-8999-999999999999")]
)
def test_another_mailbox_or_alias_gets_none_of_them(
    office: Office, disconnected: DisconnectedMailbox
) -> None:
    office.accounts.disconnected = [disconnected]

    assert office.finish(office.begin()).account_id == "new-0"


def leaving(office: Office) -> None:
    office.accounts.rows["billing"] = account_of(
        account_id="id-before", state=AccountState.NEEDS_SIGN_IN, reason=DISCONNECTING
    )


def test_what_is_being_disconnected_cannot_be_signed_in(office: Office) -> None:
    leaving(office)
    with pytest.raises(SignInRejected, match="being disconnected") as refused:
        office.finish(office.begin())

    assert "/accounts/billing/disconnect" in refused.value.help
    assert office.vault.grants() == []


def test_a_sign_in_that_is_overtaken_by_it_leaves_no_secret_behind(office: Office) -> None:
    office.accounts.rows["billing"] = account_of(account_id="id-before")
    office.accounts.before_enrol = lambda: None
    flow = office.begin()
    stored = office.vault.set

    def set_late(name: str, value: str, tags: object = None) -> object:
        leaving(office)
        return stored(name, value)

    office.vault.set = set_late  # type: ignore[method-assign, assignment]
    with pytest.raises(SignInRejected, match="being disconnected"):
        office.finish(flow)

    assert office.vault.grants() == []
