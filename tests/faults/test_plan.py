"""The plan repeats with its seed and leaves no kind of fault out; the app's shortened waits exist."""

from __future__ import annotations

import importlib
from datetime import UTC, datetime, timedelta

from shared import bootstrap
from shared.services.upkeep import sweep
from tests.faults.__main__ import amounts
from tests.faults.app import SHORTENED, SKEWS, looks_sooner, skew_of
from tests.faults.flaws import FLAWS
from tests.faults.plan import KILLS, RETRY_AFTER, Act, draw, kind_of


def test_the_same_seed_draws_the_same_plan() -> None:
    assert draw(7, amounts(100)) == draw(7, amounts(100))
    assert draw(7, amounts(100)) != draw(8, amounts(100))


def test_a_plan_holds_every_act_and_as_many_kills_as_asked_for() -> None:
    plan = draw(7, amounts(100))

    assert {step.act for step in plan} == set(Act)
    assert sum(step.act in KILLS for step in plan) == amounts(100).all_kills == 100
    assert [step.at for step in plan] == sorted(step.at for step in plan)


def test_faults_at_microsoft_come_before_and_after_the_work_in_every_shape() -> None:
    rules = [step.rule for step in draw(7, amounts(500)) if step.act is Act.MICROSOFT]
    sends = [rule for rule in rules if rule["where"] == "graph.send_mail"]
    asked = {
        headers.get("Retry-After") if isinstance(headers, dict) else None
        for rule in sends
        if rule.get("status") == 429
        for headers in [rule.get("headers")]
    }

    assert {rule.get("when") for rule in sends} == {"before", "after"}
    assert {rule.get("status") for rule in sends} >= {202, 429, 500, 502, 503, 504}
    assert {rule.get("action") for rule in sends} >= {"reset", "hang", "slow", "html", "empty"}
    assert asked == set(RETRY_AFTER)
    assert len({kind_of(rule) for rule in rules}) > 50


def test_every_wait_that_the_suite_shortens_is_there() -> None:
    for name, waits in SHORTENED.items():
        module = importlib.import_module(name)
        for wait, shorter in waits.items():
            assert type(getattr(module, wait)) is type(shorter), f"{name}.{wait}"


def test_the_sweep_looks_again_after_seconds_instead_of_minutes() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)

    for seconds in (0, 1, 3, 10, 100):
        at = now + timedelta(seconds=seconds)
        assert at <= looks_sooner(sweep.next_look)(now, at) <= at + timedelta(seconds=15)


def test_every_flaw_takes_the_place_of_a_part_of_the_app() -> None:
    for parts in FLAWS.values():
        for name, flawed in parts.items():
            assert issubclass(flawed, getattr(bootstrap, name))


def test_each_instance_has_the_clock_of_its_number() -> None:
    skews = {SKEWS: "0,12,-12"}

    assert skew_of({**skews, "WEBSITE_INSTANCE_ID": "local-1"}) == 12
    assert skew_of({**skews, "WEBSITE_INSTANCE_ID": "local-2"}) == -12
    assert skew_of(skews) == 0
