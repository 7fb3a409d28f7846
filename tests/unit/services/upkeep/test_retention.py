"""What is thrown away when, and what never is."""

from __future__ import annotations

import base64
import json
import secrets
from datetime import timedelta

import pytest
from msgspec.structs import replace

from shared.mail.mail import FINDING_OUT, Payload
from shared.mail.outcome import GraphAnswer
from shared.mail.status import Status
from shared.services.upkeep import retention
from shared.services.upkeep.retention import Keeping
from tests.fakes import LOST, NOT_REACHED, NOW, Room, order_of

DONE = (Status.SENT, Status.FAILED, Status.CANCELLED)


@pytest.fixture
def room() -> Room:
    return Room()


def a_mail(room: Room, status: Status, *, days_ago: float = 0, **changes: object) -> str:
    """A mail that came into its status some days ago."""
    mail_id = room.accepted()
    changed = room.clock() - timedelta(days=days_ago)
    mail = replace(room.ledger.mail(mail_id), status=status, updated_at=changed, **changes)
    room.ledger.overwrite(mail)
    return mail_id


def attached(size: int) -> dict[str, object]:
    return {"filename": "a", "content": base64.b64encode(secrets.token_bytes(size)).decode()}


def there(room: Room) -> set[str]:
    return {mail.mail_id for mail in room.ledger.mails}


@pytest.mark.parametrize("status", DONE)
def test_finished_mails_go_after_ninety_days(room: Room, status: Status) -> None:
    a_mail(room, status, days_ago=91)
    kept = a_mail(room, status, days_ago=89)

    assert room.retention.sweep()["mails"] == 1
    assert there(room) == {kept}


@pytest.mark.parametrize("status", sorted(set(Status) - set(DONE)))
def test_a_mail_that_still_waits_or_needs_a_person_stays_for_ever(
    room: Room, status: Status
) -> None:
    kept = a_mail(room, status, days_ago=4000)

    assert room.retention.sweep()["mails"] == 0
    assert there(room) == {kept}


def test_the_payload_of_a_removed_mail_goes_with_it(room: Room) -> None:
    mail_id = a_mail(room, Status.FAILED, days_ago=91, payload=Payload(blob="b", files=("f",)))
    room.payloads.blobs.update({"b": b"", "f": b"", "other": b""})
    room.retention.sweep()

    assert mail_id not in there(room)
    assert set(room.payloads.blobs) == {"other"}


def test_a_mail_that_is_retried_in_that_moment_stays(room: Room) -> None:
    mail_id = a_mail(room, Status.FAILED, days_ago=91)

    def retry() -> None:
        room.ledger.overwrite(replace(room.ledger.mail(mail_id), status=Status.QUEUED))

    room.faults.before("ledger.remove", retry)
    room.retention.sweep()

    assert room.status(mail_id) is Status.QUEUED


def test_a_mail_that_is_retried_during_the_sweep_keeps_its_content(room: Room) -> None:
    order = order_of(attachments=[attached(900_000)])
    mail_id = room.submission.accept(order).mail.mail_id
    room.graph.answers = [GraphAnswer(400, "ErrorInvalidRecipients")]
    room.hear(mail_id)
    room.retention._keeping = Keeping(timedelta(days=90), timedelta(days=3650))
    room.clock.forward(days=91)
    room.faults.before("ledger.remove", lambda: room.changes.retry(mail_id) and None)

    room.retention.sweep()
    room.hear(mail_id)

    assert room.status(mail_id) is Status.SENT


def test_a_sweep_asks_for_no_contents_that_went_long_ago_and_ends_within_a_page(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "LOT", 1)
    for _ in range(3):
        a_mail(room, Status.SENT, days_ago=91, payload=Payload(blob="gone"))
    room.faults.after("ledger.remove", lambda: room.clock.forward(minutes=5))

    assert room.retention.sweep()["mails"] == 1
    assert room.faults.calls["payloads.delete"] == 0


@pytest.mark.parametrize("status", [Status.FAILED, Status.UNKNOWN])
def test_contents_of_failed_and_unknown_mails_go_after_thirty_days(
    room: Room, status: Status
) -> None:
    old = a_mail(room, status, days_ago=31)
    new = a_mail(room, status, days_ago=29)

    assert room.retention.sweep()["payloads"] == 1
    assert room.ledger.mail(old).payload == Payload()
    assert room.ledger.mail(new).payload != Payload()


def test_contents_that_are_still_needed_stay(room: Room) -> None:
    kept = [
        a_mail(room, Status.HELD, days_ago=60),
        a_mail(room, Status.QUEUED, days_ago=60),
        a_mail(room, Status.UNKNOWN, days_ago=60, reason=FINDING_OUT),
    ]
    room.retention.sweep()

    assert all(room.ledger.mail(mail_id).payload != Payload() for mail_id in kept)


def test_contents_that_could_not_be_removed_go_the_next_day(room: Room) -> None:
    old = a_mail(room, Status.FAILED, days_ago=31)
    room.faults.before("ledger.update", NOT_REACHED)
    assert "payloads" not in room.retention.sweep()
    room.clock.forward(days=1)

    assert room.retention.sweep()["payloads"] == 1
    assert room.ledger.mail(old).payload == Payload()


def test_payloads_that_nobody_refers_to_go_after_a_day(room: Room) -> None:
    sent, waits = a_mail(room, Status.SENT), a_mail(room, Status.QUEUED)
    gone = room.accepted()
    room.ledger._rows.pop(gone)
    names = {mail: f"{mail}/0123" for mail in (sent, waits, gone)}
    room.payloads.blobs.update(dict.fromkeys([*names.values(), "somebody-else's"], b""))
    room.clock.forward(hours=23)
    assert room.retention.sweep()["orphans"] == 0
    room.clock.forward(hours=2)

    assert room.retention.sweep()["orphans"] == 2
    assert set(room.payloads.blobs) == {names[waits], "somebody-else's"}


def test_expired_keys_go(room: Room) -> None:
    room.accept(idempotency_key="a")
    room.clock.forward(hours=26)
    room.accept(idempotency_key="b")

    assert room.retention.sweep()["keys"] == 1
    assert set(room.keys.claims) == {"b"}


@pytest.mark.parametrize(
    "call",
    ["ledger.settled", "payloads.older_than", "keys.forget_expired", "waiting.bookmark"],
)
def test_a_part_that_fails_leaves_the_others_to_do_theirs(room: Room, call: str) -> None:
    room.accept(idempotency_key="a")
    a_mail(room, Status.SENT, days_ago=91)
    room.payloads.blobs["00000000-0000-7000-8000-000000000000/1"] = b""
    room.clock.forward(hours=26)
    room.faults.before(call, LOST)

    first, second = room.retention.sweep(), room.retention.sweep()

    assert len(first) == len(second) - 1
    for name in ("mails", "orphans", "keys"):
        assert first.get(name, 0) + second[name] == 1


def test_a_run_that_takes_too_long_goes_on_the_next_day(room: Room) -> None:
    for _ in range(10):
        a_mail(room, Status.SENT, days_ago=91)
    room.faults.after("ledger.settled", lambda: room.clock.forward(minutes=3))

    first, second = room.retention.sweep()["mails"], room.retention.sweep()["mails"]

    assert 0 < first < 10
    assert first + second == 10


def test_a_run_is_one_line_of_the_log(room: Room, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "postroom")
    a_mail(room, Status.SENT, days_ago=91)
    a_mail(room, Status.HELD, days_ago=91)
    a_mail(room, Status.UNKNOWN, days_ago=91)
    caplog.clear()
    room.retention.sweep()

    (line,) = [json.loads(record.getMessage()) for record in caplog.records]
    assert line == {
        "event": "swept",
        "behind_the_watermark": 0,
        "mails": 1,
        "payloads": 1,
        "orphans": 0,
        "keys": 0,
        "drafts": 0,
        "needing_a_person": 2,
        "failed_parts": 0,
    }


def test_a_waiting_mail_that_nobody_noted_is_a_warning(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    room.upkeep.ring_again()
    room.clock.forward(hours=2)
    room.upkeep.ring_again()
    mail_id = a_mail(room, Status.QUEUED)
    old = mail_id.replace(mail_id[:13], "01800000-0000")
    room.ledger.overwrite(replace(room.ledger.mail(mail_id), mail_id=old))

    assert room.retention.sweep()["behind_the_watermark"] == 1
    assert '"event":"behind_the_watermark","count":1' in caplog.text
    assert old in room.waiting.noted
    assert room.clock() > NOW
