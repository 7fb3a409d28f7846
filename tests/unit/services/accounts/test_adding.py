"""Adding mailboxes that nobody signs in: what is checked first, and that a refusal stores nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from msgspec.structs import replace

from shared.errors import (
    AnswerLost,
    ConsentRequired,
    CredentialRefused,
    NotSent,
    RemoteError,
    RemoteRefused,
    RequestRejected,
)
from shared.mail import rights
from shared.mail.account import DISCONNECTING, Account, AccountKind, AccountState
from shared.mail.outcome import GraphAnswer
from shared.services.accounts.access_tokens import TokenSource
from shared.services.accounts.adding import Added, Adding
from shared.services.accounts.adding_rules import NOT_LOOKED_UP, Request
from shared.services.accounts.ports import Profile
from tests.fakes import Clock as MemoryClock
from tests.fakes import Faults, MemoryDrafts
from tests.unit.sign_in_fakes import (
    NOW,
    TENANT,
    FakeAccounts,
    FakeClock,
    FakeIdentity,
    FakeMailService,
    FakeVault,
    account_of,
)

SHARED = frozenset({"Mail.Send", "Mail.Send.Shared", "User.Read"})
WHOLE = SHARED | {"Mail.ReadWrite", "Mail.ReadWrite.Shared"}
ADA = account_of("ada", address="ada@contoso.com", scopes=SHARED)
INFO = Request("info", AccountKind.SHARED, "info@contoso.com", through="ada")
NOREPLY = Request("noreply", AccountKind.APP, "noreply@contoso.com")
DENIED = GraphAnswer(403, "ErrorAccessDenied")
LOOKED_UP = Profile("oid-noreply", "No.Reply@contoso.com", "No Reply")


@dataclass
class Desk:
    """An Adding with everything around it."""

    tenant: str = TENANT
    allowed: tuple[str, ...] = ()
    holder: Account | None = field(default_factory=lambda: ADA)
    released: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clock = FakeClock()
        self.identity = FakeIdentity()
        self.mail_service = FakeMailService(users={"/users/noreply@contoso.com": LOOKED_UP})
        self.vault = FakeVault(self.clock)
        self.vault.set("postroom-grant-id-ada", "stored")
        rows = {"ada": self.holder} if self.holder else {}
        self.accounts = FakeAccounts(rows)
        self.drafts = MemoryDrafts(Faults(), MemoryClock(NOW))
        self.tokens = TokenSource(self.identity, self.vault, self.accounts, self.clock)

    def add(self, request: Request) -> Added:
        return Adding(
            tenant=self.tenant,
            allowed_mailboxes=self.allowed,
            accounts=self.accounts,
            tokens=self.tokens,
            mail_service=self.mail_service,
            drafts=self.drafts,
            clock=self.clock,
            released=self._release,
            new_account_id=lambda: f"id-{request.alias}",
        ).add(request)

    def _release(self, account: Account) -> int:
        self.released.append(account.alias)
        return 0

    def refused(self, request: Request) -> RequestRejected:
        """Add what must be refused, leaving everything as it was."""
        before = dict(self.accounts.rows)
        with pytest.raises(RequestRejected) as refused:
            self.add(request)
        assert self.accounts.rows == before
        assert self.released == []
        return refused.value


def fields(refused: RequestRejected) -> list[str]:
    return [problem.field for problem in refused.errors]


def test_a_shared_mailbox_is_reached_through_its_holder() -> None:
    desk = Desk()

    added = desk.add(INFO)

    row = desk.accounts.rows["info"]
    assert added.is_new
    assert (row.kind, row.through, row.address) == (
        AccountKind.SHARED,
        "id-ada",
        "info@contoso.com",
    )
    assert (row.tenant_id, row.account_id, row.is_default) == (TENANT, "id-info", False)
    assert desk.vault.grants() == ["postroom-grant-id-ada"]
    assert desk.released == ["info"]
    assert "shows with the first mail" in added.notes[0]


UNFIT = [
    ("no such account", lambda row: None, "through"),
    ("personal", lambda row: replace(row, kind=AccountKind.PERSONAL), "through"),
    ("app-only", lambda row: replace(row, kind=AccountKind.APP), "through"),
    ("signed out", lambda row: replace(row, state=AccountState.NEEDS_SIGN_IN), "through"),
    ("no permission", lambda row: replace(row, scopes=frozenset({"Mail.Send"})), "through"),
]


@pytest.mark.parametrize(("change", "name"), [row[1:] for row in UNFIT], ids=[r[0] for r in UNFIT])
def test_a_holder_that_cannot_send_as_others_is_refused(
    change: Callable[[Account], Account | None], name: str
) -> None:
    refused = Desk(holder=change(ADA)).refused(INFO)

    assert fields(refused) == [name]


def test_a_missing_permission_is_named_with_the_box_to_tick() -> None:
    refused = Desk(holder=replace(ADA, scopes=frozenset({"Mail.Send"}))).refused(INFO)

    assert "Mail.Send.Shared" in refused.errors[0].message
    assert "'Shared mailboxes and other From addresses'" in refused.errors[0].message


def test_verified_sending_takes_the_shared_permission_for_drafts() -> None:
    refused = Desk().refused(replace(INFO, verified=True))

    assert fields(refused) == ["verified"]
    assert "Mail.ReadWrite.Shared" in refused.errors[0].message


def test_where_drafts_are_permitted_one_is_made_and_removed() -> None:
    desk = Desk(holder=replace(ADA, scopes=WHOLE))

    desk.add(INFO)

    mailbox = "/users/info@contoso.com"
    assert desk.drafts.asked == [("create", mailbox), ("remove", mailbox)]
    assert desk.drafts.letters == []


def test_a_shared_mailbox_that_may_not_be_opened_is_refused_with_the_right_it_takes() -> None:
    desk = Desk(holder=replace(ADA, scopes=WHOLE))
    desk.drafts.answers["create"] = [DENIED]

    refused = desk.refused(INFO)

    assert refused.help == rights.NO_FULL_ACCESS
    assert fields(refused) == ["mailbox"]


@pytest.mark.parametrize(
    "trouble", [NotSent("graph", "away"), AnswerLost("graph", "lost")], ids=["away", "lost"]
)
def test_a_trial_that_is_not_answered_adds_nothing(trouble: RemoteError) -> None:
    desk = Desk(holder=replace(ADA, scopes=WHOLE))
    desk.drafts._faults.before("drafts.create", trouble)

    with pytest.raises(NotSent):
        desk.add(INFO)
    assert set(desk.accounts.rows) == {"ada"}


def test_an_app_only_mailbox_is_looked_up_and_has_no_secret() -> None:
    desk = Desk(holder=None)

    added = desk.add(NOREPLY)

    row = desk.accounts.rows["noreply"]
    assert (row.kind, row.object_id, row.address) == (
        AccountKind.APP,
        "oid-noreply",
        "No.Reply@contoso.com",
    )
    assert (row.authority, row.tenant_id) == (TENANT, TENANT)
    assert row.scopes == {"Mail.Send"}
    assert (row.is_default, row.display_name) == (True, "No Reply")
    assert desk.identity.app_grants == [TENANT]
    assert added.is_new


def test_a_directory_that_shows_nobody_is_no_obstacle_and_said() -> None:
    desk = Desk(holder=None)
    desk.mail_service.users["/users/noreply@contoso.com"] = RemoteRefused(
        "graph", "refused", code="Authorization_RequestDenied"
    )

    added = desk.add(NOREPLY)

    assert added.account.graph_path == "/users/noreply@contoso.com"
    assert NOT_LOOKED_UP in added.notes


def test_a_user_who_is_not_in_the_directory_is_refused() -> None:
    desk = Desk(holder=None)
    desk.mail_service.users["/users/noreply@contoso.com"] = RemoteRefused(
        "graph", "refused", code="Request_ResourceNotFound"
    )

    assert fields(desk.refused(NOREPLY)) == ["mailbox"]


@pytest.mark.parametrize(
    ("setting", "given", "field"),
    [
        ("organizations", None, "tenant"),
        ("common", None, "tenant"),
        ("consumers", None, "tenant"),
        (TENANT, "consumers", "tenant"),
        (TENANT, "9188040d-6c67-4c5b-b112-36a304b66dad", "tenant"),
        (TENANT, "../evil", "tenant"),
        (TENANT, "contoso", "tenant"),
    ],
)
def test_an_app_acts_in_one_directory_alone(setting: str, given: str | None, field: str) -> None:
    desk = Desk(tenant=setting, holder=None)

    assert fields(desk.refused(replace(NOREPLY, tenant=given))) == [field]
    assert desk.identity.app_grants == []


@pytest.mark.parametrize("given", [TENANT, "contoso.com", "contoso.onmicrosoft.com"])
def test_a_directory_is_named_by_its_id_or_a_domain(given: str) -> None:
    desk = Desk(tenant="organizations", holder=None)

    added = desk.add(replace(NOREPLY, tenant=given))

    assert desk.identity.app_grants == [given]
    assert added.account.tenant_id == TENANT


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (CredentialRefused("AADSTS7000215", "x"), "AADSTS7000215"),
        (CredentialRefused("AADSTS700016", "x"), "AADSTS700016"),
        (ConsentRequired("AADSTS53003", "x"), "AADSTS53003"),
    ],
)
def test_an_app_that_gets_no_token_is_told_by_the_catalogue(trouble: Exception, words: str) -> None:
    desk = Desk(holder=None)
    desk.identity.app_granted = [trouble]

    refused = desk.refused(NOREPLY)

    assert words in refused.detail
    assert fields(refused) == ["tenant"]


def test_whether_the_app_may_make_drafts_is_tried_where_it_is_asked_for() -> None:
    desk = Desk(holder=None)
    desk.drafts.answers["create"] = [DENIED]

    refused = desk.refused(replace(NOREPLY, verified=True))
    added = desk.add(replace(NOREPLY, verified=True))

    assert refused.help == rights.NO_APP_DRAFTS
    assert added.account.can_write_drafts


@pytest.mark.parametrize("request_", [INFO, NOREPLY], ids=["shared", "app"])
def test_a_mailbox_that_is_not_on_the_allow_list_is_refused(request_: Request) -> None:
    desk = Desk(allowed=("ada@contoso.com",))

    assert fields(desk.refused(request_)) == ["mailbox"]


@pytest.mark.parametrize(
    ("alias", "mailbox", "field"),
    [
        ("ada", "info@contoso.com", "alias"),
        ("info", "ADA@contoso.com", "mailbox"),
        ("other", "info@contoso.com", "mailbox"),
    ],
)
def test_what_is_taken_is_refused(alias: str, mailbox: str, field: str) -> None:
    desk = Desk()
    if alias == "other":
        desk.add(INFO)
        desk.released.clear()

    assert fields(desk.refused(replace(INFO, alias=alias, mailbox=mailbox))) == [field]


def test_adding_again_renews_the_row_and_keeps_what_was_set_up() -> None:
    desk = Desk()
    first = desk.add(INFO).account
    held = replace(first, state=AccountState.HELD, reason="x", allowed_from=("a@contoso.com",))
    desk.accounts.rows["info"] = held

    again = desk.add(INFO)

    row = desk.accounts.rows["info"]
    assert not again.is_new
    assert (row.account_id, row.allowed_from) == (first.account_id, ("a@contoso.com",))
    assert (row.state, row.reason) == (AccountState.READY, None)


def test_of_two_that_are_added_at_one_moment_the_second_sees_the_first() -> None:
    desk = Desk()
    desk.accounts.losing = 1

    assert desk.add(INFO).is_new
    assert desk.accounts.saves == 1


@pytest.mark.parametrize(
    ("request_", "names"),
    [
        (Request("Not valid!", AccountKind.APP, "nothing"), ["alias", "mailbox"]),
        (Request("info", AccountKind.SHARED, "info@contoso.com"), ["through"]),
        (replace(INFO, tenant="contoso.com"), ["tenant"]),
        (replace(NOREPLY, through="ada"), ["through"]),
    ],
)
def test_every_field_that_is_wrong_is_named(request_: Request, names: list[str]) -> None:
    assert fields(Desk().refused(request_)) == names


@pytest.mark.parametrize(
    "mailbox", ["a@contoso.com, b@contoso.com", "A <a@contoso.com>; B <b@contoso.com>"]
)
def test_several_mailboxes_in_one_text_are_refused_as_that(mailbox: str) -> None:
    refused = Desk().refused(replace(NOREPLY, mailbox=mailbox))

    (problem,) = refused.errors
    assert (problem.field, problem.message) == (
        "mailbox",
        "has several addresses: add one mailbox at a time",
    )


@pytest.mark.parametrize("request_", [INFO, NOREPLY], ids=["shared", "app"])
def test_what_is_being_disconnected_cannot_be_added(request_: Request) -> None:
    desk = Desk()
    desk.add(request_)
    desk.released.clear()
    row = desk.accounts.rows[request_.alias]
    desk.accounts.save(replace(row, state=AccountState.NEEDS_SIGN_IN, reason=DISCONNECTING))

    refused = desk.refused(request_)

    assert fields(refused) == ["alias"]
    assert f"/accounts/{request_.alias}/disconnect" in refused.errors[0].message


@pytest.mark.parametrize("request_", [INFO, NOREPLY], ids=["shared", "app"])
def test_nor_what_began_to_be_disconnected_after_the_look(request_: Request) -> None:
    desk = Desk()
    desk.add(request_)
    desk.released.clear()

    def disconnect() -> None:
        desk.accounts.before_enrol = lambda: None
        row = desk.accounts.rows[request_.alias]
        desk.accounts.save(replace(row, state=AccountState.NEEDS_SIGN_IN, reason=DISCONNECTING))

    desk.accounts.before_enrol = disconnect
    with pytest.raises(RequestRejected, match="taken"):
        desk.add(request_)

    assert desk.accounts.rows[request_.alias].reason == DISCONNECTING
    assert desk.released == []


MEANWHILE = [
    ("left", lambda row: None, "was disconnected"),
    ("became another mailbox", lambda row: replace(row, account_id="id-2"), "another mailbox"),
    (
        "signed out",
        lambda row: replace(row, state=AccountState.NEEDS_SIGN_IN, reason="AADSTS50173"),
        "signed in again",
    ),
    (
        "is leaving",
        lambda row: replace(row, state=AccountState.NEEDS_SIGN_IN, reason=DISCONNECTING),
        "is being disconnected",
    ),
    ("lost the permission", lambda row: replace(row, scopes=frozenset({"Mail.Send"})), "granted"),
]


@pytest.mark.parametrize(
    ("change", "words"), [row[1:] for row in MEANWHILE], ids=[row[0] for row in MEANWHILE]
)
def test_a_holder_that_is_not_what_it_was_any_more_takes_nobody(
    change: Callable[[Account], Account | None], words: str
) -> None:
    desk = Desk()

    def change_holder() -> None:
        desk.accounts.before_enrol = lambda: None
        desk.accounts.registered += 1
        holder = change(desk.accounts.rows.pop("ada"))
        if holder is not None:
            desk.accounts.rows["ada"] = holder

    desk.accounts.before_enrol = change_holder
    with pytest.raises(RequestRejected) as refused:
        desk.add(INFO)

    assert fields(refused.value) == ["through"]
    assert words in refused.value.errors[0].message
    assert "info" not in desk.accounts.rows
    assert desk.released == []
