"""Writing a message takes a time that grows with its size and not with the square of it."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from shared.mail import media_type, pictures
from shared.mail.address import Address
from shared.mail.attachment_rules import MAX_FILENAME
from shared.mail.header_rules import MAX_HEADER_VALUE, literal_fault
from shared.mail.message import (
    MAX_ATTACHMENTS,
    MAX_HEADERS,
    MAX_SUBJECT,
    Attachment,
    Message,
    problems_of,
)
from shared.mail.mime.header_lines import encoded, header_line
from shared.mail.mime.writing import compose
from tests.fakes import NOW
from tests.growth import assert_linear

KEY = "01a01f0a-da00-72d3-a652-e44da7f29e26"
SENDER = Address("billing@contoso.com", "Billing")
PICTURE = (Attachment("a.png", b"png", "image/png", "logo"),)
IDS = {"'" + "cid:'" * (n // 2) + "A'" * (n % 2) for n in range(MAX_ATTACHMENTS)}
"""Ids that are parts of each other."""
BOTH = Message(sender=None, to=(Address("ada@example.com"),), text="Hello", html="<p>Hello</p>")


def written(**changes: object) -> bytes:
    return compose(replace(BOTH, **changes), SENDER, KEY, NOW)


def a_file(content: bytes) -> tuple[Attachment, ...]:
    return (Attachment("a.bin", content),)


def shown(markup: str) -> frozenset[str]:
    return pictures.shown_ids(markup, IDS)


@pytest.mark.parametrize(
    ("call", "size"),
    [
        pytest.param(lambda n: written(text="x" * n), 200_000, id="one line"),
        pytest.param(lambda n: written(text="é\r\n" * n), 100_000, id="not ascii"),
        pytest.param(lambda n: written(text="=\n" * n), 100_000, id="escapes"),
        pytest.param(lambda n: written(text=" \n" * n), 100_000, id="spaces"),
        pytest.param(lambda n: written(attachments=a_file(b"x" * n)), 300_000, id="a file"),
        pytest.param(lambda n: written(html="cid:" * n, attachments=PICTURE), 50_000, id="cid"),
        pytest.param(lambda n: shown("cid:a'" * n), 60_000, id="quotes"),
        pytest.param(lambda n: shown("&amp;cid:%61 " * n), 30_000, id="entities"),
        pytest.param(lambda n: shown("cid:'" * n), 30_000, id="ids in ids"),
        pytest.param(lambda n: shown("<img src=cid:'''" * n), 60_000, id="cut"),
        pytest.param(lambda n: shown("cid:" + "%41'" * n), 60_000, id="encoded"),
        pytest.param(lambda n: shown("cid:%0a" * n), 30_000, id="encoded line ends"),
        pytest.param(lambda n: shown("&#1" * n), 40_000, id="numbers"),
        pytest.param(lambda n: shown("cid:&#" + "1" * n), 1_000_000, id="a long number"),
        pytest.param(lambda n: encoded("é" * n, 10), 20_000, id="encoded words"),
        pytest.param(lambda n: header_line("References", "<a@b> " * n), 20_000, id="ids"),
        pytest.param(lambda n: literal_fault("=?a?q?" * n), 20_000, id="half words"),
        pytest.param(lambda n: literal_fault("=?" * n), 20_000, id="starts of words"),
    ],
)
def test_the_time_grows_with_the_size(call: Callable[[int], object], size: int) -> None:
    assert_linear(call, int, 4 * size)


@pytest.mark.parametrize("piece", [";", "; ", '; x="', "; x=y", '\\"', "\t"])
def test_a_content_type_of_any_length_is_refused_at_once(piece: str) -> None:
    started = time.thread_time()

    for text in ("text/plain" + piece * 100_000, "text/plain" + piece * 100):
        with pytest.raises(media_type.BadMediaType):
            media_type.read(text)

    assert time.thread_time() - started < 0.5


def test_a_mail_with_everything_at_its_limit_is_written_in_little_time() -> None:
    message = replace(
        BOTH,
        subject="é" * MAX_SUBJECT,
        to=(Address("a@example.com", "😀" * 256),) * 500,
        attachments=tuple(Attachment("😀" * MAX_FILENAME, b"x") for _ in range(MAX_ATTACHMENTS)),
        headers=tuple((f"X-{n}", "é" * MAX_HEADER_VALUE) for n in range(MAX_HEADERS)),
    )
    assert problems_of(message) == []
    started = time.thread_time()

    compose(message, SENDER, KEY, NOW)

    assert time.thread_time() - started < 1
