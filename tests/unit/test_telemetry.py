"""Log events: stable, structured, and free of anything personal."""

from __future__ import annotations

import json
import logging

import pytest

from shared.telemetry import FACTS, event, quiet_libraries


def test_an_event_is_one_line_of_json_with_its_name_first(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO, "postroom"):
        event("mail_sent", mail_id="m1", attempts=2)

    assert caplog.messages == ['{"event":"mail_sent","mail_id":"m1","attempts":2}']


def test_what_is_not_known_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "postroom"):
        event("mail_sent", mail_id="m1", reason=None, attempts=0)

    assert json.loads(caplog.messages[0]) == {"event": "mail_sent", "mail_id": "m1", "attempts": 0}


def test_a_text_with_line_breaks_stays_one_line(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "postroom"):
        event("mail_failed", reason='a\r\n{"event":"forged"}\u2028')

    assert "\n" not in caplog.messages[0]
    assert "\u2028" not in caplog.messages[0]
    assert json.loads(caplog.messages[0])["event"] == "mail_failed"


@pytest.mark.parametrize("name", ["to", "subject", "address", "token", "body", "sender", "key"])
def test_a_fact_that_is_not_on_the_list_is_a_programming_error(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        event("mail_sent", level=logging.INFO, **{name: "x"})


def test_no_fact_on_the_list_is_personal_or_secret() -> None:
    forbidden = {
        "to",
        "from",
        "sender",
        "recipient",
        "subject",
        "address",
        "token",
        "secret",
        "key",
    }

    assert forbidden.isdisjoint(FACTS)


def test_the_level_is_the_callers(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "postroom"):
        event("bell_failed", level=logging.WARNING)

    assert [record.levelname for record in caplog.records] == ["WARNING"]


@pytest.mark.parametrize("name", ["azure.core.pipeline", "msal.application", "urllib3.pool"])
def test_libraries_that_log_urls_and_names_are_quiet(name: str) -> None:
    quiet_libraries()

    assert not logging.getLogger(name).isEnabledFor(logging.INFO)
    assert logging.getLogger(name).isEnabledFor(logging.WARNING)
