"""Names of fields that other services and languages use, and times with a `+` that was not escaped."""

from __future__ import annotations

import pytest

import function_app
from tests.fakes import FakeServices, document_of
from tests.functional.calling import change, list_mails, posted, read, send
from tests.functional.test_send import problem

MEANT = [
    ("body", "'text' or 'html'"),
    ("message", "'text' or 'html'"),
    ("content", "'text' or 'html'"),
    ("Body", "'text' or 'html'"),
    ("attachment", "'attachments'"),
    ("sender", "'from'"),
    ("recipients", "'to'"),
    ("recipient", "'to'"),
    ("toRecipients", "'to'"),
    ("ccRecipients", "'cc'"),
    ("bccRecipients", "'bcc'"),
    ("personalizations", "'to'"),
    ("To", "'to'"),
    ("From", "'from'"),
    ("Subject", "'subject'"),
    ("HtmlBody", "'html'"),
    ("TextBody", "'text'"),
    ("html_body", "'html'"),
    ("BodyAsHtml", "'html'"),
    ("plainTextContent", "'text'"),
    ("replyTo", "'reply_to'"),
    ("reply-to", "'reply_to'"),
    ("ReplyTo", "'reply_to'"),
    ("inReplyTo", "'in_reply_to'"),
    ("priority", "'importance'"),
    ("o:tag", "'tags'"),
    ("custom_args", "'metadata'"),
    ("send_at", "'scheduled_at'"),
    ("sendAt", "'scheduled_at'"),
    ("saveToSentItems", "'save_to_sent_items'"),
    ("internetMessageHeaders", "'headers'"),
    ("idempotencyKey", "'idempotency_key'"),
    ("dryRun", "'dry_run'"),
    ("subjct", "'subject'"),
]


@pytest.mark.parametrize(("name", "meant"), MEANT)
def test_a_name_of_another_service_is_refused_with_the_name_that_is_meant(
    services: FakeServices, name: str, meant: str
) -> None:
    answer = send(document_of(**{name: "x"}))

    assert problem(answer) == (422, "invalid_mail", [name])
    assert read(answer)["errors"][0]["message"] == (
        f"is not a field of a mail: did you mean {meant}?"
    )


@pytest.mark.parametrize(
    ("fields", "field", "meant"),
    [
        ({"to": [{"address": "a@b.de"}]}, "to[0].address", "'email'"),
        ({"to": {"emailAddress": "a@b.de"}}, "to.emailAddress", "'email'"),
        ({"from": {"Email": "a@b.de"}}, "from.Email", "'email'"),
        ({"attachments": [{"contentBytes": ""}]}, "attachments[0].contentBytes", "'content'"),
        ({"attachments": {"contentType": "a/b"}}, "attachments.contentType", "'content_type'"),
        ({"attachments": [{"cid": "a"}]}, "attachments[0].cid", "'content_id'"),
        ({"attachments": [{"name": "a"}]}, "attachments[0].name", "'filename'"),
    ],
)
def test_a_name_inside_of_a_field_is_told_too(
    services: FakeServices, fields: dict[str, object], field: str, meant: str
) -> None:
    errors = read(send(document_of(**fields)))["errors"]

    told = {error["field"]: error["message"] for error in errors}
    assert told[field].endswith(f"did you mean {meant}?")


def test_other_documents_say_what_they_call_it(services: FakeServices) -> None:
    batch = read(posted(function_app.send_batch, {"messages": []}, {}))
    retry = read(change("retry", "01990000-0000-7000-8000-000000000000", {"recipients": "a@b.de"}))

    assert "did you mean 'mails'?" in batch["errors"][0]["message"]
    assert "did you mean 'to'?" in retry["errors"][0]["message"]


@pytest.mark.parametrize("name", ["<script>", "a\u2028b", "\x1b[31m", "x" * 5000])
def test_a_hostile_name_comes_back_short_and_without_its_signs(
    services: FakeServices, name: str
) -> None:
    errors = read(send(document_of(**{name: "x"})))["errors"]

    (shown,) = [error["field"] for error in errors]
    assert len(shown) <= 80
    assert not set(shown) & set("<>\u2028\x1b")


@pytest.mark.parametrize("name", ["since", "until"])
@pytest.mark.parametrize(
    "text", ["2026-12-01T08:00:00 00:00", "2026-12-01T08:00:00.5 02:00", "2026-12-01T08:00 0530"]
)
def test_a_time_whose_plus_became_a_space_says_how_to_write_it(
    services: FakeServices, name: str, text: str
) -> None:
    answer = list_mails(**{name: text})

    assert problem(answer) == (400, "invalid_request", [name])
    assert "%2B" in read(answer)["detail"]


@pytest.mark.parametrize("text", ["2026-12-01T08:00:00+00:00", "2026-12-01 08:00:00Z"])
def test_a_time_with_its_plus_is_taken(services: FakeServices, text: str) -> None:
    assert list_mails(since=text).status_code == 200


def test_a_date_alone_is_told_that_it_has_no_zone(services: FakeServices) -> None:
    assert "%2B" not in read(list_mails(since="2026-12-01 08:00"))["detail"]
