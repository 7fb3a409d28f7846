"""Batches: each mail by itself, all or nothing, and what a repetition meets."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pytest

from shared.errors import FieldProblem, RequestRejected
from shared.mail import header_warnings
from shared.mail.account import AccountState
from shared.mail.message import Message
from shared.mail.status import Status
from shared.services.intake import batch, mail_document
from shared.services.intake.batch import (
    AT_ONCE,
    LONGEST_SECONDS,
    MOST_FAILURES,
    Batch,
    BatchReceipt,
)
from shared.services.intake.mail_document import Order
from shared.services.intake.order_checks import OrderChecks
from shared.services.mails.content_store import ContentStore
from tests.fakes import LOST, NOT_REACHED, FakeServices, document_of


@pytest.fixture
def services() -> FakeServices:
    return FakeServices()


def accept(
    services: FakeServices,
    *mails: Mapping[str, object],
    key: str | None = None,
    strict: bool = False,
) -> BatchReceipt:
    mode = "all_or_nothing" if strict else "permissive"
    return services.batch.accept(json.dumps({"mails": mails, "mode": mode}).encode(), key)


def codes(found: BatchReceipt) -> list[str | None]:
    """What each mail was refused with."""
    return [item.refusal.kind.code if item.refusal else None for item in found.items]


def ids(found: BatchReceipt) -> list[str]:
    return [item.receipt.mail.mail_id for item in found.items if item.receipt]


def numbered(count: int) -> list[dict[str, object]]:
    return [document_of(subject=f"Mail {number}") for number in range(count)]


def test_a_hundred_mails_are_accepted_in_order(services: FakeServices) -> None:
    found = accept(services, *numbered(100))

    assert found.accepted == 100
    assert [services.ledger.mail(mail_id).subject for mail_id in ids(found)] == [
        f"Mail {number}" for number in range(100)
    ]
    assert len(services.wake_ups.enqueued) == 100


def test_what_is_wrong_with_one_refuses_that_one_alone(services: FakeServices) -> None:
    found = accept(services, document_of(), document_of(to=7), document_of(to="x"), {"nonsense": 1})

    assert codes(found) == [None, "invalid_mail", "invalid_mail", "invalid_mail"]
    assert len(services.ledger.mails) == 1


@pytest.mark.parametrize(
    "bad",
    [
        document_of(to="x"),
        document_of(account="nobody"),
        document_of(**{"from": "eve@example.com"}),
        document_of(dry_run=True),
        document_of(html="x" * 5_000_000, text=None),
        document_of(idempotency_key="taken"),
    ],
    ids=["field", "account", "sender", "dry run", "size", "key"],
)
def test_all_or_nothing_stores_nothing_where_one_cannot_be_accepted(
    services: FakeServices, bad: dict[str, object]
) -> None:
    services.accepted(idempotency_key="taken", subject="Another")
    before = (services.ledger.mails, dict(services.keys.claims), list(services.wake_ups.enqueued))

    found = accept(services, document_of(), bad, document_of(idempotency_key="free"), strict=True)

    assert found.accepted == 0
    assert [code is None for code in codes(found)] == [True, False, True]
    assert (
        services.ledger.mails,
        dict(services.keys.claims),
        list(services.wake_ups.enqueued),
    ) == before


def test_all_or_nothing_accepts_all(services: FakeServices) -> None:
    found = accept(services, *numbered(5), key="k", strict=True)

    assert found.accepted == 5


def test_a_batch_repeated_with_its_key_finds_its_mails(services: FakeServices) -> None:
    first = accept(services, *numbered(10), key="november")

    second = accept(services, *numbered(10), key="november")

    assert ids(second) == ids(first)
    assert all(item.receipt and item.receipt.replayed for item in second.items)
    assert len(services.ledger.mails) == 10


@pytest.mark.parametrize("strict", [False, True])
def test_a_torn_batch_is_made_whole_by_repeating_it(services: FakeServices, strict: bool) -> None:
    services.faults.before("ledger.insert", NOT_REACHED, nth=3)
    services.faults.after("ledger.insert", LOST, nth=5)
    torn = accept(services, *numbered(10), key="november", strict=strict)
    assert 0 < torn.accepted < 10

    whole = accept(services, *numbered(10), key="november", strict=strict)

    assert whole.accepted == 10
    assert set(ids(torn)) <= set(ids(whole))
    assert len(services.ledger.mails) == 10


@pytest.mark.parametrize("strict", [False, True])
def test_a_repeated_batch_finds_its_mails_though_their_files_have_gone(
    services: FakeServices, strict: bool
) -> None:
    services.files.blobs["attachments"]["a"] = b"x"
    mails = [document_of(attachments=[{"filename": "a", "blob": "attachments/a"}]), document_of()]
    first = accept(services, *mails, key="november", strict=strict)
    del services.files.blobs["attachments"]["a"]

    second = accept(services, *mails, key="november", strict=strict)

    assert ids(second) == ids(first)
    assert accept(services, *mails, key="december", strict=strict).accepted == (0 if strict else 1)


def test_another_mail_at_the_same_place_is_a_conflict(services: FakeServices) -> None:
    accept(services, *numbered(2), key="november")

    found = accept(services, document_of(subject="Other"), *numbered(2)[1:], key="november")

    assert codes(found) == ["idempotency_conflict", None]


def test_a_mails_own_key_stands_before_the_batchs(services: FakeServices) -> None:
    found = accept(services, document_of(idempotency_key="mine"), document_of(), key="november")

    keys = [services.ledger.mail(mail_id).idempotency_key for mail_id in ids(found)]
    assert keys == ["mine", "november/1"]
    assert set(services.keys.claims) == {"mine", "november\x1f1"}


def test_a_plain_key_is_never_taken_for_a_place_in_a_batch(services: FakeServices) -> None:
    single = services.accepted(idempotency_key="november/0", subject="Single")

    found = accept(services, document_of(), key="november")

    (in_batch,) = ids(found)
    assert in_batch != single
    assert [mail.mail_id for mail in services.idempotency.find("november/0")] == [single, in_batch]


def test_a_mail_of_a_batch_is_found_by_the_key_it_shows(services: FakeServices) -> None:
    (mail_id,) = ids(accept(services, document_of(), key="november"))

    assert [mail.mail_id for mail in services.idempotency.find("november/0")] == [mail_id]


def test_the_same_mail_twice_under_one_key_is_one_mail(services: FakeServices) -> None:
    twin = document_of(idempotency_key="twin")

    found = accept(services, twin, document_of(), twin)

    first, _, second = ids(found)
    assert first == second
    assert len(services.ledger.mails) == 2


@pytest.mark.parametrize("strict", [False, True])
def test_two_mails_under_one_key_are_a_conflict_of_the_later_one(
    services: FakeServices, strict: bool
) -> None:
    found = accept(
        services,
        document_of(idempotency_key="k"),
        document_of(idempotency_key="k", subject="Other"),
        strict=strict,
    )

    assert codes(found) == [None, "idempotency_conflict"]
    assert found.accepted == (0 if strict else 1)


def test_an_expired_key_is_no_conflict(services: FakeServices) -> None:
    services.accepted(idempotency_key="k", subject="Another")
    services.clock.forward(hours=25)

    assert accept(services, document_of(idempotency_key="k"), strict=True).accepted == 1


def test_a_signed_out_account_refuses_its_mails_alone(services: FakeServices) -> None:
    from tests.fakes import account_of

    services.accounts.put(account_of("sales", state=AccountState.NEEDS_SIGN_IN))
    services.accounts.remember(*services.accounts.rows.values())

    found = accept(services, document_of(account="billing"), document_of(account="sales"))

    assert codes(found) == [None, "account_needs_sign_in"]


def test_storage_that_is_down_is_not_asked_for_every_mail(services: FakeServices) -> None:
    services.faults.always("ledger.insert", NOT_REACHED)

    found = accept(services, *numbered(100))

    assert set(codes(found)) == {"unavailable"}
    assert services.faults.calls["ledger.insert"] <= MOST_FAILURES + AT_ONCE


def test_what_has_not_begun_in_time_is_not_tried(services: FakeServices) -> None:
    times = iter([0.0])
    slow = Batch(services.submission, services.clock, lambda: next(times, LONGEST_SECONDS + 1))

    found = slow.accept(json.dumps({"mails": numbered(3)}).encode(), None)

    assert codes(found) == ["unavailable"] * 3
    assert services.ledger.mails == []


def test_no_more_mails_are_stored_at_once_than_allowed(services: FakeServices) -> None:
    at_work, most, lock = 0, 0, threading.Lock()
    barrier = threading.Event()

    def begin() -> None:
        nonlocal at_work, most
        with lock:
            at_work += 1
            most = max(most, at_work)
        barrier.wait(0.01)
        with lock:
            at_work -= 1

    services.faults.always("ledger.insert", begin)
    accept(services, *numbered(40))

    assert 1 < most <= AT_ONCE


@pytest.mark.parametrize(
    ("raw", "code", "field"),
    [
        (b'{"mails": []}', "invalid_request", "mails"),
        (json.dumps({"mails": [{}] * 101}).encode(), "invalid_request", "mails"),
        (b"{}", "invalid_request", "mails"),
        (b'{"mails": "x"}', "invalid_request", "mails"),
        (b'{"mails": null}', "invalid_request", "mails"),
        (b'{"mails": [{}], "mails": {}}', "invalid_request", "mails"),
        (b'{"mails": ' + b"[" * 9 + b"]" * 9 + b', "mails": [{}]}', "invalid_request", "mails"),
        (b'{"mails": [' + b"0," * 101 + b'0], "mails": [{}]}', "invalid_request", "mails"),
        (b'{"mails": [{}], "mode": "permissive", "mode": null}', "invalid_request", "mode"),
        (b'{"mails": [{}], "mode": "both"}', "invalid_request", "mode"),
        (b'{"mails": [{}], "mails": [{}]}', "invalid_request", "mails"),
        (b'{"mails": [{}], "more": 1}', "invalid_request", "more"),
        (b'{"mails"', "invalid_json", None),
        (b'{"mails": [' + b"[" * 100_000, "invalid_json", None),
        (b'{"mails": [' + b"[" * 50_000 + b"]" * 50_000 + b"]}", "invalid_json", None),
    ],
)
def test_a_batch_that_cannot_be_read_is_refused_whole(
    services: FakeServices, raw: bytes, code: str, field: str | None
) -> None:
    with pytest.raises(RequestRejected) as caught:
        services.batch.accept(raw, None)

    assert caught.value.kind.code == code
    assert [problem.field for problem in caught.value.errors] == ([field] if field else [])
    assert services.ledger.mails == []


@pytest.mark.parametrize("key", ["", "k" * 257, "a\x1f1"])
def test_a_bad_key_of_the_batch_is_refused(services: FakeServices, key: str) -> None:
    with pytest.raises(RequestRejected) as caught:
        accept(services, document_of(), key=key)

    assert caught.value.errors[0].field == "Idempotency-Key"


def test_a_mail_due_later_is_scheduled(services: FakeServices) -> None:
    found = accept(services, document_of(scheduled_at="2026-12-01T08:00:00Z"))

    (mail_id,) = ids(found)
    assert services.status(mail_id) is Status.SCHEDULED


class Fault(Exception):
    """What no part of Postroom expects, with a caller's text in it."""


def breaks(monkeypatch: pytest.MonkeyPatch, at: str, subject: bytes = b"Mail 1") -> None:
    """Let Postroom itself fail on one mail where it is read, checked or stored."""
    if at == "read":
        reads = mail_document.read_json

        def read(raw: bytes, now: datetime, **options: Any) -> Order:
            if subject in raw:
                raise Fault("ada@example.com")
            return reads(raw, now, **options)

        monkeypatch.setattr(batch, "read_json", read)
        return
    owner, name = {"check": (OrderChecks, "check_size"), "store": (ContentStore, "keep")}[at]
    works = getattr(owner, name)

    def work(self: object, *args: Any, **kwargs: Any) -> Any:
        content = args[0] if at == "check" else args[1].message
        if content.subject == subject.decode():
            raise Fault("ada@example.com")
        return works(self, *args, **kwargs)

    monkeypatch.setattr(owner, name, work)


@pytest.mark.parametrize("at", ["read", "check", "store"])
def test_a_fault_of_our_own_in_one_mail_is_told_of_that_mail_alone(
    services: FakeServices,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    at: str,
) -> None:
    breaks(monkeypatch, at)

    with caplog.at_level("ERROR"):
        found = accept(services, *numbered(3))

    assert codes(found) == [None, "internal_error", None]
    assert sorted(mail.subject for mail in services.ledger.mails) == ["Mail 0", "Mail 2"]
    assert sorted(ids(found)) == sorted(mail.mail_id for mail in services.ledger.mails)
    assert "Fault" in caplog.text
    assert "ada@example.com" not in caplog.text


@pytest.mark.parametrize("at", ["read", "check"])
def test_all_or_nothing_stores_nothing_where_postroom_fails_on_one(
    services: FakeServices, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    breaks(monkeypatch, at)

    found = accept(services, *numbered(3), strict=True)

    assert codes(found) == [None, "internal_error", None]
    assert (found.accepted, services.ledger.mails) == (0, [])


@pytest.mark.parametrize("strict", [False, True])
def test_a_fault_while_a_mail_is_stored_hides_none_of_the_others(
    services: FakeServices, monkeypatch: pytest.MonkeyPatch, strict: bool
) -> None:
    breaks(monkeypatch, "store")
    torn = accept(services, *numbered(3), key="november", strict=strict)
    monkeypatch.undo()

    whole = accept(services, *numbered(3), key="november", strict=strict)

    assert codes(torn) == [None, "internal_error", None]
    assert (whole.accepted, len(services.ledger.mails)) == (3, 3)
    assert [ids(whole)[0], ids(whole)[2]] == ids(torn)


def test_a_fault_in_the_warnings_stores_nothing(
    services: FakeServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(message: Message) -> tuple[FieldProblem, ...]:
        raise Fault

    monkeypatch.setattr(header_warnings, "warnings_of", breaks)

    found = accept(services, document_of(headers={"X-Shop": "1"}), document_of())

    assert codes(found) == ["internal_error", None]
    assert ids(found) == [mail.mail_id for mail in services.ledger.mails]
