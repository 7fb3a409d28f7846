"""Verified sending through the whole stack."""

from __future__ import annotations

from local import demo
from tests.e2e.control import Control

ADA = "ada@contoso.com"


def test_a_verified_mail_whose_answer_was_lost_is_found_sent_and_arrived_once(
    control: Control,
) -> None:
    demo.sign_in(control.stack.info, demo.MAILBOX, demo.ALIAS, verified=True)
    control.fault("graph.send_message", when="after", action="reset")

    answer = control.send(wait=45, to=ADA, subject="Once", text="x")

    mail = control.api("GET", f"mails/{answer['id']}").json()
    assert (answer["delivery"], answer["status"]) == ("verified", "sent")
    assert [event["status"] for event in mail["events"]] == ["queued", "sending", "unknown", "sent"]
    assert mail["events"][2]["reason"] == "finding_out"
    assert [delivery["key"] for delivery in control.deliveries(1)] == [answer["id"]]


def test_a_verified_mail_that_shall_leave_no_copy_goes_directly_and_says_so(
    control: Control,
) -> None:
    demo.sign_in(control.stack.info, demo.MAILBOX, demo.ALIAS, verified=True)

    answer = control.send(wait=20, to=ADA, subject="No copy", text="x", save_to_sent_items=False)

    (delivery,) = control.deliveries(1)
    assert (answer["delivery"], answer["status"]) == ("direct", "sent")
    assert "save_to_sent_items" in answer["delivery_note"]
    assert delivery["saved_to_sent_items"] is False
