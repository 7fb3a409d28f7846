"""The defaults of an account: what may be one, and how mails have them."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from shared.errors import RequestRejected
from shared.mail import problems
from shared.mail.account import Account
from shared.mail.address import Address
from shared.mail.composing import compose, refuse_overrides, with_sent_items
from shared.mail.defaults import MAX_SIGNATURE, Defaults, Overridable, clean, problems_of
from shared.mail.message import Attachment, Message
from tests.fakes import account_of

DESK = Address("desk@contoso.com", "Desk")
HTML = "<b>Contoso</b>"


def account(**defaults: Any) -> Account:
    return account_of(defaults=Defaults(**defaults))


def message_of(**fields: Any) -> Message:
    return replace(Message(sender=None, to=(Address("ada@example.com"),), text="Hello"), **fields)


def composed(message: Message, of: Account) -> tuple[Message, Address]:
    return compose(message, message.sender or Address(of.address, of.display_name), of)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("display_name", "Billing\r\nBcc: eve@example.com"),
        ("display_name", "x" * 257),
        ("reply_to", (DESK,) * 11),
        ("signature_text", "x" * (MAX_SIGNATURE + 1)),
        ("signature_text", "ü" * (MAX_SIGNATURE // 2 + 1)),
        ("signature_text", "a\0b"),
        ("signature_text", "a\ud800"),
        ("signature_html", "</div>"),
        ("daily_cap", 0),
        ("daily_cap", 1_000_001),
    ],
)
def test_what_cannot_be_a_default_is_named(field: str, value: object) -> None:
    assert [one.field for one in problems_of(account(**{field: value}).defaults)] == [field]


def test_all_of_them_have_room_in_a_row() -> None:
    most = "x" * MAX_SIGNATURE

    assert problems_of(Defaults(signature_text=most, signature_html=most)) == []
    quotes = '"' * MAX_SIGNATURE
    assert problems_of(Defaults(signature_text=quotes, signature_html=quotes))


def test_a_signature_is_kept_with_plain_line_ends() -> None:
    assert clean("\r\nContoso\r\nBerlin\r") == "Contoso\nBerlin"


# As mails have them.


def test_an_account_without_defaults_changes_nothing() -> None:
    message = message_of()

    assert compose(message, DESK, account_of()) == (message, DESK)


def test_the_display_name_is_the_accounts_where_the_caller_gives_none() -> None:
    named = account(display_name="Contoso Billing")
    bare, own = Address("billing@contoso.com"), Address("billing@contoso.com", "Ada")

    assert composed(message_of(), named)[1].name == "Contoso Billing"
    assert composed(message_of(sender=bare), named)[1].name == "Contoso Billing"
    assert composed(message_of(sender=own), named)[1].name == "Ada"


def test_reply_addresses_are_the_accounts_where_the_caller_gives_none() -> None:
    other = Address("ada@contoso.com")

    assert composed(message_of(), account(reply_to=(DESK,)))[0].reply_to == (DESK,)
    given = message_of(reply_to=(other,))
    assert composed(given, account(reply_to=(DESK,)))[0].reply_to == (other,)


@pytest.mark.parametrize(
    ("signature", "text", "html"),
    [
        ({"signature_text": "A & B"}, "Hello\n\nA & B\n", "<p>Hi</p><div>A &amp; B</div>"),
        ({"signature_html": HTML}, "Hello\n\nContoso\n", f"<p>Hi</p><div>{HTML}</div>"),
        (
            {"signature_text": "T", "signature_html": HTML},
            "Hello\n\nT\n",
            f"<p>Hi</p><div>{HTML}</div>",
        ),
    ],
)
@pytest.mark.parametrize("forms", [("text",), ("html",), ("text", "html")])
def test_each_body_has_the_signature_in_its_form(
    signature: dict[str, str], text: str, html: str, forms: tuple[str, ...]
) -> None:
    message = message_of(
        text="Hello" if "text" in forms else None, html="<p>Hi</p>" if "html" in forms else None
    )

    found, _ = composed(message, account(**signature))

    assert found.text == (text if "text" in forms else None)
    assert found.html == (html if "html" in forms else None)


def test_a_mail_can_go_without_the_signature() -> None:
    message = message_of(signature=False)

    assert composed(message, account(signature_text="A"))[0] == message


def test_raw_mime_has_the_accounts_name_and_reply_address_and_no_signature() -> None:
    raw = message_of(mime=b"X-A: 1\r\n\r\nHello", text=None)
    own = replace(raw, reply_to=(Address("own@contoso.com"),))
    defaults = account(signature_text="A", reply_to=(DESK,), display_name="N")

    found, sender = composed(raw, defaults)

    assert found == replace(raw, reply_to=(DESK,))
    assert sender.name == "N"
    assert composed(own, defaults)[0] == own


# What a caller may give otherwise.

GIVEN: list[tuple[Overridable, str, dict[str, Any], bool | None]] = [
    (Overridable.DISPLAY_NAME, "from", {"sender": Address("billing@contoso.com", "Ada")}, None),
    (Overridable.REPLY_TO, "reply_to", {"reply_to": (Address("ada@contoso.com"),)}, None),
    (Overridable.SIGNATURE, "signature", {"signature": False}, None),
    (Overridable.SENT_ITEMS, "save_to_sent_items", {}, False),
]


@pytest.mark.parametrize(("what", "field", "fields", "saves_copy"), GIVEN)
def test_an_override_is_refused_by_its_field_where_the_account_does_not_allow_it(
    what: Overridable, field: str, fields: dict[str, Any], saves_copy: bool | None
) -> None:
    message = message_of(**fields)
    strict = account(signature_text="A", overridable=frozenset(Overridable) - {what})

    with pytest.raises(RequestRejected) as caught:
        refuse_overrides(message, strict, saves_copy=saves_copy)

    assert caught.value.kind is problems.OVERRIDE_NOT_ALLOWED
    assert [one.field for one in caught.value.errors] == [field]
    open_to_it = account(signature_text="A", overridable=frozenset({what}))
    refuse_overrides(message, open_to_it, saves_copy=saves_copy)


def test_what_equals_the_default_overrides_nothing() -> None:
    strict = account(
        display_name="Ada",
        reply_to=(DESK,),
        save_to_sent_items=False,
        overridable=frozenset(),
    )
    message = message_of(
        sender=Address("billing@contoso.com", "Ada"), reply_to=(DESK,), signature=False
    )

    refuse_overrides(message, strict, saves_copy=False)


def test_only_the_signature_is_not_to_be_left_off_as_long_as_nobody_says_otherwise() -> None:
    with pytest.raises(RequestRejected):
        refuse_overrides(message_of(signature=False), account(signature_text="A"), saves_copy=None)
    refuse_overrides(
        message_of(sender=Address("b@contoso.com", "Ada"), reply_to=(DESK,)),
        account(signature_text="A"),
        saves_copy=False,
    )


def test_sent_items_is_as_the_account_says_where_the_caller_says_nothing() -> None:
    unsaved = account(save_to_sent_items=False)

    assert not with_sent_items(message_of(), unsaved, saves_copy=None).save_to_sent_items
    assert with_sent_items(message_of(), unsaved, saves_copy=True).save_to_sent_items
    both = message_of(html="<p>Hi</p>")
    assert with_sent_items(both, unsaved, saves_copy=None).save_to_sent_items


@pytest.mark.parametrize(
    ("filename", "content_type"),
    [
        ("invite.ics", "text/calendar"),
        ("invite.ics\u200b", "application/octet-stream"),
        ("invite.bin", "text/x-vcal"),
        ("INVITE.VCS ", "application/octet-stream; method=PUBLISH"),
        ("smime.p7m", "application/octet-stream"),
        ("letter.bin", "application/pkcs7-mime; smime-type=signed-data"),
    ],
)
def test_a_file_that_names_somebody_to_answer_to_needs_a_mail_that_may_give_reply_to(
    filename: str, content_type: str
) -> None:
    message = Message(
        sender=None,
        to=(Address("ada@contoso.com"),),
        text="x",
        attachments=(Attachment(filename, b"x", content_type),),
    )
    locked = account_of(defaults=Defaults(overridable=frozenset()))
    free = account_of(
        defaults=Defaults(overridable=frozenset({Overridable.REPLY_TO, Overridable.DISPLAY_NAME}))
    )

    with pytest.raises(RequestRejected) as refused:
        refuse_overrides(message, locked, saves_copy=None)
    refuse_overrides(message, free, saves_copy=None)

    # A file with a method that is none of an invitation's is refused before, by its shape.
    assert [problem.field for problem in refused.value.errors] == ["attachments[0]"]
