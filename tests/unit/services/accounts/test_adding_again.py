"""Mailboxes that nobody signs in, disconnected and added again: whose mails go, and whose do not."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest
from msgspec.structs import replace

from shared.errors import RemoteRefused, RequestRejected
from shared.mail.account import Account, AccountKind, AccountState
from shared.mail.status import Status
from shared.services.accounts.access_tokens import TokenSource
from shared.services.accounts.adding import Adding
from shared.services.accounts.adding_rules import Request
from shared.services.accounts.disconnecting import PendingMailAction
from shared.services.accounts.ports import Profile
from tests.fakes import FakeServices, account_of
from tests.unit.sign_in_fakes import FakeIdentity, FakeMailService, FakeVault

ADA = account_of("ada", scopes=frozenset({"Mail.Send", "Mail.Send.Shared"}), is_default=True)
SHARED = Request("info", AccountKind.SHARED, "info@contoso.com", through="ada")
APP = Request("info", AccountKind.APP, "info@contoso.com")
LOOKED_UP = Profile("oid-info", "info@contoso.com", "Info")
WRITTEN = ("/users/info@contoso.com", "/users/Info@contoso.com")
UNSEEN = RemoteRefused("graph", "refused", code="Authorization_RequestDenied")
each_kind = pytest.mark.parametrize("request_", [SHARED, APP], ids=["shared", "app"])


class Desk:
    """A room with an Adding beside it."""

    def __init__(self) -> None:
        self.services = FakeServices(ADA)
        self.directory = FakeMailService(users=dict.fromkeys(WRITTEN, LOOKED_UP))
        self.made = 0

    def add(self, request: Request) -> Account:
        services = self.services
        adding = Adding(
            tenant=ADA.tenant_id,
            allowed_mailboxes=(),
            accounts=services.accounts,
            tokens=TokenSource(FakeIdentity(), FakeVault(), services.accounts, services.clock),
            mail_service=self.directory,
            drafts=services.drafts,
            clock=services.clock,
            released=services.upkeep.release,
            new_account_id=self._new_id,
        )
        return adding.add(request).account

    def _new_id(self) -> str:
        self.made += 1
        return f"new-{self.made}"

    def leave(self, alias: str = "info", *, with_shared: bool = False) -> None:
        done = self.services.disconnecting.disconnect(
            alias, PendingMailAction.HOLD, with_shared=with_shared
        )
        assert done.done

    def held(self) -> str:
        """A mail that waits for the mailbox, which is gone."""
        mail_id = self.services.accepted(account="info")
        self.leave()
        self.services.handle(mail_id)
        assert self.services.status(mail_id) is Status.HELD
        return mail_id


@pytest.fixture
def desk() -> Desk:
    return Desk()


@each_kind
def test_the_same_mailbox_gets_its_mails_back(desk: Desk, request_: Request) -> None:
    first = desk.add(request_)
    mail_id = desk.held()

    again = desk.add(replace(request_, mailbox="Info@contoso.com"))
    desk.services.handle(mail_id)

    assert again.account_id == first.account_id
    assert desk.services.status(mail_id) is Status.SENT


@pytest.mark.parametrize(("before", "now"), [(SHARED, APP), (APP, SHARED)], ids=["app", "shared"])
def test_so_it_does_where_it_is_reached_in_the_other_way(
    desk: Desk, before: Request, now: Request
) -> None:
    desk.add(before)
    mail_id = desk.held()
    desk.add(now)
    desk.services.handle(mail_id)

    assert desk.services.status(mail_id) is Status.SENT


@pytest.mark.parametrize(
    ("before", "now"), [(UNSEEN, LOOKED_UP), (LOOKED_UP, UNSEEN)], ids=["seen", "unseen"]
)
def test_the_address_decides_where_the_directory_showed_nobody_once(
    desk: Desk, before: Profile | RemoteRefused, now: Profile | RemoteRefused
) -> None:
    desk.directory.users[WRITTEN[0]] = before
    first = desk.add(APP)
    desk.leave()
    desk.directory.users[WRITTEN[0]] = now

    assert desk.add(APP).account_id == first.account_id


def another_address(desk: Desk) -> Request:
    desk.directory.users["/users/desk@contoso.com"] = Profile("", "desk@contoso.com", "")
    return replace(APP, mailbox="desk@contoso.com")


def another_user(desk: Desk) -> Request:
    desk.directory.users["/users/info@contoso.com"] = replace(LOOKED_UP, object_id="oid-2")
    return APP


@pytest.mark.parametrize("other", [another_address, another_user])
def test_another_mailbox_gets_none_of_them(desk: Desk, other: Callable[[Desk], Request]) -> None:
    first = desk.add(APP)
    mail_id = desk.held()

    again = desk.add(other(desk))
    desk.services.handle(mail_id)

    assert again.account_id != first.account_id
    assert desk.services.ledger.mail(mail_id).reason == "mailbox_replaced"


def test_a_user_whose_address_changed_is_the_same_mailbox(desk: Desk) -> None:
    first = desk.add(APP)
    desk.leave()
    desk.directory.users["/users/desk@contoso.com"] = replace(LOOKED_UP, address="desk@contoso.com")

    assert desk.add(replace(APP, mailbox="desk@contoso.com")).account_id == first.account_id


@each_kind
@pytest.mark.parametrize(
    "changes",
    [
        {"tenant_id": "99999999-9999-4999-8999-999999999999"},
        {"kind": AccountKind.WORK},
        {"kind": None, "address_hash": ""},
        {"alias": "desk"},
    ],
    ids=["directory", "signed in", "a row of before", "alias"],
)
def test_nor_does_what_cannot_be_known_again(
    desk: Desk, request_: Request, changes: dict[str, object]
) -> None:
    first = desk.add(request_)
    desk.leave()
    (gone,) = desk.services.accounts.disconnected.values()
    desk.services.accounts.disconnected = {"info": replace(gone, **changes)}

    assert desk.add(request_).account_id != first.account_id


def test_a_shared_mailbox_that_was_taken_along_comes_back_with_its_holder(desk: Desk) -> None:
    first = desk.add(SHARED)
    mail_id = desk.services.accepted(account="info")
    desk.leave("ada", with_shared=True)
    desk.services.handle(mail_id)
    desk.services.accounts.put(ADA)
    again = desk.add(SHARED)
    desk.services.handle(mail_id)

    assert again.account_id == first.account_id
    assert desk.services.status(mail_id) is Status.SENT


@each_kind
@pytest.mark.parametrize("step", ["timetables.forget", "checks.remove", "accounts.remove_account"])
def test_nothing_is_lost_where_two_disconnect_it_and_it_is_added_in_between(
    desk: Desk, request_: Request, step: str
) -> None:
    first = desk.add(request_)
    mail_id = desk.services.accepted(account="info")

    def overtake() -> None:
        desk.leave()
        desk.add(request_)

    desk.services.faults.before(step, overtake)
    with suppress(RequestRejected):
        desk.leave()
    row = desk.services.accounts.rows["info"]
    desk.services.handle(mail_id)

    assert (row.account_id, row.state) == (first.account_id, AccountState.READY)
    assert desk.services.status(mail_id) is Status.SENT


@each_kind
def test_an_add_that_is_overtaken_by_the_departure_gets_the_id_back(
    desk: Desk, request_: Request
) -> None:
    first = desk.add(request_)
    mail_id = desk.services.accepted(account="info")
    desk.services.faults.before("accounts.register", desk.leave)
    again = desk.add(request_)
    desk.services.handle(mail_id)

    assert again.account_id == first.account_id
    assert desk.services.status(mail_id) is Status.SENT
