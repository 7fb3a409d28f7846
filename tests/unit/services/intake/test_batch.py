"""Batches: each mail by itself, all or nothing, and what a repetition meets."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pytest

from shared.errors import FieldProblem, Refused
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
from shared.services.intake.submission import Submission
from tests.fakes import LOST, NOT_REACHED, Room, document_of


@pytest.fixture
def room() -> Room:
    return Room()


def accept(
    room: Room, *mails: Mapping[str, object], key: str | None = None, strict: bool = False
) -> BatchReceipt:
    mode = "all_or_nothing" if strict else "permissive"
    return room.batch.accept(json.dumps({"mails": mails, "mode": mode}).encode(), key)


def codes(found: BatchReceipt) -> list[str | None]:
    """What each mail was refused with."""
    return [item.refusal.kind.code if item.refusal else None for item in found.items]


def ids(found: BatchReceipt) -> list[str]:
    return [item.receipt.mail.mail_id for item in found.items if item.receipt]


def numbered(count: int) -> list[dict[str, object]]:
    return [document_of(subject=f"Mail {number}") for number in range(count)]


def test_a_hundred_mails_are_accepted_in_order(room: Room) -> None:
    found = accept(room, *numbered(100))

    assert found.accepted == 100
    assert [room.ledger.mail(mail_id).subject for mail_id in ids(found)] == [
        f"Mail {number}" for number in range(100)
    ]
    assert len(room.bell.rings) == 100


def test_what_is_wrong_with_one_refuses_that_one_alone(room: Room) -> None:
    found = accept(room, document_of(), document_of(to=7), document_of(to="x"), {"nonsense": 1})

    assert codes(found) == [None, "invalid_mail", "invalid_mail", "invalid_mail"]
    assert len(room.ledger.mails) == 1


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
    room: Room, bad: dict[str, object]
) -> None:
    room.accepted(idempotency_key="taken", subject="Another")
    before = (room.ledger.mails, dict(room.keys.claims), list(room.bell.rings))

    found = accept(room, document_of(), bad, document_of(idempotency_key="free"), strict=True)

    assert found.accepted == 0
    assert [code is None for code in codes(found)] == [True, False, True]
    assert (room.ledger.mails, dict(room.keys.claims), list(room.bell.rings)) == before


def test_all_or_nothing_accepts_all(room: Room) -> None:
    found = accept(room, *numbered(5), key="k", strict=True)

    assert found.accepted == 5


def test_a_batch_repeated_with_its_key_finds_its_mails(room: Room) -> None:
    first = accept(room, *numbered(10), key="november")

    second = accept(room, *numbered(10), key="november")

    assert ids(second) == ids(first)
    assert all(item.receipt and item.receipt.replayed for item in second.items)
    assert len(room.ledger.mails) == 10


@pytest.mark.parametrize("strict", [False, True])
def test_a_torn_batch_is_made_whole_by_repeating_it(room: Room, strict: bool) -> None:
    room.faults.before("ledger.insert", NOT_REACHED, nth=3)
    room.faults.after("ledger.insert", LOST, nth=5)
    torn = accept(room, *numbered(10), key="november", strict=strict)
    assert 0 < torn.accepted < 10

    whole = accept(room, *numbered(10), key="november", strict=strict)

    assert whole.accepted == 10
    assert set(ids(torn)) <= set(ids(whole))
    assert len(room.ledger.mails) == 10


@pytest.mark.parametrize("strict", [False, True])
def test_a_repeated_batch_finds_its_mails_though_their_files_have_gone(
    room: Room, strict: bool
) -> None:
    room.files.blobs["attachments"]["a"] = b"x"
    mails = [document_of(attachments=[{"filename": "a", "blob": "attachments/a"}]), document_of()]
    first = accept(room, *mails, key="november", strict=strict)
    del room.files.blobs["attachments"]["a"]

    second = accept(room, *mails, key="november", strict=strict)

    assert ids(second) == ids(first)
    assert accept(room, *mails, key="december", strict=strict).accepted == (0 if strict else 1)


def test_another_mail_at_the_same_place_is_a_conflict(room: Room) -> None:
    accept(room, *numbered(2), key="november")

    found = accept(room, document_of(subject="Other"), *numbered(2)[1:], key="november")

    assert codes(found) == ["idempotency_conflict", None]


def test_a_mails_own_key_stands_before_the_batchs(room: Room) -> None:
    found = accept(room, document_of(idempotency_key="mine"), document_of(), key="november")

    keys = [room.ledger.mail(mail_id).idempotency_key for mail_id in ids(found)]
    assert keys == ["mine", "november/1"]
    assert set(room.keys.claims) == {"mine", "november\x1f1"}


def test_a_plain_key_is_never_taken_for_a_place_in_a_batch(room: Room) -> None:
    single = room.accepted(idempotency_key="november/0", subject="Single")

    found = accept(room, document_of(), key="november")

    (in_batch,) = ids(found)
    assert in_batch != single
    assert [mail.mail_id for mail in room.submission.find("november/0")] == [single, in_batch]


def test_a_mail_of_a_batch_is_found_by_the_key_it_shows(room: Room) -> None:
    (mail_id,) = ids(accept(room, document_of(), key="november"))

    assert [mail.mail_id for mail in room.submission.find("november/0")] == [mail_id]


def test_the_same_mail_twice_under_one_key_is_one_mail(room: Room) -> None:
    twin = document_of(idempotency_key="twin")

    found = accept(room, twin, document_of(), twin)

    first, _, second = ids(found)
    assert first == second
    assert len(room.ledger.mails) == 2


@pytest.mark.parametrize("strict", [False, True])
def test_two_mails_under_one_key_are_a_conflict_of_the_later_one(room: Room, strict: bool) -> None:
    found = accept(
        room,
        document_of(idempotency_key="k"),
        document_of(idempotency_key="k", subject="Other"),
        strict=strict,
    )

    assert codes(found) == [None, "idempotency_conflict"]
    assert found.accepted == (0 if strict else 1)


def test_an_expired_key_is_no_conflict(room: Room) -> None:
    room.accepted(idempotency_key="k", subject="Another")
    room.clock.forward(hours=25)

    assert accept(room, document_of(idempotency_key="k"), strict=True).accepted == 1


def test_a_signed_out_account_refuses_its_mails_alone(room: Room) -> None:
    from tests.fakes import account_of

    room.accounts.put(account_of("sales", state=AccountState.NEEDS_SIGN_IN))
    room.accounts.remember(*room.accounts.rows.values())

    found = accept(room, document_of(account="billing"), document_of(account="sales"))

    assert codes(found) == [None, "account_needs_sign_in"]


def test_storage_that_is_down_is_not_asked_for_every_mail(room: Room) -> None:
    room.faults.always("ledger.insert", NOT_REACHED)

    found = accept(room, *numbered(100))

    assert set(codes(found)) == {"unavailable"}
    assert room.faults.calls["ledger.insert"] <= MOST_FAILURES + AT_ONCE


def test_what_has_not_begun_in_time_is_not_tried(room: Room) -> None:
    times = iter([0.0])
    slow = Batch(room.submission, room.clock, lambda: next(times, LONGEST_SECONDS + 1))

    found = slow.accept(json.dumps({"mails": numbered(3)}).encode(), None)

    assert codes(found) == ["unavailable"] * 3
    assert room.ledger.mails == []


def test_no_more_mails_are_stored_at_once_than_allowed(room: Room) -> None:
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

    room.faults.always("ledger.insert", begin)
    accept(room, *numbered(40))

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
    room: Room, raw: bytes, code: str, field: str | None
) -> None:
    with pytest.raises(Refused) as caught:
        room.batch.accept(raw, None)

    assert caught.value.kind.code == code
    assert [problem.field for problem in caught.value.errors] == ([field] if field else [])
    assert room.ledger.mails == []


@pytest.mark.parametrize("key", ["", "k" * 257, "a\x1f1"])
def test_a_bad_key_of_the_batch_is_refused(room: Room, key: str) -> None:
    with pytest.raises(Refused) as caught:
        accept(room, document_of(), key=key)

    assert caught.value.errors[0].field == "Idempotency-Key"


def test_a_mail_due_later_is_scheduled(room: Room) -> None:
    found = accept(room, document_of(scheduled_at="2026-12-01T08:00:00Z"))

    (mail_id,) = ids(found)
    assert room.status(mail_id) is Status.SCHEDULED


class Fault(Exception):
    """What no part of Postroom expects, with a caller's text in it."""


def breaks(monkeypatch: pytest.MonkeyPatch, at: str, subject: bytes = b"Mail 1") -> None:
    """Let Postroom itself fail on one mail where it is read, checked or stored."""
    if at == "read":
        reads = mail_document.read_json

        def read(raw: bytes, now: datetime) -> Order:
            if subject in raw:
                raise Fault("ada@example.com")
            return reads(raw, now)

        monkeypatch.setattr(batch, "read_json", read)
        return
    name = {"check": "check_size", "store": "with_payload"}[at]
    works = getattr(Submission, name)

    def work(self: Submission, *args: Any, **kwargs: Any) -> Any:
        content = args[0] if at == "check" else args[1].message
        if content.subject == subject.decode():
            raise Fault("ada@example.com")
        return works(self, *args, **kwargs)

    monkeypatch.setattr(Submission, name, work)


@pytest.mark.parametrize("at", ["read", "check", "store"])
def test_a_fault_of_our_own_in_one_mail_is_told_of_that_mail_alone(
    room: Room, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, at: str
) -> None:
    breaks(monkeypatch, at)

    with caplog.at_level("ERROR"):
        found = accept(room, *numbered(3))

    assert codes(found) == [None, "internal_error", None]
    assert sorted(mail.subject for mail in room.ledger.mails) == ["Mail 0", "Mail 2"]
    assert sorted(ids(found)) == sorted(mail.mail_id for mail in room.ledger.mails)
    assert "Fault" in caplog.text
    assert "ada@example.com" not in caplog.text


@pytest.mark.parametrize("at", ["read", "check"])
def test_all_or_nothing_stores_nothing_where_postroom_fails_on_one(
    room: Room, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    breaks(monkeypatch, at)

    found = accept(room, *numbered(3), strict=True)

    assert codes(found) == [None, "internal_error", None]
    assert (found.accepted, room.ledger.mails) == (0, [])


@pytest.mark.parametrize("strict", [False, True])
def test_a_fault_while_a_mail_is_stored_hides_none_of_the_others(
    room: Room, monkeypatch: pytest.MonkeyPatch, strict: bool
) -> None:
    breaks(monkeypatch, "store")
    torn = accept(room, *numbered(3), key="november", strict=strict)
    monkeypatch.undo()

    whole = accept(room, *numbered(3), key="november", strict=strict)

    assert codes(torn) == [None, "internal_error", None]
    assert (whole.accepted, len(room.ledger.mails)) == (3, 3)
    assert [ids(whole)[0], ids(whole)[2]] == ids(torn)


def test_a_fault_in_the_warnings_stores_nothing(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(message: Message) -> tuple[FieldProblem, ...]:
        raise Fault

    monkeypatch.setattr(header_warnings, "warnings_of", breaks)

    found = accept(room, document_of(headers={"X-Shop": "1"}), document_of())

    assert codes(found) == ["internal_error", None]
    assert ids(found) == [mail.mail_id for mail in room.ledger.mails]
