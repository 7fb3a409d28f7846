"""Statuses and the ways between them."""

from __future__ import annotations

from itertools import product

import pytest

from shared.mail.status import SETTLED, WAITING, Status, may_follow

ALLOWED = {
    ("scheduled", "queued"),
    ("scheduled", "sending"),
    ("scheduled", "held"),
    ("scheduled", "cancelled"),
    ("scheduled", "failed"),
    ("scheduled", "unknown"),
    ("queued", "scheduled"),
    ("queued", "unknown"),
    ("queued", "sending"),
    ("queued", "held"),
    ("queued", "cancelled"),
    ("queued", "failed"),
    ("sending", "sent"),
    ("sending", "queued"),
    ("sending", "held"),
    ("sending", "unknown"),
    ("sending", "failed"),
    ("held", "unknown"),
    ("held", "scheduled"),
    ("held", "queued"),
    ("held", "sending"),
    ("held", "cancelled"),
    ("held", "failed"),
    ("unknown", "sent"),
    ("unknown", "queued"),
    ("unknown", "failed"),
    ("failed", "queued"),
}


@pytest.mark.parametrize(("before", "after"), list(product(Status, Status)))
def test_a_mail_moves_only_along_the_allowed_ways(before: Status, after: Status) -> None:
    assert may_follow(before, after) is ((before.value, after.value) in ALLOWED)


def test_every_status_either_moves_by_itself_or_stays() -> None:
    assert {"scheduled", "queued", "sending"} == WAITING
    assert {"sent", "held", "unknown", "failed", "cancelled"} == SETTLED


@pytest.mark.parametrize("status", sorted(SETTLED))
def test_no_way_leads_from_a_settled_mail_that_may_be_sent_to_another_send(status: Status) -> None:
    """Only a held mail, which certainly was not sent, is claimed without a person's decision."""
    assert may_follow(status, Status.SENDING) is (status is Status.HELD)
