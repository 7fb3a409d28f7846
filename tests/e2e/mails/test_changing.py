"""What callers do to their mails, and many mails at once, through the whole stack."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.e2e.conftest import SignedIn
from tests.e2e.control import Control
from tests.e2e.mails.test_sending import ADA, history

GRACE = "grace@contoso.com"


def in_seconds(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def test_a_mail_withdrawn_before_its_time_never_arrives(
    control: Control, signed_in_account: SignedIn
) -> None:
    later = control.send(to=ADA, subject="Withdrawn", text="x", scheduled_at=in_seconds(6))

    answer = control.api("POST", f"mails/{later['id']}/cancel")
    time.sleep(9)

    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    assert control.deliveries() == []
    assert history(control, later["id"], "cancelled")["attempts"] == 0


def test_a_mail_arrives_at_its_time_and_one_that_was_put_forward_before_it(
    control: Control, signed_in_account: SignedIn
) -> None:
    soon = control.send(to=ADA, subject="Soon", text="x", scheduled_at=in_seconds(5))
    far = control.send(to=ADA, subject="Far", text="x", scheduled_at=in_seconds(86400))
    control.api("PATCH", f"mails/{far['id']}", {"scheduled_at": None})

    first, second = control.deliveries(2)
    sent = history(control, soon["id"], "sent")

    assert (first["subject"], second["subject"]) == ("Far", "Soon")
    assert sent["sent_at"] >= sent["due_at"]


def test_a_failed_mail_is_retried_to_somebody_else_and_arrives_there(
    control: Control, signed_in_account: SignedIn
) -> None:
    control.fault("graph.send_mail", status=403, code="ErrorSendAsDenied", times=1)
    mail = control.send(wait=20, to=ADA, subject="Retried", text="x")
    assert mail["status"] == "failed"

    control.api("POST", f"mails/{mail['id']}/retry", {"to": GRACE})

    (delivery,) = control.deliveries(1)
    told = history(control, mail["id"], "sent")
    assert delivery["to"] == [GRACE]
    assert told["former_recipients"] == [ADA]
    assert [event.get("reason") for event in told["events"]].count("recipients_changed") == 1


def test_a_lost_outcome_is_settled_by_a_person(
    control: Control, signed_in_account: SignedIn
) -> None:
    control.fault("graph.send_mail", when="after", action="reset")
    mail = control.send(wait=20, to=ADA, subject="Lost", text="x")
    found = history(control, mail["id"], "unknown")

    settled = control.api("POST", f"mails/{found['id']}/resolve", {"decision": "sent"}).json()

    assert settled["status"] == "sent"
    assert len(control.deliveries()) == 1


def test_a_batch_of_a_hundred_arrives_once_each_though_it_is_sent_twice(
    control: Control, signed_in_account: SignedIn
) -> None:
    mails: list[dict[str, Any]] = [
        {"to": ADA, "subject": f"Mail {number}", "text": "x"} for number in range(100)
    ]
    began = time.monotonic()

    answers = [
        control.api("POST", "send/batch", {"mails": mails}, **{"Idempotency-Key": "november"})
        for _ in range(2)
    ]
    took = time.monotonic() - began
    arrived = control.deliveries(100, seconds=60)

    first, second = (answer.json() for answer in answers)
    assert [answer.status_code for answer in answers] == [202, 202]
    assert [item["id"] for item in first["results"]] == [item["id"] for item in second["results"]]
    assert sorted(delivery["subject"] for delivery in arrived) == sorted(
        mail["subject"] for mail in mails
    )
    assert took < 60
