"""Attachments: content types with parameters, and pictures that the html shows or does not."""

from __future__ import annotations

import json
import tracemalloc

import pytest
from msgspec.structs import replace

from shared.mail import media_type, pictures
from shared.mail.address import Address
from shared.mail.graph_payload import draft_request, send_request
from shared.mail.media_type import MAX_CONTENT_TYPE, MAX_PARAMETERS
from shared.mail.message import Attachment, Message, problems_of
from shared.mail.mime.writing import compose
from tests import mime_reader
from tests.fakes import NOW

KEY = "01a01f0a-da00-72d3-a652-e44da7f29e26"
SENDER = Address("billing@contoso.com", "Billing")
MAIL = Message(sender=None, to=(Address("ada@example.com"),), subject="Hi", html="<p>Hello</p>")


def with_file(content_type: str, filename: str = "a.csv") -> Message:
    return replace(MAIL, attachments=(Attachment(filename, b"x", content_type),))


def in_json(message: Message) -> list[dict[str, object]]:
    body = send_request(message, SENDER, KEY, NOW).body
    found: list[dict[str, object]] = json.loads(body)["message"]["attachments"]
    return found


def last_part(message: Message) -> mime_reader.Part:
    return mime_reader.read(compose(message, SENDER, KEY, NOW)).leaves[-1]


@pytest.mark.parametrize(
    ("content_type", "parameters"),
    [
        (
            "text/csv; charset=iso-8859-1; header=present",
            {"charset": "iso-8859-1", "header": "present"},
        ),
        ('text/csv;charset="UTF-8"', {"charset": "UTF-8"}),
        ('text/plain; x="a \\"b\\"; c\\\\d"', {"x": 'a "b"; c\\d'}),
        ("application/pdf; name=a.csv", {}),
        ("text/csv;\tCHARSET=utf-8", {"charset": "utf-8"}),
    ],
)
def test_the_parameters_of_a_content_type_are_kept(
    content_type: str, parameters: dict[str, str]
) -> None:
    message = with_file(content_type)
    assert problems_of(message) == []

    part = last_part(message)

    assert part.kind == content_type.partition(";")[0]
    assert mime_reader.parameters(part.get("Content-Type")) == {**parameters, "name": "a.csv"}
    assert in_json(message)[0]["contentType"] == content_type


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain; x",
        "text/plain;",
        "text/plain; x=",
        "text/plain; =y",
        "text/plain; x=a b",
        'text/plain; x="a',
        'text/plain; x="a"b',
        'text/plain; x="é"',
        'text/plain; x="a\r\nX-Injected: yes"',
        "text/plain; x=y\r\nX-Injected: yes",
        "text/plain; x=1; X=2",
        "text/plain; x*=utf-8''a",
        "text/plain; name=b.csv",
        "text/plain; boundary=x",
        "text/plain x=y",
        "text /plain",
        "text/plain; " + "; ".join(f"x{n}=y" for n in range(MAX_PARAMETERS + 1)),
        "text/plain; x=" + "y" * MAX_CONTENT_TYPE,
    ],
)
def test_a_content_type_that_cannot_be_read_is_refused_by_its_field(content_type: str) -> None:
    assert [one.field for one in problems_of(with_file(content_type))] == [
        "attachments[0].content_type"
    ]


def test_a_content_type_that_was_read_is_written_so_that_it_is_read_the_same() -> None:
    read = media_type.read('Text/Plain; A="x y"; b=c; d="\\"\\\\"')

    assert media_type.read(str(read)) == read


# Pictures.

SHOWN = [
    ('<img src="cid:logo">', "logo"),
    ("<img src='cid:logo'>", "logo"),
    ("<img src=CID:logo>", "logo"),
    ('<img src="cid:logo%40contoso.com">', "logo@contoso.com"),
    ('<img src="cid:logo@contoso.com">', "logo@contoso.com"),
    ('<img src="cid:a&amp;b">', "a&b"),
    ('<td style="background:url(cid:logo)">', "logo"),
    ("<td style=\"background:url('cid:logo')\">", "logo"),
    ('<td style="background:url(&quot;cid:logo&quot;)">', "logo"),
    ('<img srcset="cid:logo 1x, cid:big 2x">', "big"),
    ('<img src="cid:a(b)c">', "a(b)c"),
]


@pytest.mark.parametrize(("html", "content_id"), SHOWN)
def test_a_picture_that_the_html_shows_is_inline(html: str, content_id: str) -> None:
    picture = Attachment("a.png", b"png", "image/png", content_id)
    message = replace(MAIL, html=html, attachments=(picture,))
    assert problems_of(message) == []

    (described,) = in_json(message)
    assert (described["contentId"], described["isInline"]) == (content_id, True)
    part = last_part(message)
    assert part.get("Content-ID") == f"<{content_id}>"
    assert part.get("Content-Disposition").startswith("inline;")


@pytest.mark.parametrize(
    ("html", "content_id"),
    [
        ("<p>Hello</p>", "logo"),
        ('<img src="cid:other">', "logo"),
        ('<img src="cid:logo2">', "logo"),
        ('<img src="cid:Logo">', "logo"),
        ("logo", "logo"),
        (None, "logo"),
    ],
)
def test_a_picture_that_the_html_shows_nowhere_is_an_ordinary_file(
    html: str | None, content_id: str
) -> None:
    picture = Attachment("a.png", b"png", "image/png", content_id)
    message = replace(MAIL, html=html, text="Hello", attachments=(picture,))

    part = last_part(message)
    assert "Content-ID" not in part.names
    assert part.get("Content-Disposition").startswith("attachment;")
    alone = replace(message, text=None if html is not None else "Hello")
    (described,) = in_json(alone)
    assert "contentId" not in described
    assert "isInline" not in described


def test_a_large_picture_that_is_not_shown_travels_apart_as_an_ordinary_file() -> None:
    files = (
        Attachment("a.png", b"x" * 3_500_000, "image/png", "shown"),
        Attachment("b.png", b"x" * 3_500_000, "image/png", "not-shown"),
    )
    message = replace(MAIL, html='<img src="cid:shown">', attachments=files)

    request = draft_request(message, SENDER, KEY, NOW)

    assert [item.content_id for item in request.apart] == ["shown", None]


def test_the_same_content_id_twice_is_refused_by_its_field() -> None:
    files = tuple(Attachment(f"{n}.png", b"x", "image/png", "logo") for n in range(3))

    assert [one.field for one in problems_of(replace(MAIL, attachments=files))] == [
        "attachments[1].content_id",
        "attachments[2].content_id",
    ]


@pytest.mark.parametrize(
    "filename", [" a.txt", "a.txt ", "a  b.txt", "a   b  c.txt", "\u00a0a.txt", "=?utf-8?q?a?="]
)
def test_a_filename_goes_to_graph_as_it_is(filename: str) -> None:
    message = replace(MAIL, attachments=(Attachment(filename, b"x"),))
    assert problems_of(message) == []

    assert in_json(message)[0]["name"] == filename


def test_references_of_pictures_are_found_however_many_there_are() -> None:
    ids = {f"p{n}" for n in range(1000)}
    markup = "".join(f'<img src="cid:{one}">' for one in ids)

    assert pictures.shown_ids(markup, ids) == ids


@pytest.mark.parametrize(
    ("markup", "shown"),
    [
        ("<b style=\"background: url('cid:logo'),url('cid:b')\">", {"logo", "b"}),
        ("<b style='background:url(CID:logo),url(cid:b)'>", {"logo", "b"}),
        ("cid:lo%67o cid:%62", {"logo", "b"}),
        ("&#99;id:logo", {"logo"}),
        ("cid:logo%0Ab cid:logo%20x cid:%0acid:", set()),
        ("cid:it's', cid:b)x", {"it's", "it", "b"}),
        ("cid:it%27s)", {"it's", "it"}),
        ("cid:logo.b", set()),
        ("&#" + "1" * 5000 + " cid:b", {"b"}),
        ("&#" + "0" * 5000 + "99;id:b", {"b"}),
    ],
)
def test_the_ids_that_html_names_are_found_in_every_spelling(markup: str, shown: set[str]) -> None:
    assert pictures.shown_ids(markup, {"logo", "b", "it's", "it"}) == shown


def test_the_references_of_html_take_little_memory() -> None:
    markup = " ".join(f"cid:{n:06d}" + "'" * 994 for n in range(1000))
    tracemalloc.start()

    shown = pictures.shown_ids(markup, {"logo", "000007"})

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert shown == {"000007"}
    assert peak < 8 * len(markup)
