from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from shared import starting


@pytest.fixture(autouse=True)
def first(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(starting, "_frozen", False)
    yield
    gc.unfreeze()
    gc.enable()


def test_nothing_is_collected_meanwhile_and_what_was_made_stays_out_of_later_collections() -> None:
    with starting.uncollected():
        meanwhile = gc.isenabled()

    assert not meanwhile
    assert gc.isenabled()
    assert gc.get_freeze_count() > 0


def test_a_failed_start_leaves_the_collector_on() -> None:
    with pytest.raises(KeyError), starting.uncollected():
        raise KeyError

    assert gc.isenabled()


def test_it_is_done_once() -> None:
    with starting.uncollected():
        pass

    with starting.uncollected():
        assert gc.isenabled()


def test_a_process_that_collects_nothing_is_left_so() -> None:
    gc.disable()

    with starting.uncollected():
        pass

    assert not gc.isenabled()
