"""The catalogue of Entra's codes."""

from __future__ import annotations

import pytest

from shared.mail import refusals
from shared.mail.refusals import Actor, Retry

# Every code of section 4.2 of the fact sheet that the catalogue was written from.
LISTED = [
    70008,
    700082,
    700084,
    70043,
    70000,
    50173,
    50076,
    50079,
    50074,
    50072,
    50078,
    53000,
    53001,
    530003,
    53003,
    53004,
    530032,
    530035,
    50055,
    50053,
    50057,
    50034,
    50020,
    500208,
    50194,
    50105,
    65001,
    65004,
    90094,
    90095,
    650052,
    650056,
    650057,
    7000215,
    7000222,
    7000218,
    700025,
    700027,
    50012,
    50013,
    70021,
    700213,
    700229,
    700016,
    70001,
    7000112,
    90002,
    900023,
    50011,
    500113,
    900971,
    501481,
    50147,
    54005,
    700005,
    70011,
    28002,
    28003,
    700022,
    9002313,
    900144,
    9001023,
    90072,
    50097,
    50155,
    50187,
    500212,
    500213,
    50196,
    50033,
    90006,
    90024,
    90033,
    90055,
    90090,
]


@pytest.mark.parametrize("number", LISTED)
def test_every_listed_code_has_words_of_its_own(number: int) -> None:
    row = refusals.find(f"AADSTS{number}")

    assert refusals.is_known(str(number))
    assert row.code == f"AADSTS{number}"
    assert row.meaning.endswith(".")
    assert row.step.endswith(".")


def test_an_unknown_code_gets_a_cautious_answer() -> None:
    row = refusals.find("AADSTS999999999")

    assert row.code == "AADSTS999999999"
    assert not row.retryable
    assert not row.blames_the_app


def test_the_number_decides_over_the_errors_name() -> None:
    row = refusals.read("invalid_grant", "AADSTS50196: loop detected. Trace ID: x")

    assert (row.code, row.retry) == ("AADSTS50196", Retry.LATER)


def test_error_codes_are_read_where_the_description_says_nothing() -> None:
    assert refusals.read("invalid_client", "", (7000222,)).code == "AADSTS7000222"


def test_an_unknown_number_keeps_its_name_for_people_and_follows_the_error() -> None:
    row = refusals.read("invalid_client", "AADSTS123456: something new")

    assert row.code == "AADSTS123456"
    assert row.who is Actor.OPERATOR


def test_a_known_number_among_unknown_ones_is_found() -> None:
    row = refusals.read("invalid_grant", "AADSTS999999: see AADSTS53003 below")

    assert row.code == "AADSTS53003"


def test_an_unknown_invalid_grant_may_be_a_passing_one() -> None:
    assert refusals.read("invalid_grant", "").retry is Retry.ONCE


@pytest.mark.parametrize("error", ["temporarily_unavailable", "server_error"])
def test_passing_errors_are_retryable(error: str) -> None:
    assert refusals.read(error, "").retryable


@pytest.mark.parametrize("error", ["", "<script>", "x" * 5000, "invalid\r\ngrant"])
def test_a_crafted_error_name_goes_no_further(error: str) -> None:
    row = refusals.read(error, "<script>alert(1)</script>" * 1000)

    assert row.code == "unknown_error"


def test_every_row_says_who_acts() -> None:
    rows = refusals.CATALOGUE.values()

    assert all(isinstance(row.who, Actor) for row in rows)
    assert all(row.retry is Retry.LATER for row in rows if row.who is Actor.NOBODY)


def test_the_refused_sign_in_names_the_step_the_actor_and_the_code() -> None:
    refused = refusals.refused_sign_in(refusals.find("90094"), chosen="a@b.com")

    assert refused.code == "AADSTS90094"
    assert "Grant admin consent" in refused.help
    assert Actor.DIRECTORY_ADMIN.value in refused.help
    assert refused.chosen == "a@b.com"
