"""Which limits of size a mail is above, by account and by what the mail is."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from shared.errors import RequestRejected
from shared.mail import limits
from shared.mail.account import Account, AccountKind
from shared.mail.address import Address
from shared.mail.graph_payload import MAX_MIME_BYTES, MAX_REQUEST_BYTES
from shared.mail.message import Attachment, Message, StoredFile
from tests.fakes import NOW, account_of

MB = limits.MEGABYTE
SENDER = Address("billing@contoso.com")
MAX_MAIL = 35 * MB
MAIL = Message(sender=None, to=(Address("ada@example.com"),), subject="Hi", text="Hello")
BOTH = replace(MAIL, html="<p>Hello</p>")
UNSAVED = replace(MAIL, save_to_sent_items=False)
RAW = Message(sender=None, to=MAIL.to, mime=b"To: a@example.com\r\n\r\n" + b"x" * 2_300_000)

SENDS = account_of()
WRITES = account_of(scopes=frozenset({"Mail.Send", "Mail.ReadWrite"}))
PERSONAL = replace(WRITES, kind=AccountKind.PERSONAL)


def with_files(message: Message, *sizes: int) -> Message:
    return replace(
        message,
        attachments=tuple(
            Attachment(f"{size}.bin", StoredFile("attachments", f"{size}.bin", size, "e"))
            for size in sizes
        ),
    )


def found(message: Message, account: Account, most: int = MAX_MAIL) -> list[tuple[str, int]]:
    excesses = limits.excesses(message, SENDER, account, most, NOW)
    return [(one.field, one.limit) for one in excesses]


@pytest.mark.parametrize(
    ("message", "account", "most"),
    [
        (with_files(MAIL, 2_900_000), SENDS, MAX_MAIL),
        (with_files(UNSAVED, 2_900_000), WRITES, MAX_MAIL),
        (with_files(MAIL, 26_800_000), WRITES, MAX_MAIL),
        (with_files(MAIL, *[2_600_000] * 10), WRITES, MAX_MAIL),
        (with_files(BOTH, 26_800_000), WRITES, MAX_MAIL),
        (with_files(MAIL, 13 * MB, 12 * MB), PERSONAL, MAX_MAIL),
        (with_files(MAIL, 150 * MB), WRITES, 210 * MB),
        (replace(MAIL, text="x" * 3_900_000), WRITES, MAX_MAIL),
    ],
)
def test_a_mail_within_every_limit_is_accepted(
    message: Message, account: Account, most: int
) -> None:
    assert found(message, account, most) == []
    limits.check(message, SENDER, account, most, NOW)


FILES = "attachments"


@pytest.mark.parametrize(
    ("message", "account", "most", "expected"),
    [
        (with_files(MAIL, 3_100_000), SENDS, MAX_MAIL, [(FILES, MAX_REQUEST_BYTES)]),
        (with_files(BOTH, 1_700_000), SENDS, MAX_MAIL, [(FILES, MAX_MIME_BYTES)]),
        (with_files(UNSAVED, 3_100_000), WRITES, MAX_MAIL, [(FILES, MAX_REQUEST_BYTES)]),
        (RAW, SENDS, MAX_MAIL, [("body", MAX_MIME_BYTES)]),
        (RAW, WRITES, MAX_MAIL, [("body", MAX_MIME_BYTES)]),
        (with_files(MAIL, 27_000_000), WRITES, MAX_MAIL, [(FILES, MAX_MAIL)]),
        (with_files(MAIL, *[2_900_000] * 10), WRITES, MAX_MAIL, [(FILES, MAX_MAIL)]),
        (with_files(MAIL, 13_300_000, 13_300_000), PERSONAL, MAX_MAIL, [(FILES, 25 * MB)]),
        (with_files(MAIL, 1, 150 * MB + 1), WRITES, 210 * MB, [("attachments[1]", 150 * MB)]),
        (replace(MAIL, text="x" * 4_100_000), WRITES, MAX_MAIL, [("text", MAX_REQUEST_BYTES)]),
        (replace(BOTH, html="x" * 2_300_000), WRITES, MAX_MAIL, [("html", MAX_MIME_BYTES)]),
        (replace(MAIL, text="x" * 70_000), WRITES, 64 * 1024, [("body", 64 * 1024)]),
        (
            with_files(MAIL, 160 * MB),
            replace(PERSONAL, scopes=SENDS.scopes),
            MAX_MAIL,
            [
                (FILES, MAX_REQUEST_BYTES),
                (FILES, 25 * MB),
                (FILES, MAX_MAIL),
                ("attachments[0]", 150 * MB),
            ],
        ),
    ],
)
def test_each_limit_that_a_mail_is_above_is_named_the_lowest_first(
    message: Message, account: Account, most: int, expected: list[tuple[str, int]]
) -> None:
    assert found(message, account, most) == expected


@pytest.mark.parametrize(
    ("message", "account", "words"),
    [
        (with_files(MAIL, 4 * MB), SENDS, f"with the box '{limits.VERIFIED_BOX}' ticked"),
        (with_files(UNSAVED, 4 * MB), WRITES, "leave save_to_sent_items true"),
        (RAW, WRITES, "JSON document"),
        (with_files(MAIL, 40 * MB), WRITES, "An operator raises the setting"),
        (with_files(MAIL, 26 * MB), PERSONAL, "use a work account"),
    ],
)
def test_a_refusal_says_what_raises_the_limit(
    message: Message, account: Account, words: str
) -> None:
    with pytest.raises(RequestRejected) as caught:
        limits.check(message, SENDER, account, MAX_MAIL, NOW)

    assert caught.value.kind.code == "mail_too_large"
    assert words in caught.value.help


def test_a_refusal_says_each_thing_once() -> None:
    with pytest.raises(RequestRejected) as caught:
        limits.check(with_files(UNSAVED, 40 * MB), SENDER, SENDS, MAX_MAIL, NOW)

    refused = caught.value
    assert [problem.message.split(".")[0] for problem in refused.errors] == [
        f"is above {MAX_REQUEST_BYTES} bytes: see 'detail' and 'help'",
        f"is above {MAX_MAIL} bytes too",
    ]
    assert "POSTROOM_MAX_MAIL_BYTES" in refused.errors[1].message
    assert "POSTROOM_MAX_MAIL_BYTES" not in refused.detail + refused.help


def test_the_box_that_a_refusal_names_is_on_the_page() -> None:
    choices = Path(__file__).parents[3] / "shared" / "web" / "templates" / "_choices.html"

    assert limits.VERIFIED_BOX in choices.read_text(encoding="utf-8")


def test_a_chunk_is_below_what_a_session_takes_and_a_file_apart_above_what_a_request_takes() -> (
    None
):
    assert limits.CHUNK_BYTES < 4_000_000
    assert limits.CHUNK_BYTES % (320 * 1024) == 0
    assert limits.SEPARATE_BYTES * 4 // 3 >= MAX_REQUEST_BYTES
