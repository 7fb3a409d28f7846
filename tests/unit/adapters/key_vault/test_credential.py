"""The versions of the app's credential: which one is used, and when another one is."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from shared.adapters.entra.app_credential import AppCredential, Proof, RefusedProof
from shared.adapters.key_vault.credential import MOST_VERSIONS, READ_AGAIN_SECONDS, ClientSecret
from shared.errors import CredentialRefused, NotSent, RemoteRefused
from tests.unit.adapters.vault_of_versions import MADE, Vault
from tests.unit.sign_in_fakes import events_in

WRONG = CredentialRefused("AADSTS7000215", "wrong")
EXPIRED = CredentialRefused("AADSTS7000222", "expired")


@dataclass
class Desk:
    """A client secret, and Entra, which takes some values."""

    vault: Vault
    takes: set[str] = field(default_factory=set)
    now: float = 1000.0
    refusal: CredentialRefused = WRONG

    def __post_init__(self) -> None:
        self.credential = ClientSecret(self.vault, lambda: self.now)

    def asked(self) -> list[str]:
        """One request to Entra as the adapter makes it: the values that were tried, in order."""
        tried: list[Proof] = []
        refused: list[RefusedProof] = []
        proof = self.credential.proof()
        while True:
            tried.append(proof)
            if proof.for_msal in self.takes:
                self.credential.worked(proof)
                return [str(one.for_msal) for one in tried]
            refused.append(RefusedProof(proof, self.refusal))
            proof = self.credential.after(refused)

    def in_use(self) -> list[str]:
        return [one.version for one in self.credential.describe() if one.in_use]


def desk_of(*values: str, takes: str = "", disabled: str = "") -> Desk:
    return Desk(Vault(list(values), disabled=set(disabled.split())), takes=set(takes.split()))


def test_it_fulfils_the_protocol() -> None:
    credential: AppCredential = ClientSecret(Vault(["one"]))

    assert credential.proof().for_msal == "one"


def test_the_newest_is_used_and_costs_the_vault_one_call() -> None:
    desk = desk_of("old", "new", takes="old new")

    assert [desk.asked(), desk.asked()] == [["new"], ["new"]]
    assert desk.vault.asked == ["get"]


def test_a_newest_one_that_entra_does_not_take_yields_to_the_one_before() -> None:
    desk = desk_of("older", "old", "mistyped", takes="older old")

    assert desk.asked() == ["mistyped", "old"]
    assert desk.asked() == ["old"]


def test_the_one_that_works_is_remembered_until_the_vault_is_asked_again() -> None:
    desk = desk_of("old", "unknown yet", takes="old")
    desk.asked()

    desk.now += READ_AGAIN_SECONDS - 1
    assert desk.asked() == ["old"]
    desk.now += 1
    assert desk.asked() == ["unknown yet", "old"]
    desk.takes.add("unknown yet")
    desk.now += READ_AGAIN_SECONDS
    assert desk.asked() == ["unknown yet"]


def test_an_expired_one_in_memory_yields_to_a_newer_one_in_the_vault() -> None:
    desk = desk_of("old", takes="old")
    desk.asked()
    desk.vault.values.append("new")
    desk.takes, desk.refusal = {"new"}, EXPIRED

    assert desk.asked() == ["old", "new"]
    assert desk.asked() == ["new"]


def test_a_newer_one_is_taken_up_within_minutes_while_the_old_one_works() -> None:
    desk = desk_of("old", takes="old new")
    desk.asked()
    desk.vault.values.append("new")

    assert desk.asked() == ["old"]
    desk.now += READ_AGAIN_SECONDS
    assert desk.asked() == ["new"]


def test_the_vault_is_asked_no_more_often_than_that() -> None:
    desk = desk_of("one", takes="one")
    for _ in range(100):
        desk.asked()
        desk.now += READ_AGAIN_SECONDS / 50

    assert len(desk.vault.asked) <= 3


def test_a_vault_that_cannot_be_asked_again_leaves_the_known_one_at_work(
    caplog: pytest.LogCaptureFixture,
) -> None:
    desk = desk_of("one", takes="one")
    desk.asked()
    desk.vault.trouble["get"] = NotSent("vault", "away")
    desk.now += READ_AGAIN_SECONDS

    assert [desk.asked(), desk.asked()] == [["one"], ["one"]]
    assert desk.vault.asked == ["get", "get"]
    assert [e["event"] for e in events_in(caplog.messages)][-1:] == ["app_credential_not_read"]


def test_a_disabled_newest_one_is_passed_over() -> None:
    desk = desk_of("old", "new", takes="old new", disabled="new")

    assert desk.asked() == ["old"]


def test_disabling_the_newest_one_brings_back_the_one_before_within_minutes() -> None:
    desk = desk_of("old", "new", takes="old new")
    desk.asked()
    desk.vault.disabled.add("new")
    desk.now += READ_AGAIN_SECONDS

    assert desk.asked() == ["old"]


def test_disabled_older_ones_are_never_tried() -> None:
    desk = desk_of("old", "withdrawn", "new", takes="old withdrawn", disabled="withdrawn")

    assert desk.asked() == ["new", "old"]


def test_no_more_than_three_are_tried() -> None:
    desk = desk_of("1", "2", "3", "4", "5", takes="1 2")

    with pytest.raises(CredentialRefused):
        desk.asked()
    assert desk.vault.asked.count("get_version") == MOST_VERSIONS - 1


def test_where_none_works_the_newest_ones_refusal_is_told() -> None:
    credential = desk_of("old", "new").credential
    newest = credential.proof()
    older = credential.after([RefusedProof(newest, WRONG)])

    with pytest.raises(CredentialRefused) as refused:
        credential.after([RefusedProof(newest, WRONG), RefusedProof(older, EXPIRED)])
    assert refused.value is WRONG


def test_where_none_works_the_next_request_begins_with_the_newest_again() -> None:
    desk = desk_of("old", "new")
    with pytest.raises(CredentialRefused):
        desk.asked()
    desk.takes = {"new"}

    assert desk.asked() == ["new"]


@pytest.mark.parametrize("code", ["AADSTS700016", "AADSTS7000112", "AADSTS90002"])
def test_a_refusal_that_no_other_secret_would_turn_around_is_told_at_once(code: str) -> None:
    desk = desk_of("old", "new", takes="old")
    desk.refusal = CredentialRefused(code, "another trouble")

    with pytest.raises(CredentialRefused):
        desk.asked()
    assert desk.vault.asked == ["get"]


def test_a_role_that_may_not_list_versions_still_tells_what_entra_said() -> None:
    desk = desk_of("old", "new", takes="old")
    desk.vault.trouble["versions"] = RemoteRefused("vault", "no list")

    with pytest.raises(CredentialRefused) as refused:
        desk.asked()
    assert refused.value is WRONG


def test_a_vault_that_is_away_when_entra_refuses_makes_it_wait() -> None:
    """Whether a newer secret lies in the vault is not known: the mail is tried again."""
    desk = desk_of("old", takes="old")
    desk.asked()
    desk.takes, desk.vault.trouble["get"] = set(), NotSent("vault", "away")

    with pytest.raises(NotSent):
        desk.asked()


def test_an_empty_vault_says_what_belongs_there() -> None:
    with pytest.raises(CredentialRefused, match="postroom-client-secret") as refused:
        desk_of().asked()
    assert refused.value.code == "no_client_secret"


@pytest.mark.parametrize(
    ("code", "told"), [(None, "vault_refused"), ("ForbiddenByFirewall", "ForbiddenByFirewall")]
)
def test_a_vault_that_says_no_is_told_as_such(code: str | None, told: str) -> None:
    desk = desk_of("one")
    desk.vault.trouble["get"] = RemoteRefused("vault", "no", code=code)

    with pytest.raises(CredentialRefused) as refused:
        desk.asked()
    assert refused.value.code == told


def test_which_version_answers_is_said_once_and_again_when_it_changes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "postroom")
    desk = desk_of("first", "second", takes="first")
    for _ in range(3):
        desk.asked()
    desk.takes.add("second")
    desk.now += READ_AGAIN_SECONDS
    for _ in range(3):
        desk.asked()

    said = [(e["version"], e["reason"]) for e in events_in(caplog.messages)]
    assert said == [("version-", "older"), ("version-", "newest")]
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_an_answer_to_the_old_version_that_comes_late_does_not_bring_it_back() -> None:
    desk = desk_of("old", takes="old new")
    old = desk.credential.proof()
    desk.vault.values.append("new")
    desk.now += READ_AGAIN_SECONDS
    desk.asked()

    desk.credential.worked(old)

    assert desk.asked() == ["new"]


def test_what_is_told_of_versions_is_no_secret() -> None:
    desk = desk_of("old", "new", takes="old")
    desk.vault.expiry["new"] = MADE + timedelta(days=180)
    desk.asked()

    newest, older = desk.credential.describe()

    assert (newest.kind, newest.version, newest.newest) == ("secret", "version-", True)
    assert newest.expires_at == MADE + timedelta(days=180)
    assert (newest.in_use, older.in_use, older.newest) == (False, True, False)
    assert "for_msal" not in repr(desk.credential.proof())


def test_versions_that_are_no_fall_back_are_not_told_of() -> None:
    desk = desk_of("1", "2", "3", "4", "5", "6", takes="6", disabled="4 6")

    told = desk.credential.describe()

    assert [one.enabled for one in told] == [False, True, True, True]
