"""What docs/deploy.md says about costs is what `bench.cost` computes."""

from __future__ import annotations

import pytest

from bench import cost


def test_the_page_shows_what_is_computed() -> None:
    """Mended by `python -m bench.cost --write`."""
    page = cost.PAGE.read_text(encoding="utf-8")

    assert page == cost.rewritten(page)


def test_an_idle_app_that_is_not_probed_stays_within_the_free_amounts() -> None:
    idle = cost.month(0, probed=False)

    assert idle.costs["compute"] == 0
    assert idle.costs["executions"] == 0
    assert cost.month(0).total < 10


def test_the_timers_run_as_often_as_their_schedules_say() -> None:
    """One each minute, two each hour, one each day."""
    assert cost.timer_runs() == 30 * 24 * (60 + 2) + 30


def test_what_is_counted_is_what_is_billed() -> None:
    """5 table operations a mail, 3 queue operations, with the bench's figures."""
    none, many = cost.month(0), cost.month(1_000_000)

    assert many.used["table"] - none.used["table"] == 5_000_000
    assert many.used["executions"] - none.used["executions"] == 2_000_000
    assert many.used["queue"] - none.used["queue"] >= 3_000_000


@pytest.mark.parametrize(
    ("units", "dollars"), [(0, 0), (100_000, 0), (1_100_000, 26)], ids=["none", "free", "more"]
)
def test_free_amounts_are_taken_off(units: int, dollars: float) -> None:
    assert cost.PRICES["compute"].of(units) == pytest.approx(dollars)


def test_every_price_says_where_it_comes_from() -> None:
    assert all(price.source and "20" in price.source for price in cost.PRICES.values())
    assert not cost.PRICES["queue"].confirmed


def test_what_nobody_counted_is_refused_rather_than_left_out() -> None:
    with pytest.raises(SystemExit, match="no price"):
        cost._operations({"blob put payloads": 1})
