"""Times, durations and statuses in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from shared.mail.status import Status
from shared.web.pages import wording
from tests.fakes import mail_of

ID = "0190d6e4-6b80-7abc-8def-0123456789ab"


def test_every_status_has_a_name_and_a_meaning() -> None:
    assert set(wording.STATUSES) == set(wording.MEANINGS) == set(Status)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "0 ms"),
        (0, "0 ms"),
        (0.0404, "40 ms"),
        (1, "1.0 s"),
        (59.94, "59.9 s"),
        (60, "1 min"),
        (61, "1 min 1 s"),
        (3599.4, "59 min 59 s"),
        (3600, "1 h"),
        (3661, "1 h 1 min"),
        (86400, "1 d"),
        (90061, "1 d 1 h"),
        (86400 * 400, "400 d"),
    ],
)
def test_a_duration_has_its_two_largest_units(seconds: float, words: str) -> None:
    assert wording.lasting(timedelta(seconds=seconds)) == words


def test_a_time_is_told_in_utc_whatever_its_zone() -> None:
    at = datetime(2026, 11, 22, 1, 2, 3, 4, tzinfo=timezone(timedelta(hours=2)))

    assert wording.moment(at) == "21 Nov 2026, 23:02:03 UTC"
    assert wording.iso(at) == "2026-11-21T23:02:03+00:00"
    assert datetime.fromisoformat(wording.iso(at)).tzinfo == UTC


@pytest.mark.parametrize(
    ("recipients", "count", "words"),
    [
        ((), 0, "nobody that could be read"),
        (("ada@x.example",), 1, "ada@x.example"),
        (("ada@x.example",), 0, "ada@x.example"),
        (("ada@x.example", "b@x.example"), 500, "ada@x.example and 499 more"),
    ],
)
def test_recipients_are_told_in_a_line(recipients: tuple[str, ...], count: int, words: str) -> None:
    mail = mail_of(ID, recipients=recipients, recipient_count=count)

    assert wording.recipients(mail) == words


def test_a_mail_without_a_subject_is_called_so() -> None:
    assert wording.subject(mail_of(ID, subject="")) == "(no subject)"
    assert wording.subject(mail_of(ID, subject="<b>")) == "<b>"
