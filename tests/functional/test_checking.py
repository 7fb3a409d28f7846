"""Checking an account over HTTP."""

from __future__ import annotations

from shared.errors import ConsentRequired
from tests.fakes import NOT_REACHED, FakeServices
from tests.functional.calling import check_account, read


def test_a_check_answers_with_what_it_found(services: FakeServices) -> None:
    answer = check_account("billing")
    document = read(answer)

    assert answer.status_code == 200
    assert (document["alias"], document["result"]) == ("billing", "ok")
    assert [one["what"] for one in document["findings"]] == ["grant", "mailbox", "scope"]


def test_trouble_is_an_answer_and_no_error(services: FakeServices) -> None:
    services.faults.always("tokens.renew", ConsentRequired("AADSTS50173", "revoked"))
    (finding,) = read(check_account("billing"))["findings"]

    assert finding["code"] == "AADSTS50173"
    assert finding["who"] == "the person whose mailbox it is"
    assert finding["step"]


def test_an_unknown_alias_is_refused_with_a_remedy(services: FakeServices) -> None:
    answer = check_account("hr")

    assert answer.status_code == 404
    assert read(answer)["code"] == "unknown_alias"
    assert "GET /api/accounts" in read(answer)["help"]


def test_a_field_that_is_not_known_is_refused_by_name(services: FakeServices) -> None:
    answer = check_account("billing", {"deep": True})

    assert answer.status_code in (400, 422)
    assert "deep" in answer.get_body().decode()


def test_an_alias_may_be_written_in_capitals(services: FakeServices) -> None:
    assert check_account("Billing").status_code == 200


def test_without_the_table_nothing_is_asked_of_microsoft(services: FakeServices) -> None:
    services.faults.always("accounts.fresh", NOT_REACHED)

    assert check_account("billing").status_code == 503
    assert services.tokens.renewed == []
