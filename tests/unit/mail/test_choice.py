"""Which account carries a mail."""

from __future__ import annotations

import pytest

from shared.errors import RequestRejected
from shared.mail import problems
from shared.mail.account import Account, AccountKind
from shared.mail.account_list import AccountList
from shared.mail.address import Address
from shared.mail.choice import choose
from shared.mail.problems import ProblemKind
from tests.fakes import account_of

SHARED = frozenset({"Mail.Send", "Mail.Send.Shared"})
BILLING = account_of("billing", scopes=SHARED, allowed_from=("info@contoso.com",))
HR = account_of("hr", scopes=SHARED, allowed_from=("info@contoso.com", "billing@contoso.com"))
PLAIN = account_of("plain", allowed_from=("info@contoso.com",))
INFO = account_of("info", kind=AccountKind.SHARED, scopes=SHARED, through="id-hr")
NOREPLY = account_of("noreply", kind=AccountKind.APP, allowed_from=("news@contoso.com",))
DEFAULT = account_of("main", is_default=True)


def alias_for(accounts: list[Account], alias: str | None, sender: str | None) -> str:
    return choose(AccountList(accounts), alias, Address(sender) if sender else None)[0].alias


@pytest.mark.parametrize(
    ("accounts", "alias", "sender", "expected"),
    [
        pytest.param([BILLING], None, None, "billing", id="the only one"),
        pytest.param([BILLING, DEFAULT], None, None, "main", id="the default"),
        pytest.param([BILLING, HR], "hr", None, "hr", id="by name"),
        pytest.param([DEFAULT, HR], "hr", "info@contoso.com", "hr", id="by name, allowed From"),
        pytest.param([HR, BILLING], None, "billing@contoso.com", "billing", id="owner first"),
        pytest.param([DEFAULT, HR], None, "billing@contoso.com", "hr", id="may use it"),
        pytest.param([HR, BILLING], None, "info@contoso.com", "hr", id="first that may"),
        pytest.param([HR, BILLING], None, "BILLING@Contoso.com", "billing", id="any casing"),
        pytest.param([HR, INFO], None, "info@contoso.com", "info", id="the shared mailbox itself"),
        pytest.param([PLAIN, HR], None, "info@contoso.com", "hr", id="one with the permission"),
        pytest.param([PLAIN], None, "plain@contoso.com", "plain", id="own needs no permission"),
        pytest.param([NOREPLY], None, "news@contoso.com", "noreply", id="the app needs none"),
    ],
)
def test_the_account_is_chosen(
    accounts: list[Account], alias: str | None, sender: str | None, expected: str
) -> None:
    assert alias_for(accounts, alias, sender) == expected


REFUSED = [
    pytest.param([], None, None, problems.NO_ACCOUNT, None, id="none at all"),
    pytest.param([], None, "a@b.com", problems.NO_ACCOUNT, None, id="none for the From"),
    pytest.param([], "hr", None, problems.UNKNOWN_ACCOUNT, "account", id="none of that name"),
    pytest.param([BILLING], "HR", None, problems.UNKNOWN_ACCOUNT, "account", id="unknown"),
    pytest.param([BILLING, HR], None, None, problems.UNKNOWN_ACCOUNT, "account", id="no default"),
    pytest.param(
        [BILLING], "billing", "ceo@contoso.com", problems.SENDER_NOT_ALLOWED, "from", id="not its"
    ),
    pytest.param(
        [BILLING, DEFAULT],
        None,
        "ceo@contoso.com",
        problems.SENDER_NOT_ALLOWED,
        "from",
        id="nobody's",
    ),
    pytest.param(
        [BILLING], None, "billing@contoso.com.evil.com", problems.SENDER_NOT_ALLOWED, "from", id="x"
    ),
]


@pytest.mark.parametrize(("accounts", "alias", "sender", "kind", "field"), REFUSED)
def test_a_mail_that_no_account_can_carry_is_refused(
    accounts: list[Account],
    alias: str | None,
    sender: str | None,
    kind: ProblemKind,
    field: str | None,
) -> None:
    with pytest.raises(RequestRejected) as caught:
        alias_for(accounts, alias, sender)

    assert caught.value.kind is kind
    assert [problem.field for problem in caught.value.errors] == ([field] if field else [])


def test_without_a_default_the_help_asks_for_an_account() -> None:
    with pytest.raises(RequestRejected) as caught:
        choose(AccountList([BILLING, HR]), None, None)

    assert "leave 'account' out" not in caught.value.help
    assert "make one account the default" in caught.value.help


def test_a_refused_from_names_the_right_that_is_missing() -> None:
    with pytest.raises(RequestRejected) as caught:
        alias_for([BILLING], None, "ceo@contoso.com")

    assert "'Send as' or 'Send on behalf'" in caught.value.errors[0].message


@pytest.mark.parametrize("alias", ["plain", None])
def test_a_refused_from_names_the_permission_that_is_missing(alias: str | None) -> None:
    with pytest.raises(RequestRejected) as caught:
        alias_for([PLAIN], alias, "info@contoso.com")

    assert caught.value.kind is problems.SENDER_NOT_ALLOWED
    assert "Mail.Send.Shared" in caught.value.errors[0].message


def test_without_from_the_accounts_own_name_and_address_are_used() -> None:
    assert choose(AccountList([BILLING]), None, None)[1] == Address(
        "billing@contoso.com", "Billing"
    )


def test_the_callers_display_name_is_kept() -> None:
    sender = Address("billing@contoso.com", "Accounts payable")

    assert choose(AccountList([BILLING]), None, sender)[1] == sender
