"""Signed and sealed tokens, and the keys behind them."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.errors import NotSent
from shared.services.sign_in.ports import StoredSecret
from shared.web.auth import signing
from shared.web.auth.signing import KEY_SECRET, Keys, Purpose
from tests.unit.sign_in_fakes import FakeClock, FakeVault


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def vault(clock: FakeClock) -> FakeVault:
    return FakeVault(clock)


@pytest.fixture
def keys(vault: FakeVault, clock: FakeClock) -> Keys:
    return Keys(vault, clock)


def test_a_signed_token_gives_its_content_back(keys: Keys) -> None:
    token = signing.sign(keys, Purpose.SESSION, b"content")

    assert signing.verify(keys, Purpose.SESSION, token) == b"content"


def test_a_token_for_one_purpose_fails_in_another(keys: Keys) -> None:
    token = signing.sign(keys, Purpose.SESSION, b"content")
    sealed = signing.seal(keys, Purpose.FLOW, b"content", "context")

    assert signing.verify(keys, Purpose.NOTICE, token) is None
    assert signing.unseal(keys, Purpose.NOTICE, sealed, "context") is None


@pytest.mark.parametrize("token", ["", ".", "a", "a.b", "..", "€.€", "a" * 5000, "YQ.YQ"])
def test_rubbish_is_no_token(keys: Keys, token: str) -> None:
    assert signing.verify(keys, Purpose.SESSION, token) is None
    assert signing.unseal(keys, Purpose.FLOW, token, "context") is None


def test_every_changed_character_is_noticed(keys: Keys) -> None:
    token = signing.sign(keys, Purpose.SESSION, b"1")
    sealed = signing.seal(keys, Purpose.FLOW, b"1", "context")

    for index in range(0, len(token) - 1, 5):
        changed = token[:index] + ("A" if token[index] != "A" else "B") + token[index + 1 :]
        assert signing.verify(keys, Purpose.SESSION, changed) is None
    for index in range(0, len(sealed) - 1, 5):
        changed = sealed[:index] + ("A" if sealed[index] != "A" else "B") + sealed[index + 1 :]
        assert signing.unseal(keys, Purpose.FLOW, changed, "context") is None


def test_a_sealed_token_opens_only_in_its_context_and_shows_nothing(keys: Keys) -> None:
    sealed = signing.seal(keys, Purpose.FLOW, b"verifier", "state-1")

    assert signing.unseal(keys, Purpose.FLOW, sealed, "state-1") == b"verifier"
    assert signing.unseal(keys, Purpose.FLOW, sealed, "state-2") is None
    assert b"verifier" not in (signing._bytes(sealed) or b"")


def test_the_key_is_made_once_and_read_once(keys: Keys, vault: FakeVault) -> None:
    signing.sign(keys, Purpose.SESSION, b"1")
    reads = vault.reads
    signing.sign(keys, Purpose.SESSION, b"2")

    assert len(vault.secrets[KEY_SECRET]) == 1
    assert vault.reads == reads


def test_another_instance_reads_what_this_one_wrote(
    keys: Keys, vault: FakeVault, clock: FakeClock
) -> None:
    token = signing.sign(keys, Purpose.SESSION, b"1")

    assert signing.verify(Keys(vault, clock), Purpose.SESSION, token) == b"1"


def test_two_instances_that_make_a_key_at_once_end_up_understanding_each_other(
    vault: FakeVault, clock: FakeClock
) -> None:
    first = Keys(vault, clock)
    early = signing.sign(first, Purpose.SESSION, b"1")
    vault.set(KEY_SECRET, "made-by-the-other-at-the-same-moment")
    second = Keys(vault, clock)
    late = signing.sign(second, Purpose.SESSION, b"2")
    clock.forward(minutes=2)

    assert signing.verify(first, Purpose.SESSION, late) == b"2"
    assert signing.verify(first, Purpose.SESSION, early) == b"1"


def test_a_rotated_key_signs_and_the_former_one_still_verifies(
    keys: Keys, vault: FakeVault, clock: FakeClock
) -> None:
    vault.set(KEY_SECRET, "old-key")
    before = signing.sign(keys, Purpose.SESSION, b"1")
    vault.set(KEY_SECRET, "new-key\nold-key")
    other = Keys(vault, clock)

    assert signing.verify(other, Purpose.SESSION, before) == b"1"
    assert other.known() == ("new-key", "old-key")


def test_a_replaced_key_ends_what_it_signed_in_new_processes(
    keys: Keys, vault: FakeVault, clock: FakeClock
) -> None:
    token = signing.sign(keys, Purpose.SESSION, b"1")
    vault.set(KEY_SECRET, "another")

    assert signing.verify(Keys(vault, clock), Purpose.SESSION, token) is None


def test_forged_tokens_do_not_make_the_vault_be_read_more_than_once_a_minute(
    keys: Keys, vault: FakeVault, clock: FakeClock
) -> None:
    token = signing.sign(keys, Purpose.SESSION, b"1")
    forged = "A" + token[1:] if token[0] != "A" else "B" + token[1:]
    clock.forward(minutes=5)
    before = vault.reads
    for _ in range(20):
        signing.verify(keys, Purpose.SESSION, forged)

    assert vault.reads == before + 1


class LameVault(FakeVault):
    """Cannot be reached, which it takes until `let_go` to say."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.well = False
        self.asked = threading.Event()
        self.let_go = threading.Event()
        self.let_go.set()

    def get(self, name: str) -> StoredSecret | None:
        self.asked.set()
        assert self.let_go.wait(10)
        found = super().get(name)
        if not self.well:
            raise NotSent("vault", "not reached")
        return found


def test_a_vault_that_cannot_be_read_is_not_asked_again_for_some_seconds(
    clock: FakeClock,
) -> None:
    vault = LameVault(clock)
    keys = Keys(vault, clock)
    for _ in range(20):
        with pytest.raises(NotSent):
            signing.verify(keys, Purpose.SESSION, "YQ." + "A" * 43)
    assert vault.reads == 1

    vault.well = True
    clock.forward(seconds=6)
    assert keys.known()


def test_while_the_vault_is_in_trouble_one_asks_it_and_nobody_waits(clock: FakeClock) -> None:
    vault = LameVault(clock)
    keys = Keys(vault, clock)
    with pytest.raises(NotSent):
        keys.known()
    clock.forward(seconds=6)
    vault.asked.clear()
    vault.let_go.clear()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(keys.known)
        assert vault.asked.wait(10)
        for _ in range(20):
            with pytest.raises(NotSent):
                keys.known()
        vault.well = True
        vault.let_go.set()
        assert first.result(10) == keys.known()


def test_who_holds_a_good_token_does_not_wait_for_a_forged_one(clock: FakeClock) -> None:
    vault = LameVault(clock)
    vault.well = True
    keys = Keys(vault, clock)
    token = signing.sign(keys, Purpose.SESSION, b"1")
    clock.forward(minutes=5)
    vault.asked.clear()
    vault.let_go.clear()
    with ThreadPoolExecutor(1) as pool:
        forged = pool.submit(signing.verify, keys, Purpose.SESSION, "YQ." + "A" * 43)
        assert vault.asked.wait(10)
        good = signing.verify(keys, Purpose.SESSION, token)
        vault.let_go.set()
        assert (good, forged.result(10)) == (b"1", None)
