"""What `bench/` makes of its figures: limits, lines, dollars. Measuring itself is no test."""

from __future__ import annotations

import pytest

from bench import beside, cost, flow_rows, growth
from bench.accepting import Accepted, Accepting
from bench.scaling import Run, Scaling, Setting, middle


def run(workers: int, rate: float, *, spent: float, latency: float = 0.1) -> Run:
    """A hundred mails over 50 mailboxes, for which so many processor seconds were spent."""
    processes = {"workers": spent / 2, "Azurite": spent / 4, "simulator": spent / 4}
    return Run(Setting(50, latency, workers), 100, 100, rate, 100, 0, processes, 10.0)


@pytest.mark.parametrize(
    ("setting", "allowed"),
    [
        (Setting(1, 0.1, 4), 40),  # four requests at a time for the one mailbox
        (Setting(50, 0.1, 1), 240),  # 24 mails at a time in the one process
        (Setting(50, 0.1, 4), 960),
        (Setting(50, 0.0, 4), None),
    ],
)
def test_mails_a_second_are_bounded_by_what_is_asked_at_a_time(
    setting: Setting, allowed: float | None
) -> None:
    assert setting.allowed == (None if allowed is None else pytest.approx(allowed))


def test_the_limit_is_the_lower_one_of_the_machine_and_of_the_requests_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)

    assert run(1, 10, spent=10).limit == pytest.approx(20)
    assert run(1, 10, spent=10).is_machines
    assert run(1, 10, spent=0.1).limit == pytest.approx(240)
    assert run(1, 10, spent=10, latency=0.0).limit == pytest.approx(20)


def test_of_several_runs_of_a_setting_the_middle_one_counts() -> None:
    ones, two = [run(1, rate, spent=1) for rate in (9.0, 1.0, 11.0)], run(2, 20, spent=1)

    assert middle([ones[0], two, *ones[1:]]) == [ones[0], two]


@pytest.mark.parametrize(
    ("one", "two", "spent", "holds"),
    [
        (10.0, 19.0, 1.0, True),
        (10.0, 17.0, 1.0, False),
        # Two processors, of which one process needs the greater part: 13 mails a second is all.
        (10.0, 12.5, 15.0, True),
        (10.0, 10.5, 15.0, False),
    ],
)
def test_a_second_process_brings_as_much_again_until_the_processors_are_full(
    monkeypatch: pytest.MonkeyPatch, one: float, two: float, spent: float, holds: bool
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    found = Scaling([run(1, one, spent=spent), run(2, two, spent=spent)], {"table get mails": 7}, 1)

    rows = flow_rows.of_scaling(found).rows

    assert [row.holds for row in rows] == [holds, True]


@pytest.mark.parametrize(("full", "holds"), [(100.0, True), (91.0, True), (89.0, False)])
def test_accepting_is_flat_within_a_tenth(full: float, holds: bool) -> None:
    seconds = [0.01] * 10
    cells = [
        Accepting(ledger, callers, [rate], seconds)
        for callers in (1, 8, 32)
        for ledger, rate in ((0, 100.0), (100_000, full))
    ]

    rows = flow_rows.of_accepting(Accepted(cells, [], 10)).rows

    assert [row.holds for row in rows] == [holds] * 3


def test_a_line_is_found_through_what_lies_on_one() -> None:
    line = growth.Line.through([0, 1, 2, 3], [5.0, 7.0, 9.0, 11.0])

    assert (line.base, line.slope, line.r_squared) == pytest.approx((5, 2, 1))


def test_a_million_mails_are_priced_with_nothing_given_away() -> None:
    dearest, *_ = beside.added()

    assert dearest.each("queue") >= 3
    assert dearest.usd == pytest.approx(
        sum(
            dearest.used[meter] / cost.PRICES[meter].per * cost.PRICES[meter].usd
            for meter in dearest.used
        )
    )


def test_every_list_price_names_its_source_and_says_what_is_unconfirmed() -> None:
    (table,) = [text for text in flow_rows.of_cost(beside.added()).more if "Amazon SES" in text]

    assert all(one.source and one.lowest <= one.highest for one in beside.SERVICES)
    assert table.count("**UNCONFIRMED**") == sum(not one.confirmed for one in beside.SERVICES)
