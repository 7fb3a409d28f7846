"""What an account may do, and which mailboxes are let in."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shared.mail.account import (
    ALIAS,
    PERSONAL_TENANT,
    AccountKind,
    AccountState,
    is_allowed,
    kind_of,
    user_path,
)
from tests.fakes import NOW, TENANT, account_of


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("billing@contoso.com", True),
        ("Billing@Contoso.com", True),
        ("info@contoso.com", True),
        ("INFO@contoso.com", True),
        ("ceo@contoso.com", False),
        ("", False),
    ],
)
def test_an_account_sends_as_itself_and_as_what_it_was_allowed(address: str, allowed: bool) -> None:
    account = account_of(allowed_from=("info@contoso.com",))

    assert account.may_send_as(address) is allowed


@pytest.mark.parametrize(
    ("state", "minutes", "can_send"),
    [
        (AccountState.READY, None, True),
        (AccountState.NEEDS_SIGN_IN, None, False),
        (AccountState.NEEDS_SIGN_IN, -1, False),
        (AccountState.HELD, None, False),
        (AccountState.HELD, 1, False),
        (AccountState.HELD, 0, True),
        (AccountState.HELD, -1, True),
    ],
)
def test_a_hold_ends_when_its_time_is_up_and_nothing_else_does(
    state: AccountState, minutes: int | None, can_send: bool
) -> None:
    until = None if minutes is None else NOW + timedelta(minutes=minutes)

    assert account_of(state=state, held_until=until).can_send_at(NOW) is can_send


@pytest.mark.parametrize(
    ("scopes", "expected"),
    [({"Mail.Send"}, False), ({"Mail.Send", "Mail.ReadWrite"}, True), ({"Mail.Read"}, False)],
)
def test_drafts_need_the_right_to_write(scopes: set[str], expected: bool) -> None:
    assert account_of(scopes=frozenset(scopes)).can_write_drafts is expected


@pytest.mark.parametrize(
    ("tenant", "kind"),
    [
        (PERSONAL_TENANT, AccountKind.PERSONAL),
        (PERSONAL_TENANT.upper(), AccountKind.PERSONAL),
        (TENANT, AccountKind.WORK),
    ],
)
def test_personal_accounts_are_known_by_their_tenant(tenant: str, kind: AccountKind) -> None:
    assert kind_of(tenant) is kind


@pytest.mark.parametrize(
    ("allow_list", "expected"),
    [
        ((), True),
        (("billing@contoso.com",), True),
        (("contoso.com",), True),
        (("@contoso.com",), True),
        ((TENANT,), True),
        (("hr@contoso.com", "contoso.com"), True),
        (("hr@contoso.com",), False),
        (("evil.com",), False),
        (("toso.com",), False),
        (("com",), False),
        (("illing@contoso.com",), False),
        (("22222222-2222-4222-8222-222222222222",), False),
    ],
)
def test_the_allow_list_admits_addresses_domains_and_tenants(
    allow_list: tuple[str, ...], expected: bool
) -> None:
    assert is_allowed("Billing@Contoso.com", TENANT, allow_list) is expected


def test_a_subdomain_is_another_domain() -> None:
    assert not is_allowed("a@mail.contoso.com", TENANT, ("contoso.com",))


@pytest.mark.parametrize(
    ("alias", "fits"),
    [
        ("billing", True),
        ("a", True),
        ("hr-2", True),
        ("a" * 40, True),
        ("a" * 41, False),
        ("-a", False),
        ("Billing", False),
        ("a b", False),
        ("a'b", False),
        ("", False),
    ],
)
def test_an_alias_is_short_and_plain(alias: str, fits: bool) -> None:
    assert bool(ALIAS.fullmatch(alias)) is fits


@pytest.mark.parametrize(
    ("kind", "object_id", "path"),
    [
        (AccountKind.WORK, "oid", "/me"),
        (AccountKind.PERSONAL, "oid", "/me"),
        (AccountKind.SHARED, "", "/users/info@contoso.com"),
        (AccountKind.APP, "", "/users/info@contoso.com"),
        (AccountKind.APP, "oid", "/users/oid"),
    ],
)
def test_graph_is_asked_at_me_for_who_is_signed_in_and_at_users_for_all_others(
    kind: AccountKind, object_id: str, path: str
) -> None:
    account = account_of(kind=kind, object_id=object_id, address="info@contoso.com")

    assert account.graph_path == path


@pytest.mark.parametrize(
    ("who", "path"),
    [
        ("$x@contoso.com", "/users('$x@contoso.com')"),
        ("$o'neil@contoso.com", "/users('$o''neil@contoso.com')"),
        ("o'neil@contoso.com", "/users/o%27neil@contoso.com"),
        ("../me/sendMail?x=@contoso.com", "/users/..%2Fme%2FsendMail%3Fx%3D@contoso.com"),
        ("a#ext#@contoso.com", "/users/a%23ext%23@contoso.com"),
    ],
)
def test_no_user_name_leads_to_another_address_of_graph(who: str, path: str) -> None:
    assert user_path(who) == path


@pytest.mark.parametrize(
    ("kind", "scopes", "expected"),
    [
        (AccountKind.SHARED, {"Mail.ReadWrite"}, False),
        (AccountKind.SHARED, {"Mail.ReadWrite.Shared"}, True),
        (AccountKind.APP, {"Mail.ReadWrite"}, True),
        (AccountKind.WORK, {"Mail.ReadWrite.Shared"}, False),
    ],
)
def test_drafts_in_anothers_mailbox_need_the_shared_form(
    kind: AccountKind, scopes: set[str], expected: bool
) -> None:
    account = account_of(kind=kind, scopes=frozenset(scopes), through="id-ada")

    assert account.can_write_drafts is expected


def test_the_token_of_a_shared_mailbox_is_its_holders() -> None:
    assert account_of(kind=AccountKind.SHARED, through="id-ada").grant_id == "id-ada"
    assert account_of().grant_id == "id-billing"


@pytest.mark.parametrize("address", ["a@ban\u212a.com", "\u212a@bank.com"])
def test_a_look_alike_that_unicode_folds_is_not_on_the_list(address: str) -> None:
    assert not is_allowed(
        address, TENANT, ("bank.com" if "@ban\u212a" in address else "k@bank.com",)
    )
