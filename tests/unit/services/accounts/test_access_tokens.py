"""Access tokens: cached, single-flight, rotated, and honest about dead grants."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from shared.errors import AnswerLost, ConsentRequired, CredentialRefused, NotSent, RemoteRefused
from shared.mail.account import Account, AccountKind, AccountState
from shared.services.accounts.access_tokens import TokenSource, grant_secret
from shared.services.accounts.ports import Tokens
from shared.services.sign_in.ports import Grant, StoredSecret
from tests.unit.sign_in_fakes import (
    NOW,
    FakeAccounts,
    FakeClock,
    FakeIdentity,
    FakeVault,
    account_of,
    events_in,
    grant_of,
)

REVOKED = ConsentRequired("AADSTS50173", "revoked")
NAME = "postroom-grant-id-billing"


@dataclass
class Desk:
    """A TokenSource with everything around it, for one account."""

    clock: FakeClock = field(default_factory=FakeClock)
    identity: FakeIdentity = field(default_factory=FakeIdentity)
    account: Account = field(default_factory=account_of)

    def __post_init__(self) -> None:
        self.vault = FakeVault(self.clock)
        self.vault.set(NAME, "stored-1")
        self.accounts = FakeAccounts({"billing": self.account})
        self.source = TokenSource(self.identity, self.vault, self.accounts, self.clock)

    def token(self) -> str:
        return self.source.access_token(self.account)

    @property
    def row(self) -> Account:
        return self.accounts.rows["billing"]


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_it_fulfils_the_port(desk: Desk) -> None:
    tokens: Tokens = desk.source

    assert tokens.access_token(desk.account) == "access-2"


def test_a_second_token_costs_nothing_remote(desk: Desk) -> None:
    desk.token()
    reads = desk.vault.reads

    assert desk.token() == "access-2"
    assert len(desk.identity.refreshes) == 1
    assert desk.vault.reads == reads


def test_the_accounts_own_authority_serves_the_refresh(desk: Desk) -> None:
    desk.account = replace(desk.account, authority="consumers")

    desk.token()

    assert desk.identity.refreshes == [("consumers", "stored-1")]


@pytest.mark.parametrize(
    ("minutes", "refreshes"), [pytest.param(54, 1, id="six left"), pytest.param(56, 2, id="four")]
)
def test_a_token_is_good_for_five_minutes_or_replaced(
    desk: Desk, minutes: int, refreshes: int
) -> None:
    desk.token()
    desk.clock.forward(minutes=minutes)
    desk.token()

    assert len(desk.identity.refreshes) == refreshes


def test_a_short_lived_token_is_still_used_for_half_its_life(desk: Desk) -> None:
    desk.identity.refreshed = [grant_of(expires_in_seconds=60)]
    desk.token()
    desk.clock.forward(seconds=29)
    desk.token()

    assert len(desk.identity.refreshes) == 1


def test_many_threads_make_one_refresh(desk: Desk) -> None:
    barrier = threading.Barrier(16)

    def ask() -> str:
        barrier.wait()
        return desk.token()

    with ThreadPoolExecutor(16) as pool:
        tokens = list(pool.map(lambda _: ask(), range(16)))

    assert set(tokens) == {"access-2"}
    assert len(desk.identity.refreshes) == 1


def test_accounts_do_not_wait_for_each_other(desk: Desk) -> None:
    """A refresh that hangs holds up its own account only."""
    other = account_of("other")
    desk.vault.set(grant_secret(other), "stored-other")
    hanging, go_on = threading.Event(), threading.Event()

    def hang() -> None:
        if not hanging.is_set():
            hanging.set()
            assert go_on.wait(5)

    desk.identity.before_refresh = hang
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(desk.token)
        assert hanging.wait(5)
        assert desk.source.access_token(other) == "access-2"
        go_on.set()
        first.result(5)


def test_a_refused_token_is_forgotten(desk: Desk) -> None:
    desk.source.forget(desk.account, desk.token())
    desk.token()

    assert len(desk.identity.refreshes) == 2


def test_forgetting_spares_a_token_that_replaced_the_refused_one(desk: Desk) -> None:
    desk.token()
    desk.source.forget(desk.account, "an older one")
    desk.token()

    assert len(desk.identity.refreshes) == 1


def test_a_new_sign_in_makes_the_old_token_void(desk: Desk) -> None:
    desk.token()
    desk.account = replace(desk.account, signed_in_at=NOW + timedelta(minutes=1))
    desk.token()

    assert len(desk.identity.refreshes) == 2


def test_a_rotated_grant_is_not_written_within_a_day(desk: Desk) -> None:
    desk.clock.forward(hours=23)
    desk.token()

    assert [version.value for version in desk.vault.secrets[NAME]] == ["stored-1"]


def test_a_rotated_grant_is_written_after_a_day(desk: Desk) -> None:
    desk.clock.forward(hours=25)
    desk.token()

    assert [version.value for version in desk.vault.secrets[NAME]] == ["stored-1", "refresh-2"]


def test_a_grant_unused_for_a_month_is_refreshed_and_stored(desk: Desk) -> None:
    desk.token()
    desk.clock.forward(days=31)
    desk.token()

    assert desk.vault.secrets[NAME][-1].value == "refresh-2"


def test_the_newest_grant_survives_two_interleaved_workers(desk: Desk) -> None:
    """A grant stored while we refreshed is not overwritten with the fruit of the older one."""
    desk.clock.forward(days=2)
    desk.identity.before_refresh = lambda: (
        desk.vault.set(NAME, "stored-by-another"),
        None,
    )[1]
    desk.token()

    assert desk.vault.secrets[NAME][-1].value == "stored-by-another"


class Renewing:
    """Entra for two processes: each refresh gives a token of its own, and ends none."""

    def __init__(self) -> None:
        self._good = {"stored-1"}
        self._made = 1

    def works(self, token: str) -> bool:
        return token in self._good

    def refresh(self, token: str) -> Grant:
        if token not in self._good:
            raise ConsentRequired("AADSTS70000", "used before")
        self._made += 1
        self._good.add(f"stored-{self._made}")
        return grant_of(refresh_token=f"stored-{self._made}")


class Interrupted:
    """A process's vault and Entra, with something that happens just before its nth call."""

    def __init__(
        self, vault: FakeVault, entra: Renewing, at: int, happens: Callable[[], object]
    ) -> None:
        self._vault = vault
        self._entra = entra
        self._left = at
        self._happens = happens

    def get(self, name: str) -> StoredSecret | None:
        self._step()
        return self._vault.get(name)

    def set(self, name: str, value: str, tags: Mapping[str, str] | None = None) -> StoredSecret:
        self._step()
        return self._vault.set(name, value, tags)

    def remove(self, name: str) -> None:
        self._vault.remove(name)

    def refresh(self, authority: str, refresh_token: str, scopes: Sequence[str]) -> Grant:
        self._step()
        return self._entra.refresh(refresh_token)

    def _step(self) -> None:
        self._left -= 1
        if self._left == 0:
            self._happens()


@pytest.mark.parametrize("at", range(1, 7))
def test_wherever_another_process_comes_between_both_go_on_and_the_vault_keeps_what_works(
    desk: Desk, at: int
) -> None:
    """The first process is stopped before each of its calls, and the second runs to its end."""
    entra = Renewing()
    desk.clock.forward(days=2)

    def process(at: int = 0, happens: Callable[[], object] = lambda: None) -> TokenSource:
        world = Interrupted(desk.vault, entra, at, happens)
        identity: Any = world
        return TokenSource(identity, world, desk.accounts, desk.clock)

    second = process()
    first = process(at, lambda: second.access_token(desk.account))

    assert first.access_token(desk.account)
    assert second.access_token(desk.account)
    kept = desk.vault.get(NAME)
    assert kept is not None
    assert entra.works(kept.value)
    assert desk.row.state is AccountState.READY


@pytest.mark.parametrize("trouble", [NotSent("vault", "x"), AnswerLost("vault", "x")])
def test_a_grant_that_cannot_be_written_back_does_not_stop_the_mail(
    desk: Desk, trouble: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    desk.clock.forward(days=2)
    desk.vault.trouble = trouble

    assert desk.token() == "access-2"
    assert [event["event"] for event in events_in(caplog.messages)] == ["grant_not_stored"]


def test_a_newer_grant_in_the_vault_is_tried_before_the_account_is_given_up(desk: Desk) -> None:
    desk.identity.refreshed = [REVOKED, grant_of(access_token="access-3")]
    desk.identity.before_refresh = lambda: (
        None if desk.identity.refreshes else (desk.vault.set(NAME, "stored-2"), None)[1]
    )

    assert desk.token() == "access-3"
    assert [token for _, token in desk.identity.refreshes] == ["stored-1", "stored-2"]
    assert desk.row.state is AccountState.READY


def test_a_dead_grant_marks_the_account_with_entras_code(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.identity.refreshed = [REVOKED]

    with pytest.raises(ConsentRequired):
        desk.token()

    assert (desk.row.state, desk.row.reason) == (AccountState.NEEDS_SIGN_IN, "AADSTS50173")
    assert events_in(caplog.messages) == [
        {"event": "account_needs_sign_in", "account": "billing", "code": "AADSTS50173"}
    ]


def test_a_dead_grant_is_not_hammered_and_alerts_once(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.identity.refreshed = [REVOKED]
    for _ in range(5):
        with pytest.raises(ConsentRequired):
            desk.token()
    desk.clock.forward(seconds=61)
    with pytest.raises(ConsentRequired):
        desk.token()

    assert len(desk.identity.refreshes) == 2
    assert len(events_in(caplog.messages)) == 1


def test_a_lost_race_while_marking_is_settled_by_reading_again(desk: Desk) -> None:
    desk.identity.refreshed = [REVOKED]
    desk.accounts.losing = 1

    with pytest.raises(ConsentRequired):
        desk.token()

    assert desk.row.state is AccountState.NEEDS_SIGN_IN


def test_an_account_signed_in_anew_meanwhile_is_left_alone(desk: Desk) -> None:
    desk.identity.refreshed = [REVOKED]
    desk.accounts.rows["billing"] = replace(desk.account, signed_in_at=NOW + timedelta(hours=1))

    with pytest.raises(ConsentRequired):
        desk.token()

    assert desk.row.state is AccountState.READY


def test_a_missing_grant_asks_for_a_sign_in(desk: Desk) -> None:
    desk.vault.secrets.clear()

    with pytest.raises(ConsentRequired):
        desk.token()

    assert (desk.row.state, desk.row.reason) == (AccountState.NEEDS_SIGN_IN, "no_grant")


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(NotSent("entra", "reset"), id="reset"),
        pytest.param(NotSent("entra", "429", retry_after=30), id="429"),
        pytest.param(CredentialRefused("AADSTS7000222", "expired"), id="expired secret"),
    ],
)
def test_trouble_that_is_not_the_mailboxs_changes_no_account(
    desk: Desk, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    desk.identity.refreshed = [error]

    with pytest.raises(type(error)):
        desk.token()

    assert desk.accounts.saves == 0
    assert not caplog.messages


def test_retry_after_is_kept(desk: Desk) -> None:
    desk.identity.refreshed = [NotSent("entra", "429", retry_after=30), grant_of()]
    for _ in range(3):
        with pytest.raises(NotSent):
            desk.token()
    desk.clock.forward(seconds=31)

    assert desk.token() == "access-1"
    assert len(desk.identity.refreshes) == 2


def test_an_answer_known_to_pass_gets_a_second_chance_after_a_minute(desk: Desk) -> None:
    """70000 has been seen for grants that worked a minute later."""
    desk.identity.refreshed = [ConsentRequired("AADSTS70000", "x")]
    with pytest.raises(NotSent) as first:
        desk.token()
    assert desk.accounts.saves == 0

    desk.clock.forward(seconds=61)
    with pytest.raises(ConsentRequired):
        desk.token()

    assert first.value.retry_after == 60
    assert desk.row.state is AccountState.NEEDS_SIGN_IN


def test_a_federated_credential_that_is_not_known_yet_is_waited_for_and_then_told(
    desk: Desk,
) -> None:
    """What was made a minute ago is known to some of Entra's servers and not to others."""
    desk.identity.refreshed = [CredentialRefused("AADSTS700213", "no match")]
    for _ in range(20):
        with pytest.raises(NotSent) as caught:
            desk.token()
        assert caught.value.retry_after == 30
        desk.clock.forward(seconds=30)

    with pytest.raises(CredentialRefused):
        desk.token()
    assert desk.row.state is AccountState.READY


def test_a_federated_credential_that_is_known_at_last_sends(desk: Desk) -> None:
    desk.identity.refreshed = [
        CredentialRefused("AADSTS700213", "no match"),
        grant_of(access_token="access-2"),
    ]
    with pytest.raises(NotSent):
        desk.token()
    desk.clock.forward(seconds=30)

    assert desk.token() == "access-2"


def test_a_vault_that_says_no_is_the_operators_to_mend(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(name: str) -> None:
        raise RemoteRefused("vault", "no right")

    monkeypatch.setattr(desk.vault, "get", refuse)

    with pytest.raises(CredentialRefused):
        desk.token()


def test_storage_trouble_while_marking_still_tells_the_caller(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.identity.refreshed = [REVOKED]
    desk.accounts.trouble = NotSent("storage", "x")

    with pytest.raises(ConsentRequired):
        desk.token()

    assert [event["event"] for event in events_in(caplog.messages)] == ["account_not_marked"]


# Another's mailbox, and the app's own name.

SHARED = frozenset({"Mail.Send", "Mail.Send.Shared"})


@pytest.fixture
def shared(desk: Desk) -> Account:
    """A shared mailbox that is reached by the desk's account."""
    desk.account = desk.accounts.rows["billing"] = replace(desk.account, scopes=SHARED)
    row = account_of("info", kind=AccountKind.SHARED, object_id="", through="id-billing")
    desk.accounts.rows["info"] = row
    return row


@pytest.fixture
def app(desk: Desk) -> Account:
    row = account_of("noreply", kind=AccountKind.APP, authority="a-tenant")
    desk.accounts.rows["noreply"] = row
    return row


def test_a_shared_mailbox_and_its_holder_have_one_token(desk: Desk, shared: Account) -> None:
    assert desk.source.access_token(shared) == desk.token()
    assert len(desk.identity.refreshes) == 1

    desk.source.forget(shared, "access-2")

    desk.token()
    assert len(desk.identity.refreshes) == 2


def test_a_refusal_of_a_shared_mailbox_marks_its_holder_and_alerts_once(
    desk: Desk, shared: Account, caplog: pytest.LogCaptureFixture
) -> None:
    desk.identity.refreshed = [REVOKED]

    for _ in range(3):
        with pytest.raises(ConsentRequired):
            desk.source.access_token(shared)

    assert desk.row.state is AccountState.NEEDS_SIGN_IN
    assert desk.accounts.rows["info"].state is AccountState.READY
    alerts = [one for one in events_in(caplog.messages) if one["event"] == "account_needs_sign_in"]
    assert [one["account"] for one in alerts] == ["billing"]


def test_a_shared_mailbox_without_its_holder_says_so(desk: Desk, shared: Account) -> None:
    del desk.accounts.rows["billing"]

    with pytest.raises(ConsentRequired) as caught:
        desk.source.access_token(shared)

    assert caught.value.code == "holder_gone"


def test_the_holders_new_sign_in_counts_for_the_shared_mailbox_at_once(
    desk: Desk, shared: Account
) -> None:
    desk.identity.refreshed = [REVOKED, grant_of(access_token="access-3")]
    with pytest.raises(ConsentRequired):
        desk.source.access_token(shared)
    row = replace(desk.row, state=AccountState.READY, signed_in_at=NOW + timedelta(seconds=1))
    desk.accounts.rows["billing"] = row

    assert desk.source.access_token(shared) == "access-3"


def test_a_token_in_the_apps_own_name_needs_no_vault_and_is_kept(desk: Desk, app: Account) -> None:
    reads = desk.vault.reads

    assert [desk.source.access_token(app) for _ in range(3)] == ["app-1"] * 3
    assert desk.identity.app_grants == ["a-tenant"]
    assert desk.vault.reads == reads
    desk.clock.forward(minutes=56)
    desk.source.access_token(app)
    assert desk.identity.app_grants == ["a-tenant"] * 2


@pytest.mark.parametrize(
    "trouble",
    [
        ConsentRequired("AADSTS53003", "blocked"),
        CredentialRefused("AADSTS7000215", "wrong"),
        NotSent("entra", "away"),
    ],
    ids=lambda one: type(one).__name__,
)
def test_an_app_that_is_refused_marks_no_account_and_does_not_hammer(
    desk: Desk, app: Account, trouble: Exception
) -> None:
    desk.identity.app_granted = [trouble]

    for _ in range(3):
        with pytest.raises(type(trouble)):
            desk.source.access_token(app)

    assert desk.identity.app_grants == ["a-tenant"]
    assert desk.accounts.rows["noreply"].state is AccountState.READY


def test_an_answer_known_to_pass_gets_a_second_chance_for_the_app_as_well(
    desk: Desk, app: Account
) -> None:
    desk.identity.app_granted = [ConsentRequired("invalid_grant", "?"), grant_of()]
    with pytest.raises(NotSent):
        desk.source.access_token(app)
    desk.clock.forward(seconds=61)

    assert desk.source.access_token(app) == "access-1"


def test_the_secrets_name_is_the_opaque_id() -> None:
    assert "postroom-grant-0a1b" == "postroom-grant-0a1b"


# --- renewing: what checks do


def test_renewing_asks_microsoft_though_a_token_is_at_hand(desk: Desk) -> None:
    desk.token()
    grant = desk.source.renew(desk.account)

    assert len(desk.identity.refreshes) == 2
    assert desk.token() == grant.access_token
    assert len(desk.identity.refreshes) == 2


def test_renewing_asks_anew_what_was_refused_a_moment_ago(desk: Desk) -> None:
    desk.identity.refreshed = [REVOKED, grant_of(access_token="access-3")]
    with pytest.raises(ConsentRequired):
        desk.token()

    assert desk.source.renew(desk.account).access_token == "access-3"
    assert desk.token() == "access-3"


def test_renewing_writes_back_what_would_else_expire_unused(desk: Desk) -> None:
    desk.token()
    desk.clock.forward(days=80)
    desk.source.renew(desk.account)

    assert [one.value for one in desk.vault.secrets[NAME]] == ["stored-1", "refresh-2"]


def test_a_refused_renewal_marks_the_account_as_any_refusal_does(desk: Desk) -> None:
    desk.identity.refreshed = [REVOKED]
    for _ in range(2):
        with pytest.raises(ConsentRequired):
            desk.source.renew(desk.account)

    assert (desk.row.state, desk.row.reason) == (AccountState.NEEDS_SIGN_IN, "AADSTS50173")
    assert desk.accounts.saves == 1
