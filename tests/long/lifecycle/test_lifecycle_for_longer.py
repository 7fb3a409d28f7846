"""More histories of mails than `make test` looks at, and that the machine of `test_lifecycle` notices a
ledger or a worker that is broken on purpose."""

from __future__ import annotations

import pytest
from hypothesis import Phase

from shared.mail.outcome import Outcome, Verdict
from shared.services.delivery.delivery import Delivery
from shared.services.delivery.delivery_result import DeliveryResult
from shared.services.mails.ports import Versioned
from tests.contract.test_lifecycle import Life, Tables, run, tables

__all__ = ["tables"]


def test_nothing_illegal_is_lost_or_doubled_in_a_hundred_orders(tables: Tables) -> None:
    run(type("Life", (Life,), {"tables": tables}), max_examples=100, derandomize=True)


def test_a_write_that_forgets_its_condition_is_caught(tables: Tables) -> None:
    careless = type("Careless", (Life,), {"tables": tables, "careless": True})

    with pytest.raises(
        AssertionError, match=r"copies of one mail|delivered, and|written anew|final"
    ):
        run(careless, phases=[Phase.generate], max_examples=40, derandomize=True)


def test_a_worker_that_sends_again_without_knowing_is_caught(
    tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    def again(delivery: Delivery, found: Versioned) -> DeliveryResult:
        return delivery._settling.settle(found, None, Outcome(Verdict.AGAIN, "worker_lost"))

    monkeypatch.setattr(Delivery, "_abandoned", again)
    blind = type("Blind", (Life,), {"tables": tables})

    with pytest.raises(AssertionError, match=r"copies of one mail|delivered, and"):
        run(blind, phases=[Phase.generate], max_examples=40, derandomize=True)
