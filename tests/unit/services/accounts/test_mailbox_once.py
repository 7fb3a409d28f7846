"""One mailbox, one account: a sign-in of what was added already, and the other way round."""

from __future__ import annotations

import pytest

from shared.errors import RequestRejected
from shared.mail.account import Account, AccountKind
from shared.mail.known_errors import SignInRejected
from shared.services.accounts.access_tokens import grant_secret
from tests.unit.services.accounts.test_adding import INFO, Desk, fields
from tests.unit.services.sign_in.test_authorization_code import OTHER, Office
from tests.unit.sign_in_fakes import OBJECT, TENANT, account_of

ADA = account_of("ada", object_id=OTHER, address="ada@contoso.com")
SHARED = account_of(
    "desk",
    object_id="",
    address="Billing@contoso.com",
    kind=AccountKind.SHARED,
    through=ADA.account_id,
)
APP = account_of("desk", object_id="", kind=AccountKind.APP)
LOOKED_UP = account_of("desk", object_id=OBJECT, address="old@contoso.com", kind=AccountKind.APP)


@pytest.fixture
def office() -> Office:
    office = Office()
    office.accounts.rows["ada"] = ADA
    return office


@pytest.mark.parametrize("added", [SHARED, APP, LOOKED_UP], ids=["shared", "app", "looked up"])
def test_a_mailbox_that_was_added_cannot_be_signed_in_under_another_alias(
    office: Office, added: Account
) -> None:
    office.accounts.rows["desk"] = added

    refused = office.refuse(office.begin("billing"))

    assert str(refused) == "billing@contoso.com is connected already, as 'desk'."
    assert isinstance(refused, RequestRejected)
    assert "/accounts/desk/disconnect" in refused.help


@pytest.mark.parametrize("added", [SHARED, APP, LOOKED_UP], ids=["shared", "app", "looked up"])
def test_nor_where_it_was_added_while_the_sign_in_was_under_way(
    office: Office, added: Account
) -> None:
    flow = office.begin("billing")
    stored = office.vault.set

    def set_late(name: str, value: str, tags: object = None) -> object:
        office.accounts.rows["desk"] = added
        return stored(name, value)

    office.vault.set = set_late  # type: ignore[method-assign, assignment]
    with pytest.raises(SignInRejected, match="is connected already, as 'desk'"):
        office.finish(flow)

    assert office.vault.grants() == []


@pytest.mark.parametrize(
    ("added", "how"),
    [(SHARED, "a shared mailbox"), (APP, "an app-only"), (LOOKED_UP, "an app-only")],
    ids=["shared", "app", "looked up"],
)
def test_under_its_own_alias_it_is_signed_in_only_where_that_is_asked_for(
    office: Office, added: Account, how: str
) -> None:
    office.accounts.rows["desk"] = added
    refused = office.refuse(office.begin("desk"))
    account = office.finish(office.begin("desk", replace=True))

    assert f"'desk' is {how}" in str(refused)
    assert isinstance(refused, RequestRejected)
    assert "tick 'Put another mailbox under this alias'" in refused.help
    assert (account.kind, account.through) == (AccountKind.WORK, None)
    assert office.vault.grants() == [grant_secret(account)]


def test_an_address_of_another_directory_is_another_mailbox(office: Office) -> None:
    elsewhere = account_of("desk", object_id="", tenant_id=OTHER, kind=AccountKind.APP)
    office.accounts.rows["desk"] = elsewhere

    assert office.finish(office.begin("billing")).alias == "billing"


def test_an_account_that_takes_over_the_address_of_one_that_was_added_is_refused(
    office: Office,
) -> None:
    """The user was renamed to the shared mailbox's address."""
    office.accounts.rows["billing"] = account_of("billing", address="before@contoso.com")
    office.accounts.rows["desk"] = SHARED

    with pytest.raises(SignInRejected, match="is connected already, as 'desk'"):
        office.finish(office.begin("billing"))


def test_a_signed_in_mailbox_cannot_be_added() -> None:
    desk = Desk()
    signed_in = account_of("own", object_id=OTHER, address="INFO@contoso.com", tenant_id=TENANT)
    desk.accounts.rows["own"] = signed_in

    assert fields(desk.refused(INFO)) == ["mailbox"]
