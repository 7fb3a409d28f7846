"""What can be read of a document that was refused."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.services.intake.labels import Labels
from shared.services.intake.message_text import MAX_MESSAGE_BYTES
from shared.services.intake.readable_parts import MAX_READ, NOTHING, Recipient, readable_parts
from tests.growth import assert_linear

quick = settings(deadline=None, derandomize=True, max_examples=200)


def recipients(**fields: object) -> list[tuple[str, bool]]:
    found = readable_parts(json.dumps(fields).encode())
    return [(one.text, one.is_address) for one in found.recipients]


def test_all_that_is_sound_is_read() -> None:
    found = readable_parts(
        json.dumps(
            {
                "account": "billing",
                "from": {"email": "billing@contoso.com", "name": "Billing"},
                "to": "Ada <ada@contoso.com>",
                "cc": [{"email": "grace@contoso.com"}],
                "bcc": ["hidden@example.org"],
                "subject": "Your invoice 7",
                "subjct": "x",
                "tags": ["invoice", "x\n"],
                "metadata": {"order": "7", "n": 7},
            }
        ).encode()
    )

    assert found.subject == "Your invoice 7"
    assert found.recipients == tuple(
        Recipient(text, is_address=True)
        for text in ("Ada <ada@contoso.com>", "grace@contoso.com", "hidden@example.org")
    )
    assert found.recipient_count == 3
    assert found.sender == "Billing <billing@contoso.com>"
    assert (found.account, found.account_is_alias) == ("billing", True)
    assert found.labels == Labels(("invoice",), (("order", "7"),))


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (
            "Ada <ada@x.example>; b@y.example",
            [("Ada <ada@x.example>", True), ("b@y.example", True)],
        ),
        ("Doe, John <j@x.example>", [("Doe, John <j@x.example>", False)]),
        (["nobody", " "], [("nobody", False)]),
        ([{"email": "nobody", "name": "Ada"}], [("nobody", False)]),
        ([{"email": 7}, {"name": "Ada"}, 7, None, ["a@x.example"], True], []),
        ("a@x.example\r\nBcc: b@x.example", [("a@x.example��Bcc: b@x.example", False)]),
        ("\u202emoc.elpmaxe@a", [("�moc.elpmaxe@a", False)]),
        ("x" * 400, [("x" * 120 + "…", False)]),
        (None, []),
        ({}, []),
    ],
)
def test_an_address_is_shown_as_one_only_where_it_reads_as_one(
    given: object, shown: list[tuple[str, bool]]
) -> None:
    assert recipients(to=given) == shown


def test_more_recipients_than_are_read_are_counted() -> None:
    found = readable_parts(json.dumps({"to": ["a@x.example"] * 700, "cc": "b@x.example"}).encode())

    assert len(found.recipients) == MAX_READ
    assert found.recipient_count == 701


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("  Hello  ", "Hello"),
        ("Hello\r\nBcc: evil@e.example", "Hello��Bcc: evil@e.example"),
        ("x" * 1200, "x" * 998 + "…"),
        ("a\x00b\x85c\u2028d", "a�b�c�d"),
        (7, ""),
        (None, ""),
        (["a"], ""),
    ],
)
def test_a_subject_is_one_line_of_the_length_that_subjects_have(given: object, shown: str) -> None:
    assert readable_parts(json.dumps({"subject": given}).encode()).subject == shown


@pytest.mark.parametrize(
    ("given", "shown", "is_alias"),
    [
        ("no-such", "no-such", True),
        ("billing@contoso.com", "billing@contoso.com", False),
        ("x" * 200, "x" * 120 + "…", False),
        ("", None, False),
        (7, None, False),
    ],
)
def test_the_account_is_whatever_the_document_names(
    given: object, shown: str | None, is_alias: bool
) -> None:
    found = readable_parts(json.dumps({"account": given}).encode())

    assert (found.account, found.account_is_alias) == (shown, is_alias)


@pytest.mark.parametrize(
    "given", ["a@x.example, b@x.example", "nobody", ["a@x.example"], 7, {"email": 7}, {"name": "A"}]
)
def test_a_sender_that_is_not_one_address_is_not_shown(given: object) -> None:
    assert readable_parts(json.dumps({"from": given}).encode()).sender == ""


@pytest.mark.parametrize(
    "document",
    [
        None,
        b"",
        b"{",
        b"[]",
        b'"x"',
        b'{"to": "\xff"}',
        b'{"x":' + b"[" * 5000,
        b'{"a": "\\ud800"}',
    ],
)
def test_nothing_is_read_of_what_is_no_json_object(document: bytes | None) -> None:
    assert readable_parts(document) == NOTHING


@quick
@given(
    st.dictionaries(
        st.sampled_from(["to", "cc", "from", "subject", "account", "tags", "metadata", "x"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=40),
            lambda inner: (
                st.lists(inner, max_size=4)
                | st.dictionaries(st.sampled_from(["email", "name", "x"]), inner, max_size=3)
            ),
            max_leaves=8,
        ),
    )
)
def test_any_object_gives_texts_that_stay_in_their_line(document: dict[str, object]) -> None:
    found = readable_parts(json.dumps(document).encode())

    texts = [found.subject, found.sender, found.account or "", *(r.text for r in found.recipients)]
    assert not any(ord(each) < 32 or 127 <= ord(each) < 160 for text in texts for each in text)
    assert found.recipient_count >= len(found.recipients)


def _texts(field: str, text: str) -> Callable[[int], bytes]:
    """A document of about a size, filled with a text in a field."""

    def made(size: int) -> bytes:
        services = (size - 30) // len(json.dumps(text)[1:-1])
        return json.dumps({field: text * services}).encode()

    return made


def _lists(entry: object) -> Callable[[int], bytes]:
    return lambda size: json.dumps(
        {"to": [entry] * (size // (len(json.dumps(entry)) + 2))}
    ).encode()


MADE: dict[str, Callable[[int], bytes]] = {
    "quotation marks": _texts("to", '"'),
    "escaped quotation marks": _texts("to", '\\"'),
    "open angle brackets": _texts("to", "<"),
    "open parentheses": _texts("to", "("),
    "separators": _texts("to", ","),
    "addresses": _texts("to", "a@x.example, "),
    "labels of a domain": _texts("to", "a@x." + "b."),
    "letters of another script": _texts("to", "a@ü"),
    "many entries": _lists("a@x.example"),
    "many objects": _lists({"email": "a@x.example", "name": "Ada"}),
    "many empty lists": _lists([]),
    "a long subject": _texts("subject", "\x00"),
    "a long account": _texts("account", "a"),
    "a long sender": _texts("from", "<"),
    "a long tag": _texts("tags", "\n"),
    "names of metadata": lambda size: json.dumps(
        {"metadata": {str(at): "" for at in range(size // 12)}}
    ).encode(),
}


@pytest.mark.parametrize("made", MADE.values(), ids=MADE)
def test_the_time_it_takes_grows_with_the_size_of_the_document_alone(
    made: Callable[[int], bytes],
) -> None:
    def four_times(document: bytes) -> None:
        for _ in range(4):
            readable_parts(document)

    assert_linear(four_times, made, MAX_MESSAGE_BYTES)
