"""The mail document: what is understood, and how each mistake is named."""

from __future__ import annotations

import base64
import json
import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.adapters.storage.mail_rows import to_row
from shared.errors import RequestRejected
from shared.mail import problems
from shared.mail.address import Address
from shared.mail.message import Attachment, Importance
from shared.mail.problems import ProblemKind
from shared.services.intake.mail_document import (
    FARTHEST,
    MAX_KEY,
    Order,
    read_json,
    read_mime,
    schema,
)
from shared.services.json_reading import MAX_TOLD
from tests.fakes import NOW, FakeServices, document_of

quick = settings(deadline=None, derandomize=True, max_examples=60)

RICH: dict[str, object] = {
    "account": "billing",
    "from": "Billing <billing@contoso.com>",
    "to": ["Ada <ada@example.com>", {"email": "bob@example.com", "name": "Bob, Jr."}],
    "cc": "cc@example.com",
    "bcc": {"email": "bcc@example.com"},
    "reply_to": ["help@contoso.com"],
    "subject": "Your invoice",
    "text": "Hello",
    "html": "<p>Hello</p>",
    "attachments": [
        {"filename": "i.pdf", "content": "aGk=", "content_type": "application/pdf"},
        {"filename": "logo.png", "content": "", "content_type": "image/png", "content_id": "l1"},
    ],
    "headers": {"X-Ref": "7"},
    "importance": "high",
    "tags": ["invoice"],
    "metadata": {"order": "7"},
    "scheduled_at": "2026-12-01T08:00:00+02:00",
    "read_receipt": True,
    "delivery_receipt": True,
    "idempotency_key": "invoice-7",
}


def read(document: object, *, key: str | None = None) -> Order:
    return read_json(json.dumps(document).encode(), NOW, key=key)


def refusal_of(raw: bytes, *, key: str | None = None) -> RequestRejected:
    with pytest.raises(RequestRejected) as caught:
        read_json(raw, NOW, key=key)
    return caught.value


def fields_of(refused: RequestRejected) -> list[str]:
    return [problem.field for problem in refused.errors]


def test_a_rich_document_becomes_the_message_it_describes() -> None:
    order = read(RICH)

    message = order.message
    assert message.sender == Address("billing@contoso.com", "Billing")
    assert message.to == (
        Address("ada@example.com", "Ada"),
        Address("bob@example.com", "Bob, Jr."),
    )
    assert [a.email for a in (*message.cc, *message.bcc, *message.reply_to)] == [
        "cc@example.com",
        "bcc@example.com",
        "help@contoso.com",
    ]
    assert (message.subject, message.text, message.html) == (
        "Your invoice",
        "Hello",
        "<p>Hello</p>",
    )
    assert message.attachments == (
        Attachment("i.pdf", b"hi", "application/pdf"),
        Attachment("logo.png", b"", "image/png", "l1"),
    )
    assert message.headers == (("X-Ref", "7"),)
    assert (message.importance, message.read_receipt, message.delivery_receipt) == (
        Importance.HIGH,
        True,
        True,
    )


def test_a_rich_document_becomes_the_order_it_describes() -> None:
    order = read(RICH)

    assert (order.account, order.tags, order.metadata) == (
        "billing",
        ("invoice",),
        (("order", "7"),),
    )
    assert order.scheduled_at == datetime(2026, 12, 1, 6, 0, tzinfo=UTC)
    assert (order.idempotency_key, order.dry_run) == ("invoice-7", False)


def test_the_smallest_document_is_enough() -> None:
    order = read({"to": "a@example.com", "text": "x"})

    assert order.message.to == (Address("a@example.com"),)
    assert (order.account, order.idempotency_key, order.message.sender) == (None, None, None)
    assert order.message.save_to_sent_items


WRONG: list[tuple[dict[str, object], str]] = [
    ({"to": []}, "to"),
    ({"to": "nobody"}, "to"),
    ({"to": ["a@example.com", "b@"]}, "to[1]"),
    ({"cc": {"email": "x"}}, "cc"),
    ({"bcc": [{"email": "a@b", "name": "N"}]}, "bcc[0]"),
    ({"reply_to": ["a@example.com\r\nBcc: v@example.com"]}, "reply_to[0]"),
    ({"from": "Eve\r\nBcc: v@example.com <a@example.com>"}, "from"),
    ({"to": {"email": "a@example.com", "name": "Eve\nX: y"}}, "to"),
    ({"to": [f"a{n}@example.com" for n in range(501)]}, "to"),
    ({"subject": "a\r\nBcc: v@example.com"}, "subject"),
    ({"subject": "a\u2028b"}, "subject"),
    ({"subject": "x" * 999}, "subject"),
    ({"text": None}, "text"),
    ({"headers": {"X-Ref": "a\nBcc: v@example.com"}}, "headers.X-Ref"),
    ({"headers": {"X Ref": "a"}}, "headers"),
    ({"headers": {"X:\r\nBcc": "v@example.com"}}, "headers"),
    ({"headers": {"Bcc": "v@example.com"}}, "headers.Bcc"),
    ({"headers": {"X-Ref": "a", "x-ref": "b"}}, "headers.x-ref"),
    ({"headers": {f"X-{n}": "a" for n in range(31)}}, "headers"),
    ({"headers": {"X-Ref": 7}}, "headers.X-Ref"),
    ({"headers": {"<b>": 7}}, "headers[...]"),
    ({"headers": ["X-Ref"]}, "headers"),
    ({"attachments": [{"filename": "a", "content": "a"}]}, "attachments[0].content"),
    ({"attachments": [{"filename": "a", "content": "aGk"}]}, "attachments[0].content"),
    ({"attachments": [{"filename": "a", "content": "aG k="}]}, "attachments[0].content"),
    ({"attachments": [{"filename": "a", "content": "a_-="}]}, "attachments[0].content"),
    ({"attachments": [{"filename": "a", "content": "é"}]}, "attachments[0].content"),
    ({"attachments": [{"filename": "a"}]}, "attachments[0].content"),
    ({"attachments": [{"content": "aGk="}]}, "attachments[0].filename"),
    ({"attachments": [{"filename": "../a", "content": ""}]}, "attachments[0].filename"),
    ({"attachments": [{"filename": "a", "content": "", "url": "x"}]}, "attachments[0].url"),
    ({"attachments": {"filename": "a"}}, "attachments[0].content"),
    ({"attachments": "a.pdf"}, "attachments"),
    ({"to": [{"email": "a@example.com", "nam": "A"}]}, "to[0].nam"),
    ({"recipients": "a@example.com"}, "recipients"),
    ({"Subject": "a"}, "Subject"),
    ({"to": 7}, "to"),
    ({"to": [None]}, "to"),
    ({"to": [["a@example.com"]]}, "to[0]"),
    ({"subject": 7}, "subject"),
    ({"text": ["a"]}, "text"),
    ({"html": True}, "html"),
    ({"account": 7}, "account"),
    ({"importance": "urgent"}, "importance"),
    ({"importance": "High"}, "importance"),
    ({"save_to_sent_items": "false"}, "save_to_sent_items"),
    ({"read_receipt": 1}, "read_receipt"),
    ({"delivery_receipt": "yes"}, "delivery_receipt"),
    ({"dry_run": "true"}, "dry_run"),
    ({"tags": ""}, "tags"),
    ({"tags": "x" * 65}, "tags"),
    ({"tags": [""]}, "tags[0]"),
    ({"tags": ["x" * 65]}, "tags[0]"),
    ({"tags": ["x"] * 11}, "tags"),
    ({"tags": ["a", "b\0"]}, "tags[1]"),
    ({"metadata": {"a\x01": "x"}}, "metadata"),
    ({"metadata": {"a": "x\n"}}, "metadata"),
    ({"metadata": {"a": 1}}, "metadata.a"),
    ({"metadata": {"a" * 65: "x"}}, "metadata"),
    ({"metadata": {"": "x"}}, "metadata"),
    ({"metadata": {"a": "x" * 513}}, "metadata"),
    ({"metadata": {str(n): "x" for n in range(21)}}, "metadata"),
    ({"scheduled_at": "2026-12-01T08:00:00"}, "scheduled_at"),
    ({"scheduled_at": "tomorrow"}, "scheduled_at"),
    ({"scheduled_at": 1764576000}, "scheduled_at"),
    ({"scheduled_at": "2027-08-22T12:00:00Z"}, "scheduled_at"),
    ({"scheduled_at": "9999-12-31T23:59:59-14:00"}, "scheduled_at"),
    ({"idempotency_key": "x" * (MAX_KEY + 1)}, "idempotency_key"),
    ({"idempotency_key": ""}, "idempotency_key"),
    ({"idempotency_key": "   "}, "idempotency_key"),
    ({"idempotency_key": "a\nb"}, "idempotency_key"),
    ({"idempotency_key": 7}, "idempotency_key"),
    ({"save_to_sent_items": False, "html": "<p>x</p>"}, "save_to_sent_items"),
]


@pytest.mark.parametrize(
    ("fields", "field"), WRONG, ids=[f"{n}-{field}" for n, (_, field) in enumerate(WRONG)]
)
def test_a_wrong_field_is_refused_by_its_name(fields: dict[str, object], field: str) -> None:
    refused = refusal_of(json.dumps(document_of(**fields)).encode())

    assert refused.kind is problems.INVALID_MAIL
    assert fields_of(refused) == [field]
    assert all(problem.message for problem in refused.errors)


@pytest.mark.parametrize("name", RICH)
def test_no_field_takes_an_object_of_another_kind(name: str) -> None:
    refused = refusal_of(json.dumps({**RICH, name: {"$ne": {"a": []}}}).encode())

    assert refused.kind is problems.INVALID_MAIL
    assert fields_of(refused)[0].startswith(name)


NOT_JSON = [
    pytest.param(b"", problems.INVALID_JSON, id="nothing"),
    pytest.param(b"{", problems.INVALID_JSON, id="half"),
    pytest.param(b"to=a@example.com", problems.INVALID_JSON, id="a form"),
    pytest.param(b'{"to":"a@example.com","text":NaN}', problems.INVALID_JSON, id="NaN"),
    pytest.param(b'{"to":"a@example.com","text":Infinity}', problems.INVALID_JSON, id="Infinity"),
    pytest.param(b"{'to':'a@example.com'}", problems.INVALID_JSON, id="single quotes"),
    pytest.param(b'{"to":"a@example.com",}', problems.INVALID_JSON, id="a comma too many"),
    pytest.param(b'{"text":"\xff"}', problems.INVALID_JSON, id="latin-1"),
    pytest.param(b'{"text":"\\ud800"}', problems.INVALID_JSON, id="half a surrogate pair"),
    pytest.param(b'{"text":"a\nb"}', problems.INVALID_JSON, id="a bare line break"),
    pytest.param(b"\xef\xbb\xbf{}", problems.INVALID_JSON, id="a byte order mark"),
    pytest.param('{"text":"x"}'.encode("utf-16"), problems.INVALID_JSON, id="UTF-16"),
    pytest.param(b'{"text":"x"}{"text":"x"}', problems.INVALID_JSON, id="two documents"),
    pytest.param(b"[]", problems.INVALID_MAIL, id="an array"),
    pytest.param(b"null", problems.INVALID_MAIL, id="null"),
    pytest.param(b"7", problems.INVALID_MAIL, id="a number"),
    pytest.param(b"[" * 100_000, problems.INVALID_MAIL, id="deep arrays"),
    pytest.param(b'{"text":' + b'{"a":' * 100_000, problems.INVALID_MAIL, id="deep objects"),
    pytest.param(b'{"text":1e999}', problems.INVALID_MAIL, id="a huge float"),
    pytest.param(b'{"text":' + b"9" * 100_000 + b"}", problems.INVALID_MAIL, id="a huge number"),
]


@pytest.mark.parametrize(("raw", "kind"), NOT_JSON)
def test_what_is_no_mail_document_is_refused(raw: bytes, kind: ProblemKind) -> None:
    assert refusal_of(raw).kind is kind


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (b'{"to":"a@example.com","to":"b@example.com","text":"x"}', "to"),
        (b'{"to":"a@example.com","t\\u006f":"b@example.com","text":"x"}', "to"),
        (b'{"to":"a@example.com","text":"x","headers":{"X-A":"1","X-A":"2"}}', "X-A"),
        (b'{"to":[{"email":"a@b.com","email":"c@d.com"}],"text":"x"}', "email"),
    ],
)
def test_a_repeated_name_is_refused_and_no_value_ignored(raw: bytes, field: str) -> None:
    refused = refusal_of(raw)

    assert refused.kind is problems.INVALID_MAIL
    assert fields_of(refused) == [field]


def test_all_mistakes_are_told_at_once() -> None:
    refused = refusal_of(
        json.dumps({"to": ["x"], "subject": "a\nb", "scheduled_at": "2026-12-01T08:00:00"}).encode()
    )

    assert set(fields_of(refused)) == {"to[0]", "subject", "scheduled_at", "text"}
    assert "4 fields" in refused.detail


def test_names_and_types_that_are_wrong_are_told_with_everything_else() -> None:
    document = {
        "to": ["ada@example.com", 7, {"email": "b@example.com", "nam": "B"}],
        "cc": "nobody",
        "subjct": "Hello",
        "text": 7,
        "importance": "urgent",
        "tags": ["a", ""],
        "dry_run": "yes",
        "scheduled_at": "tomorrow",
        "attachments": [{"content": "!"}, {"filename": 1, "content": "aGk="}],
        "metadata": {"order": 7, "customer": "x\n"},
    }

    refused = refusal_of(json.dumps(document).encode())

    assert [(problem.field, problem.message) for problem in refused.errors] == [
        ("to[1]", "must be a text or an object, not a number"),
        ("to[2].nam", "is not a field of a mail: did you mean 'name'?"),
        ("subjct", "is not a field of a mail: did you mean 'subject'?"),
        ("text", "must be a text, not a number"),
        ("importance", "must be 'low', 'normal' or 'high', not this text"),
        ("tags[1]", "must have 1 to 64 characters"),
        ("dry_run", "must be true or false, not this text"),
        ("scheduled_at", "must be a time with its zone, as 2026-12-01T08:00:00Z"),
        (
            "attachments[0].content",
            "is not base64: use the standard alphabet with padding, without line breaks",
        ),
        ("attachments[0].filename", "is missing"),
        ("attachments[1].filename", "must be a text, not a number"),
        ("metadata.order", "must be a text, not a number"),
        ("cc", "has no '@': write it as name@example.com"),
    ]
    assert refused.detail == "The mail has 13 fields that cannot be accepted."


@pytest.mark.parametrize("field", ["to", "tags", "attachments"])
def test_many_entries_of_a_wrong_type_are_counted_and_the_first_are_named(field: str) -> None:
    wrong = [7] * (10 if field == "tags" else 100)

    refused = refusal_of(json.dumps(document_of(**{field: wrong})).encode())

    assert fields_of(refused) == [f"{field}[{n}]" for n in range(min(len(wrong), MAX_TOLD))]
    assert f"{len(wrong)} fields" in refused.detail


def test_after_five_hundred_mistakes_no_more_are_counted() -> None:
    refused = refusal_of(json.dumps(document_of(to=[{"a": 0}] * 5000)).encode())

    assert len(refused.errors) == MAX_TOLD
    assert "more than 500 fields" in refused.detail


def test_of_a_document_with_very_many_parts_the_first_mistake_is_told_alone() -> None:
    refused = refusal_of(b'{"subjct":1,"to":[' + b"[]," * 100_000 + b"[]]}")

    assert len(refused.errors) == 1


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b'{"to": "a@b.co",\n "text": "x",}', "trailing comma in object at line 2, column 14"),
        ('{"text": "é" "x"}'.encode(), "expected ',' or '}' at line 1, column 14"),
        (b'{"text":', "it ends too early, at line 1, column 9"),
        (
            b'{\n"text": "\xff"}',
            "it is not UTF-8 at line 2, column 10; send UTF-8, or say in the Content-Type what it is, as "
            "charset=windows-1252",
        ),
        (b"\xef\xbb\xbf{}", "it begins with a byte order mark; send it without"),
        (b'{"subjct": 1, "to": }', "invalid character at line 1, column 21"),
    ],
)
def test_bad_json_is_told_with_its_place(raw: bytes, told: str) -> None:
    refused = refusal_of(raw)

    assert refused.kind is problems.INVALID_JSON
    assert refused.detail == f"The body is not valid JSON: {told}."


CROWDED: list[tuple[dict[str, object], str]] = [
    ({"to": ["x"] * 501}, "to"),
    ({"to": ["x"] * 200, "cc": ["x"] * 200, "bcc": [{"email": "x"}] * 101}, "to"),
    ({"reply_to": ["x"] * 501}, "reply_to"),
    ({"attachments": [{"filename": ""}] * 101}, "attachments"),
    ({"headers": {f"a b{n}": "\n" for n in range(31)}}, "headers"),
    ({"metadata": {str(n): "x" * 513 for n in range(21)}}, "metadata"),
]


@pytest.mark.parametrize(("fields", "field"), CROWDED)
def test_a_list_that_is_too_long_is_one_problem_and_its_entries_are_not_looked_at(
    fields: dict[str, object], field: str
) -> None:
    refused = refusal_of(json.dumps(document_of(**fields)).encode())

    assert fields_of(refused) == [field]


def test_files_beside_the_document_count_as_attachments() -> None:
    with pytest.raises(RequestRejected) as caught:
        read_json(json.dumps(document_of()).encode(), NOW, files=[Attachment("", b"")] * 101)

    assert fields_of(caught.value) == ["attachments"]


def test_of_many_mistakes_the_first_are_named_and_all_are_counted() -> None:
    refused = refusal_of(json.dumps(document_of(to=["x"] * 500)).encode())

    assert fields_of(refused) == [f"to[{n}]" for n in range(MAX_TOLD)]
    assert "500 fields" in refused.detail
    assert f"first {MAX_TOLD}" in refused.detail


def test_a_hostile_header_name_is_not_repeated_in_the_answer() -> None:
    refused = refusal_of(json.dumps(document_of(headers={"<b>\r\n": "x"})).encode())

    assert "<b>" not in str([(p.field, p.message) for p in refused.errors])


def test_a_time_at_the_beginning_of_the_calendar_means_now() -> None:
    order = read(document_of(scheduled_at="0001-01-01T00:00:00+14:00"))

    assert order.scheduled_at == NOW


def test_the_farthest_time_is_accepted() -> None:
    farthest = (NOW + FARTHEST).astimezone(timezone(timedelta(hours=-5)))

    order = read(document_of(scheduled_at=farthest.isoformat()))

    assert order.scheduled_at == NOW + FARTHEST


@pytest.mark.parametrize("worst", ['"', "\\", "😀", "\x80"])
def test_the_longest_tags_and_metadata_fit_into_a_property_of_the_ledgers_row(worst: str) -> None:
    names = [f"{n:02d}" + worst * 62 for n in range(20)]

    services = FakeServices()
    services.accepted(tags=[worst * 64] * 10, metadata=dict.fromkeys(names, worst * 512))

    row = to_row(services.ledger.mails[0])
    assert all(len(row[name].encode("utf-16-le")) < 64 * 1024 for name in ("tags", "metadata"))


# Keys.


def test_the_header_gives_the_key() -> None:
    assert read(document_of(), key="from-header").idempotency_key == "from-header"


def test_header_and_document_may_give_the_same_key() -> None:
    assert read(document_of(idempotency_key="k"), key="k").idempotency_key == "k"


@pytest.mark.parametrize(
    ("in_document", "in_header"),
    [("a", "b"), (None, ""), (None, "x" * (MAX_KEY + 1)), (None, "a\tb"), ("a", "")],
)
def test_a_key_that_is_no_key_is_refused(in_document: str | None, in_header: str) -> None:
    raw = json.dumps(document_of(idempotency_key=in_document)).encode()

    assert set(fields_of(refusal_of(raw, key=in_header))) == {"idempotency_key"}


def test_the_longest_key_is_accepted() -> None:
    assert read(document_of(), key="x" * MAX_KEY).idempotency_key == "x" * MAX_KEY


# The hash.


def digest(raw: bytes) -> str:
    return read_json(raw, NOW).document_hash


PLAIN = b'{"to":"a@example.com","subject":"\xc3\xa9","text":"x"}'


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(b'{"text":"x","subject":"\xc3\xa9","to":"a@example.com"}', id="order"),
        pytest.param(
            b' {\n "to" : "a@example.com", "subject":"\xc3\xa9", "text":"x"}', id="spaces"
        ),
        pytest.param(b'{"to":"a@example.com","subject":"\\u00e9","text":"x"}', id="escapes"),
        pytest.param(
            b'{"to":"a@example.com","subject":"\xc3\xa9","text":"x","cc":[],"html":null}',
            id="defaults spelled out",
        ),
        pytest.param(
            b'{"to":"a@example.com","subject":"\xc3\xa9","text":"x","idempotency_key":"k"}',
            id="with its key",
        ),
    ],
)
def test_the_same_document_has_the_same_hash_however_it_is_written(other: bytes) -> None:
    assert digest(other) == digest(PLAIN)


CHANGES: dict[str, object] = {
    "account": "hr",
    "from": "b@contoso.com",
    "to": "b@example.com",
    "cc": "b@example.com",
    "bcc": "b@example.com",
    "reply_to": "b@example.com",
    "subject": "Another",
    "text": "Another",
    "html": "Another",
    "attachments": [{"filename": "a", "content": ""}],
    "headers": {"X-A": "1"},
    "importance": "low",
    "tags": ["a"],
    "metadata": {"a": "b"},
    "scheduled_at": "2026-12-01T08:00:00Z",
    "save_to_sent_items": False,
    "signature": False,
    "read_receipt": True,
    "delivery_receipt": True,
    "in_reply_to": "<a@example.com>",
    "references": "<a@example.com>",
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_of_any_field_changes_the_hash(name: str) -> None:
    changed = read(document_of(**{name: CHANGES[name]}))

    assert changed.document_hash != read(document_of()).document_hash


@pytest.mark.parametrize("dry_run", [True, False, None])
def test_a_dry_run_has_the_hash_of_the_document_that_is_sent(dry_run: bool | None) -> None:
    assert read(document_of(dry_run=dry_run)).document_hash == read(document_of()).document_hash


def test_files_beside_the_document_count_for_the_hash() -> None:
    raw = json.dumps(document_of()).encode()
    files = [
        [],
        [Attachment("a", b"x")],
        [Attachment("b", b"x")],
        [Attachment("a", b"y")],
        [Attachment("a", b"x", "text/plain")],
        [Attachment("a", b"x", content_id="c")],
        [Attachment("a", b"x"), Attachment("a", b"x")],
    ]

    hashes = {read_json(raw, NOW, files=given).document_hash for given in files}

    assert len(hashes) == len(files)


def test_files_beside_the_document_follow_its_own_attachments() -> None:
    raw = json.dumps(document_of(attachments=[{"filename": "a", "content": ""}])).encode()

    order = read_json(raw, NOW, files=[Attachment("b", b"x")])

    assert [item.filename for item in order.message.attachments] == ["a", "b"]


@quick
@given(st.binary(max_size=2000))
def test_an_attachment_arrives_byte_for_byte(content: bytes) -> None:
    encoded = base64.b64encode(content).decode()

    order = read(document_of(attachments=[{"filename": "a", "content": encoded}]))

    assert order.message.attachments[0].content == content


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)


@quick
@given(st.dictionaries(st.sampled_from([*RICH, "nonsense"]), json_values, max_size=5))
def test_any_json_is_read_or_refused_and_nothing_else(document: dict[str, object]) -> None:
    read_or_kind = outcome_of(json.dumps(document).encode())

    assert (
        read_or_kind in (problems.INVALID_MAIL, problems.INVALID_JSON)
        if isinstance(read_or_kind, ProblemKind)
        else read_or_kind.message.recipients
    )


def outcome_of(raw: bytes) -> Order | ProblemKind:
    try:
        return read_json(raw, NOW)
    except RequestRejected as refused:
        return refused.kind


@quick
@given(st.binary(max_size=200))
def test_any_bytes_are_refused_and_nothing_else(raw: bytes) -> None:
    assert refusal_of(raw).kind in (problems.INVALID_MAIL, problems.INVALID_JSON)


# Raw messages.


def test_a_raw_message_is_an_order_without_extras() -> None:
    raw = b"From: Ada <ada@contoso.com>\r\nTo: b@example.com\r\nSubject: Hi\r\n\r\nhello"

    order = read_mime(raw, key="k")

    assert order.message.sender == Address("ada@contoso.com", "Ada")
    assert (order.message.subject, order.message.mime) == ("Hi", b"\r\nhello")
    assert (order.account, order.tags, order.scheduled_at) == (None, (), None)
    assert (order.idempotency_key, order.dry_run) == ("k", False)


def test_raw_messages_differ_by_every_byte() -> None:
    raw = b"To: b@example.com\r\n\r\nhello"

    assert read_mime(raw).document_hash != read_mime(raw + b" ").document_hash
    assert read_mime(raw).document_hash == read_mime(raw).document_hash


@pytest.mark.parametrize(
    ("raw", "fields"),
    [
        (b"Subject: x\r\n\r\nhello", ["to"]),
        (b"To: nobody\r\n\r\nhello", ["To"]),
        (b"hello", ["body"]),
        (b"To: a@example.com\r\nFrom: x\r\n\r\nhello", ["From"]),
    ],
)
def test_a_wrong_raw_message_is_refused_by_its_header(raw: bytes, fields: list[str]) -> None:
    with pytest.raises(RequestRejected) as caught:
        read_mime(raw)

    assert caught.value.kind is problems.INVALID_MAIL
    assert fields_of(caught.value) == fields


def test_the_schema_describes_every_field_and_admits_no_other() -> None:
    reference, components = schema()

    mail = components["MailDocument"]
    assert reference == {"$ref": "#/components/schemas/MailDocument"}
    assert isinstance(mail, dict)
    assert mail["properties"].keys() == {
        *RICH,
        "save_to_sent_items",
        "signature",
        "dry_run",
        "in_reply_to",
        "references",
    }
    assert mail["additionalProperties"] is False


# Hostile sizes.

MB = 1024 * 1024
FILE = b'{"filename":"","content":"!"}'


def json_with(name: bytes, value: bytes) -> bytes:
    return b'{"text":"x","%s":%s}' % (name, value)


def list_of(entry: bytes) -> bytes:
    return b"[" + b",".join([entry] * (MB // (len(entry) + 1))) + b"]"


def names_of(prefix: bytes) -> bytes:
    return b"{" + b",".join(b'"%s%d":""' % (prefix, n) for n in range(MB // 16)) + b"}"


HOSTILE = [
    pytest.param(json_with(b"attachments", list_of(FILE)), id="attachments"),
    pytest.param(json_with(b"headers", names_of(b"a b")), id="headers"),
    pytest.param(json_with(b"metadata", names_of(b"m")), id="metadata"),
    pytest.param(json_with(b"to", list_of(b'""')), id="empty recipients"),
    pytest.param(json_with(b"to", list_of(b"1")), id="recipients that are numbers"),
    pytest.param(json_with(b"to", list_of(b"{}")[: 3 * 49_000] + b"{}]"), id="empty objects"),
    pytest.param(json_with(b"reply_to", list_of(b'{"email":"x"}')), id="reply_to"),
    pytest.param(b"{" + b",".join([b'"to":"a@b.co"'] * (MB // 14)) + b"}", id="one name"),
    pytest.param(b'{"' + b" - at `" * (MB // 7) + b'":1}', id="an unknown name"),
    pytest.param(json_with(b"subject", b'"%s"' % (b"\\u2028" * (MB // 6))), id="subject"),
]


@pytest.mark.parametrize("raw", HOSTILE)
def test_a_hostile_megabyte_is_refused_in_little_time(raw: bytes) -> None:
    started = time.thread_time()

    refused = refusal_of(raw)

    assert time.thread_time() - started < 2
    assert len(refused.errors) <= MAX_TOLD
