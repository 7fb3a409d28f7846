"""Key Vault, through Microsoft's SDK, against the simulator."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from azure.core.credentials import AccessToken, TokenCredential

from shared.adapters.key_vault.secrets import KeyVault
from shared.errors import AnswerLost, NotSent, RemoteRefused
from shared.services.sign_in.ports import Destruction, Vault, VaultHistory
from tests.contract.conftest import Stand

NAME = "postroom-grant-0a1b2c"


@pytest.fixture
def deleted(vault: KeyVault) -> None:
    vault.set(NAME, "old")
    vault.remove(NAME)


def test_it_fulfils_the_port(vault: KeyVault) -> None:
    port: Vault = vault

    assert port.get("postroom-unknown") is None


def test_what_is_set_can_be_read(vault: KeyVault) -> None:
    written = vault.set(NAME, "refresh-token", {"made-by": "postroom"})
    read = vault.get(NAME)

    assert read == written
    assert read is not None
    assert read.value == "refresh-token"
    assert abs(read.created_at - datetime.now(UTC)) < timedelta(minutes=1)


def test_each_write_is_a_new_version_and_the_newest_is_read(vault: KeyVault) -> None:
    first, second = vault.set(NAME, "1"), vault.set(NAME, "2")

    assert first.version != second.version
    assert vault.get(NAME) == second


def test_repr_does_not_show_the_value(vault: KeyVault) -> None:
    assert "refresh-token" not in repr(vault.set(NAME, "refresh-token"))


def test_a_value_too_large_for_the_vault_is_our_own_clear_error(
    vault: KeyVault, stand: Stand
) -> None:
    with pytest.raises(RemoteRefused, match="25000 bytes"):
        vault.set(NAME, "ä" * 13_000)

    assert stand.count("key_vault.set_secret") == 0


def test_the_largest_value_is_taken(vault: KeyVault) -> None:
    vault.set(NAME, "x" * 25_000)


def test_versions_are_listed_newest_first_with_what_is_known_of_each(
    vault: KeyVault, stand: Stand
) -> None:
    history: VaultHistory = vault
    clock = stand.simulator.state.clock
    first = vault.set(NAME, "1")
    clock.advance(60)
    second = vault.set(NAME, "2")
    stand.simulator.state.vault.update(
        NAME, first.version, {"attributes": {"enabled": False, "exp": 1_900_000_000}}
    )

    newest, oldest = history.versions(NAME)

    assert (newest.version, newest.enabled, newest.expires_at) == (second.version, True, None)
    assert (oldest.version, oldest.enabled) == (first.version, False)
    assert oldest.expires_at == datetime.fromtimestamp(1_900_000_000, UTC)
    assert newest.created_at > oldest.created_at


def test_more_versions_than_fit_on_a_page_are_listed(vault: KeyVault) -> None:
    made = {vault.set(NAME, str(number)).version for number in range(30)}

    assert {one.version for one in vault.versions(NAME)} == made


def test_an_older_version_can_be_read_and_a_disabled_one_cannot(
    vault: KeyVault, stand: Stand
) -> None:
    first, _ = vault.set(NAME, "1"), vault.set(NAME, "2")

    assert vault.get_version(NAME, first.version) == first
    stand.simulator.state.vault.update(NAME, first.version, {"attributes": {"enabled": False}})
    assert vault.get_version(NAME, first.version) is None
    assert vault.get_version(NAME, "0" * 32) is None


def test_an_unknown_name_has_no_versions(vault: KeyVault) -> None:
    assert list(vault.versions("postroom-unknown")) == []


def test_a_role_that_may_not_list_is_explained(vault: KeyVault, stand: Stand) -> None:
    vault.set(NAME, "1")
    stand.control("options", {"vault_denied": ["list"]})

    with pytest.raises(RemoteRefused, match="ForbiddenByRbac"):
        vault.versions(NAME)


def test_removing_leaves_no_readable_version(vault: KeyVault, stand: Stand) -> None:
    versions = [vault.set(NAME, "1").version, vault.set(NAME, "2").version]
    vault.remove(NAME)

    assert vault.get(NAME) is None
    stand.simulator.state.vault.recover(NAME)
    assert vault.get(NAME) is None
    assert len(versions) == 2


def test_removing_what_is_not_there_is_harmless(vault: KeyVault) -> None:
    vault.remove("postroom-unknown")


# --- destroying: what disconnecting a mailbox does


def test_what_is_destroyed_is_gone_for_good(vault: KeyVault, stand: Stand) -> None:
    vault.set(NAME, "1")
    vault.set(NAME, "2")

    assert vault.destroy(NAME) == Destruction(purged=True)
    assert stand.simulator.state.vault.deleted_secrets() == []
    assert vault.set(NAME, "3").value == "3"


def test_destroying_what_is_gone_is_harmless(vault: KeyVault) -> None:
    vault.set(NAME, "1")
    vault.destroy(NAME)

    assert vault.destroy(NAME) == Destruction(purged=True)


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"vault_purge_protection": True}, id="purge protection"),
        pytest.param({"vault_denied": ["purge"]}, id="no right to purge"),
    ],
)
def test_a_vault_that_keeps_it_says_until_when_and_shows_no_version(
    vault: KeyVault, stand: Stand, options: dict[str, object]
) -> None:
    stand.control("options", options)
    vault.set(NAME, "1")
    vault.set(NAME, "2")
    found = vault.destroy(NAME)
    again = vault.destroy(NAME)

    assert not found.purged
    assert again == found
    assert found.gone_at is not None
    assert timedelta(days=89) < found.gone_at - datetime.now(UTC) <= timedelta(days=90)
    secret = stand.simulator.state.vault.recover(NAME)
    assert not any(one.enabled for one in secret.versions)


def test_after_a_kept_one_the_mailbox_can_be_connected_again(vault: KeyVault, stand: Stand) -> None:
    stand.control("options", {"vault_purge_protection": True})
    vault.set(NAME, "1")
    vault.destroy(NAME)
    vault.set(NAME, "2")

    assert getattr(vault.get(NAME), "value", None) == "2"


def test_a_right_to_delete_that_is_missing_is_told(vault: KeyVault, stand: Stand) -> None:
    stand.control("options", {"vault_denied": ["delete"]})
    vault.set(NAME, "1")

    with pytest.raises(RemoteRefused, match="ForbiddenByRbac"):
        vault.destroy(NAME)


def test_a_deletion_that_takes_its_time_is_waited_for(
    stand: Stand, credential: TokenCredential
) -> None:
    stand.control("options", {"vault_deletion_seconds": 4})
    patient = KeyVault(
        stand.stack["vault_url"],
        credential,
        ca_file=stand.ca_file,
        development=True,
        sleep=lambda seconds: stand.simulator.state.clock.advance(seconds),
    )
    patient.set(NAME, "1")

    assert patient.destroy(NAME) == Destruction(purged=True)
    patient.close()


def test_a_deletion_that_does_not_settle_is_not_called_purged(
    vault: KeyVault, stand: Stand
) -> None:
    stand.control("options", {"vault_deletion_seconds": 3600})
    vault.set(NAME, "1")

    assert vault.destroy(NAME) == Destruction(purged=False)


@pytest.mark.parametrize("operation", ["update_secret", "delete_secret", "purge_secret"])
def test_a_vault_that_fails_in_between_is_asked_once_more_and_finishes(
    vault: KeyVault, stand: Stand, operation: str
) -> None:
    vault.set(NAME, "1")
    stand.fault(f"key_vault.{operation}", action="status", status=503, times=3)
    with pytest.raises(NotSent):
        vault.destroy(NAME)

    assert vault.destroy(NAME) == Destruction(purged=True)


@pytest.mark.usefixtures("deleted")
def test_a_deleted_name_is_recovered_and_set(vault: KeyVault) -> None:
    """Until its 90 days are over, the name of a deleted secret answers 409."""
    assert vault.set(NAME, "new").value == "new"
    assert getattr(vault.get(NAME), "value", None) == "new"


@pytest.mark.usefixtures("deleted")
def test_a_recovery_that_takes_its_time_is_waited_for(
    vault: KeyVault, stand: Stand, credential: TokenCredential
) -> None:
    stand.control("options", {"vault_recovery_seconds": 60})
    waiting = KeyVault(
        stand.stack["vault_url"],
        credential,
        ca_file=stand.ca_file,
        development=True,
        sleep=lambda seconds: stand.simulator.state.clock.advance(30),
    )

    assert waiting.set(NAME, "new").value == "new"
    waiting.close()


def test_a_deletion_that_never_settles_ends_as_not_sent(vault: KeyVault, stand: Stand) -> None:
    stand.control("options", {"vault_deletion_seconds": 3600})
    vault.set(NAME, "old")
    vault.remove(NAME)

    with pytest.raises(NotSent):
        vault.set(NAME, "new")


def test_a_role_without_reading_is_explained(vault: KeyVault, stand: Stand) -> None:
    stand.control("options", {"vault_denied": ["get"]})

    with pytest.raises(RemoteRefused, match="ForbiddenByRbac"):
        vault.get(NAME)


def test_a_role_without_delete_and_purge_is_enough_to_work(vault: KeyVault, stand: Stand) -> None:
    stand.control("options", {"vault_denied": ["delete", "purge", "recover", "list", "update"]})
    vault.set(NAME, "1")

    assert getattr(vault.get(NAME), "value", None) == "1"
    with pytest.raises(RemoteRefused):
        vault.remove(NAME)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_passing_trouble_is_tried_again(vault: KeyVault, stand: Stand, status: int) -> None:
    vault.set(NAME, "1")
    stand.fault("key_vault.get_secret", status=status, times=2)

    assert getattr(vault.get(NAME), "value", None) == "1"


def test_lasting_trouble_is_not_sent_after_three_tries(vault: KeyVault, stand: Stand) -> None:
    vault.set(NAME, "1")
    stand.fault("key_vault.get_secret", status=503, times=-1)

    with pytest.raises(NotSent):
        vault.get(NAME)
    assert stand.count("key_vault.get_secret") <= 4


def test_a_long_retry_after_is_passed_on_at_once(vault: KeyVault, stand: Stand) -> None:
    vault.set(NAME, "1")
    before = stand.count("key_vault.get_secret")
    stand.fault("key_vault.get_secret", status=429, headers={"Retry-After": "60"}, times=-1)

    with pytest.raises(NotSent) as caught:
        vault.get(NAME)
    assert caught.value.retry_after == 60
    assert stand.count("key_vault.get_secret") == before + 1


def test_a_reset_while_reading_is_not_sent(vault: KeyVault, stand: Stand) -> None:
    vault.set(NAME, "1")
    stand.fault("key_vault.get_secret", action="reset", times=-1)

    with pytest.raises(NotSent):
        vault.get(NAME)


def test_an_answer_lost_after_writing_is_tried_again(vault: KeyVault, stand: Stand) -> None:
    """A second version of the same value does no harm."""
    stand.fault("key_vault.set_secret", when="after", action="reset", times=1)

    assert vault.set(NAME, "1").value == "1"


def test_answers_that_stay_lost_are_told_as_such(vault: KeyVault, stand: Stand) -> None:
    stand.fault("key_vault.set_secret", when="after", action="reset", times=-1)

    with pytest.raises((AnswerLost, NotSent)):
        vault.set(NAME, "1")


class _Stranger:
    """An identity that the vault does not know."""

    def get_token(self, *scopes: str, **options: object) -> AccessToken:
        return AccessToken("not-a-token", 2_000_000_000)


def test_an_identity_that_the_vault_does_not_accept_is_explained(stand: Stand) -> None:
    stranger = KeyVault(
        stand.stack["vault_url"],
        _Stranger(),
        ca_file=stand.ca_file,
        development=True,
        sleep=lambda seconds: None,
    )

    with pytest.raises(RemoteRefused, match="identity"):
        stranger.get(NAME)
    stranger.close()


@pytest.fixture
def unreachable(credential: TokenCredential) -> Iterator[KeyVault]:
    adapter = KeyVault(
        "https://localhost:9", credential, development=True, sleep=lambda seconds: None
    )
    yield adapter
    adapter.close()


def test_a_vault_that_cannot_be_reached_is_not_sent(unreachable: KeyVault) -> None:
    with pytest.raises(NotSent):
        unreachable.get(NAME)


def test_nothing_secret_is_logged(vault: KeyVault, caplog: pytest.LogCaptureFixture) -> None:
    vault.set(NAME, "CANARY-refresh")
    vault.get(NAME)

    assert "CANARY" not in caplog.text


# --- listing: what nobody refers to


def test_every_secret_of_a_kind_is_listed_once_over_all_pages(
    vault: KeyVault, stand: Stand
) -> None:
    names = {f"postroom-grant-{number:02}" for number in range(60)}
    for name in (*sorted(names), "postroom-client-secret", "other"):
        vault.set(name, "1")
    vault.set("postroom-grant-00", "2")
    vault.remove("postroom-grant-59")
    asked = stand.count("key_vault.list_secrets")

    listed = list(vault.listed("postroom-grant-"))

    assert sorted(one.name for one in listed) == sorted(names - {"postroom-grant-59"})
    assert stand.count("key_vault.list_secrets") - asked >= 3


def test_a_listed_secret_says_when_it_was_last_written(vault: KeyVault, stand: Stand) -> None:
    clock = stand.simulator.state.clock
    vault.set(NAME, "1")
    clock.advance(7200)
    vault.set(NAME, "2")

    (one,) = vault.listed(NAME)

    assert one.changed_at is not None
    assert abs(one.changed_at - datetime.now(UTC) - timedelta(hours=2)) < timedelta(minutes=1)


def test_listing_that_is_refused_or_not_answered_is_our_own_error(
    vault: KeyVault, stand: Stand
) -> None:
    stand.fault("key_vault.list_secrets", action="status", status=503, times=-1)
    with pytest.raises(NotSent):
        list(vault.listed("postroom-grant-"))
    stand.control("faults", None, "DELETE")
    stand.control("options", {"vault_denied": ["list"]})
    with pytest.raises(RemoteRefused, match="ForbiddenByRbac"):
        list(vault.listed("postroom-grant-"))
