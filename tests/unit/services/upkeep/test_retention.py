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
from tests.fakes import LOST, NOT_REACHED, NOW, FakeServices, order_of

DONE = (Status.SENT, Status.FAILED, Status.CANCELLED)


@pytest.fixture
def services() -> FakeServices:
    return FakeServices()


def a_mail(
    services: FakeServices, status: Status, *, days_ago: float = 0, **changes: object
) -> str:
    """A mail that came into its status some days ago."""
    mail_id = services.accepted()
    changed = services.clock() - timedelta(days=days_ago)
    mail = replace(services.ledger.mail(mail_id), status=status, updated_at=changed, **changes)
    services.ledger.overwrite(mail)
    return mail_id


def attached(size: int) -> dict[str, object]:
    return {"filename": "a", "content": base64.b64encode(secrets.token_bytes(size)).decode()}


def there(services: FakeServices) -> set[str]:
    return {mail.mail_id for mail in services.ledger.mails}


@pytest.mark.parametrize("status", DONE)
def test_finished_mails_go_after_ninety_days(services: FakeServices, status: Status) -> None:
    a_mail(services, status, days_ago=91)
    kept = a_mail(services, status, days_ago=89)

    assert services.retention.sweep()["mails"] == 1
    assert there(services) == {kept}


@pytest.mark.parametrize("status", sorted(set(Status) - set(DONE)))
def test_a_mail_that_still_waits_or_needs_a_person_stays_for_ever(
    services: FakeServices, status: Status
) -> None:
    kept = a_mail(services, status, days_ago=4000)

    assert services.retention.sweep()["mails"] == 0
    assert there(services) == {kept}


def test_the_payload_of_a_removed_mail_goes_with_it(services: FakeServices) -> None:
    mail_id = a_mail(services, Status.FAILED, days_ago=91, payload=Payload(blob="b", files=("f",)))
    services.payloads.blobs.update({"b": b"", "f": b"", "other": b""})
    services.retention.sweep()

    assert mail_id not in there(services)
    assert set(services.payloads.blobs) == {"other"}


def test_a_mail_that_is_retried_in_that_moment_stays(services: FakeServices) -> None:
    mail_id = a_mail(services, Status.FAILED, days_ago=91)

    def retry() -> None:
        services.ledger.overwrite(replace(services.ledger.mail(mail_id), status=Status.QUEUED))

    services.faults.before("ledger.remove", retry)
    services.retention.sweep()

    assert services.status(mail_id) is Status.QUEUED


def test_a_mail_that_is_retried_during_the_sweep_keeps_its_content(services: FakeServices) -> None:
    order = order_of(attachments=[attached(900_000)])
    mail_id = services.submission.accept(order).mail.mail_id
    services.graph.answers = [GraphAnswer(400, "ErrorInvalidRecipients")]
    services.handle(mail_id)
    services.retention._keeping = Keeping(timedelta(days=90), timedelta(days=3650))
    services.clock.forward(days=91)
    services.faults.before("ledger.remove", lambda: services.changes.retry(mail_id) and None)

    services.retention.sweep()
    services.handle(mail_id)

    assert services.status(mail_id) is Status.SENT


def test_a_sweep_asks_for_no_contents_that_went_long_ago_and_ends_within_a_page(
    services: FakeServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "LOT", 1)
    for _ in range(3):
        a_mail(services, Status.SENT, days_ago=91, payload=Payload(blob="gone"))
    services.faults.after("ledger.remove", lambda: services.clock.forward(minutes=5))

    assert services.retention.sweep()["mails"] == 1
    assert services.faults.calls["payloads.delete"] == 0


@pytest.mark.parametrize("status", [Status.FAILED, Status.UNKNOWN])
def test_contents_of_failed_and_unknown_mails_go_after_thirty_days(
    services: FakeServices, status: Status
) -> None:
    old = a_mail(services, status, days_ago=31)
    new = a_mail(services, status, days_ago=29)

    assert services.retention.sweep()["payloads"] == 1
    assert services.ledger.mail(old).payload == Payload()
    assert services.ledger.mail(new).payload != Payload()


def test_contents_that_are_still_needed_stay(services: FakeServices) -> None:
    kept = [
        a_mail(services, Status.HELD, days_ago=60),
        a_mail(services, Status.QUEUED, days_ago=60),
        a_mail(services, Status.UNKNOWN, days_ago=60, reason=FINDING_OUT),
    ]
    services.retention.sweep()

    assert all(services.ledger.mail(mail_id).payload != Payload() for mail_id in kept)


def test_contents_that_could_not_be_removed_go_the_next_day(services: FakeServices) -> None:
    old = a_mail(services, Status.FAILED, days_ago=31)
    services.faults.before("ledger.update", NOT_REACHED)
    assert "payloads" not in services.retention.sweep()
    services.clock.forward(days=1)

    assert services.retention.sweep()["payloads"] == 1
    assert services.ledger.mail(old).payload == Payload()


def test_payloads_that_nobody_refers_to_go_after_a_day(services: FakeServices) -> None:
    sent, waits = a_mail(services, Status.SENT), a_mail(services, Status.QUEUED)
    gone = services.accepted()
    services.ledger._rows.pop(gone)
    names = {mail: f"{mail}/0123" for mail in (sent, waits, gone)}
    services.payloads.blobs.update(dict.fromkeys([*names.values(), "somebody-else's"], b""))
    services.clock.forward(hours=23)
    assert services.retention.sweep()["orphans"] == 0
    services.clock.forward(hours=2)

    assert services.retention.sweep()["orphans"] == 2
    assert set(services.payloads.blobs) == {names[waits], "somebody-else's"}


def test_expired_keys_go(services: FakeServices) -> None:
    services.accept(idempotency_key="a")
    services.clock.forward(hours=26)
    services.accept(idempotency_key="b")

    assert services.retention.sweep()["keys"] == 1
    assert set(services.keys.claims) == {"b"}


@pytest.mark.parametrize(
    "call",
    ["ledger.settled", "payloads.older_than", "keys.forget_expired", "waiting.bookmark"],
)
def test_a_part_that_fails_leaves_the_others_to_do_theirs(
    services: FakeServices, call: str
) -> None:
    services.accept(idempotency_key="a")
    a_mail(services, Status.SENT, days_ago=91)
    services.payloads.blobs["00000000-0000-7000-8000-000000000000/1"] = b""
    services.clock.forward(hours=26)
    services.faults.before(call, LOST)

    first, second = services.retention.sweep(), services.retention.sweep()

    assert len(first) == len(second) - 1
    for name in ("mails", "orphans", "keys"):
        assert first.get(name, 0) + second[name] == 1


def test_a_run_that_takes_too_long_goes_on_the_next_day(services: FakeServices) -> None:
    for _ in range(10):
        a_mail(services, Status.SENT, days_ago=91)
    services.faults.after("ledger.settled", lambda: services.clock.forward(minutes=3))

    first, second = services.retention.sweep()["mails"], services.retention.sweep()["mails"]

    assert 0 < first < 10
    assert first + second == 10


def test_a_run_is_one_line_of_the_log(
    services: FakeServices, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "postroom")
    a_mail(services, Status.SENT, days_ago=91)
    a_mail(services, Status.HELD, days_ago=91)
    a_mail(services, Status.UNKNOWN, days_ago=91)
    caplog.clear()
    services.retention.sweep()

    (line,) = [json.loads(record.getMessage()) for record in caplog.records]
    assert line == {
        "event": "swept",
        "behind_the_watermark": 0,
        "mails": 1,
        "payloads": 1,
        "orphans": 0,
        "keys": 0,
        "flows": 0,
        "cases": 2,
        "drafts": 0,
        "grants": 0,
        "needing_a_person": 2,
        "failed_parts": 0,
    }


def test_a_waiting_mail_that_nobody_noted_is_a_warning(
    services: FakeServices, caplog: pytest.LogCaptureFixture
) -> None:
    services.upkeep.requeue_overdue()
    services.clock.forward(hours=2)
    services.upkeep.requeue_overdue()
    mail_id = a_mail(services, Status.QUEUED)
    old = mail_id.replace(mail_id[:13], "01800000-0000")
    services.ledger.overwrite(replace(services.ledger.mail(mail_id), mail_id=old))

    assert services.retention.sweep()["behind_the_watermark"] == 1
    assert '"event":"behind_the_watermark","count":1' in caplog.text
    assert old in services.waiting.noted
    assert services.clock() > NOW
