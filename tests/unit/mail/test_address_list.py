"""Several addresses in one text of a mail document."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from shared.mail.address import MAX_NAME, Address, BadAddress, make
from shared.mail.address_list import (
    MAX_ADDRESSES,
    MAX_LIST,
    SeveralAddresses,
    TooManyAddresses,
    read_list,
    read_one,
)
from tests.growth import assert_linear

ADA = Address("ada@contoso.com", "Ada")
BOB = Address("bob@contoso.com", "Bob")
A = Address("a@x.example")
B = Address("b@y.example")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ada <ada@contoso.com>, Bob <bob@contoso.com>", (ADA, BOB)),
        ("Ada <ada@contoso.com>; Bob <bob@contoso.com>", (ADA, BOB)),
        ("Ada <ada@contoso.com>;Bob <bob@contoso.com>;", (ADA, BOB)),
        ("a@x.example, b@y.example", (A, B)),
        ("a@x.example,b@y.example,", (A, B)),
        ("a@x.example; ; b@y.example ;", (A, B)),
        ("a@x.example, Ada <ada@contoso.com>; <b@y.example>", (A, ADA, B)),
        ('"Doe, John; Jr." <a@x.example>', (Address("a@x.example", "Doe, John; Jr."),)),
        ('"a <x@y.example>, b" <a@x.example>', (Address("a@x.example", "a <x@y.example>, b"),)),
        (
            'John "Joe, Jr." Doe <a@x.example>, b@y.example',
            (Address("a@x.example", 'John "Joe, Jr." Doe'), B),
        ),
        ("Ada (Sales, EMEA) <a@x.example>", (Address("a@x.example", "Ada (Sales, EMEA)"),)),
        ("Dr. J. R. Ewing <a@x.example>", (Address("a@x.example", "Dr. J. R. Ewing"),)),
        ("a@x.example <a@x.example>", (Address("a@x.example", "a@x.example"),)),
        ("Ada :) <a@x.example>", (Address("a@x.example", "Ada :)"),)),
        ("Åsa Ö <a@x.example>, b@y.example", (Address("a@x.example", "Åsa Ö"), B)),
        ("a@bücher.example", (Address("a@xn--bcher-kva.example"),)),
        ('"" <a@x.example>', (A,)),
        ("", ()),
        ("  ", ()),
    ],
)
def test_a_list_is_read_as_people_write_it(text: str, expected: tuple[Address, ...]) -> None:
    assert read_list(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Doe, John <j@x.example>", "number 1 of them has no '@'.*in quotes"),
        ("a@x.example, Doe", "number 2 of them has no '@'"),
        ("a@x.example b@y.example", "not valid"),
        ("Ada <a@x.example> Bob <b@y.example>", "separate addresses"),
        ("Ada <a@x.example> b@y.example", "separate addresses"),
        ("<a@x.example> (Ada)", "separate addresses"),
        ("a@x.example (Ada)", "not valid"),
        ("<x> <a@x.example>", "separate addresses"),
        ("<a@x.example, b@y.example>", "not valid"),
        ("<a@x.example", "angle bracket"),
        ("a@x.example>", "angle bracket"),
        ("Ada <b <a@x.example>", "angle bracket"),
        ("Ada (<b@y.example>) <a@x.example>", "in parentheses"),
        ("Ada (x, b@y.example", "parenthesis"),
        ('"Ada, b@y.example', "quotation mark"),
        ('Ada" <a@x.example>', "quotation mark"),
        ('"a\\" <a@x.example>', "quotation mark"),
        ("Friends: a@x.example, b@y.example;", "number 1"),
        (",;", "no address"),
        ("a@x.example\n b@y.example", "line breaks"),
        ("=?utf-8?q?a?=@x.example", "encoded word"),
        ("a.=?utf-8?q?=2C?=@x.example", "encoded word"),
        ("IMCEASMTP-evil+40e+2Eexample@x.example", "encapsulated"),
        ("imceaex-_O=ORG_cn=Evil@x.example", "encapsulated"),
        ("IMCEASMTP+2Devil+40e+2Eexample@x.example", "encapsulated"),
    ],
)
def test_a_text_with_anything_else_in_it_is_refused_whole(text: str, message: str) -> None:
    with pytest.raises(BadAddress, match=message) as caught:
        read_list(text)

    assert "<" not in str(caught.value)
    assert "example>" not in str(caught.value)


def test_where_one_address_is_taken_several_are_refused() -> None:
    assert read_one("Ada <ada@contoso.com>;") == ADA
    assert read_one("Ada <ada@contoso.com>") == ADA
    for read in (read_one, read_one):
        with pytest.raises(SeveralAddresses, match="has 2 addresses"):
            read("ada@contoso.com, bob@contoso.com")


def test_five_hundred_addresses_are_read_and_one_more_is_not() -> None:
    assert len(read_list("a@x.example;" * MAX_ADDRESSES)) == MAX_ADDRESSES
    with pytest.raises(TooManyAddresses):
        read_list("a@x.example;" * (MAX_ADDRESSES + 1))


def test_a_list_that_is_too_long_is_refused_before_it_is_read() -> None:
    assert read_list("a@x.example" + " " * (MAX_LIST - 11)) == (A,)
    with pytest.raises(BadAddress, match="characters"):
        read_list("a@x.example" + " " * (MAX_LIST - 10))


PIECES = ['"', '\\"', '"\\', "(", "()", "(\\", ")", "<", "<>", ">", ",", ";", "a", "a@", "@", " "]
PIECES += ['""', '"a",', "a b ", "é", "a@b.example,", "a <a@b.example>,", '"x" <a@b.example>;']


@pytest.mark.parametrize("piece", PIECES)
@pytest.mark.parametrize("start", ["", '"', "(", "<", "a <", "a@b.example,"])
def test_the_time_of_reading_a_list_grows_with_its_length(start: str, piece: str) -> None:
    def read(text: str) -> None:
        try:
            read_list(text)
        except BadAddress:
            return

    assert_linear(read, lambda n: start + piece * (n // len(piece)), MAX_LIST - len(start))


@pytest.mark.parametrize("read", [read_one, make])
@pytest.mark.parametrize("piece", ["a", "a.", "é", "é.", "@", '\\"', "<", "=?", "IMCEA", "-"])
@pytest.mark.parametrize("end", ["", "@b.example", "\0"])
def test_the_time_of_reading_an_address_grows_with_its_length(
    read: Callable[[str], object], piece: str, end: str
) -> None:
    def attempt(text: str) -> None:
        try:
            read(text)
        except BadAddress:
            return

    assert_linear(attempt, lambda n: piece * n + end, 400_000)
    assert_linear(attempt, lambda n: "IMCEA" + piece * n + end, 400_000)


def test_the_longest_name_is_read_and_one_character_more_is_not() -> None:
    assert len(read_list(f"{'x' * MAX_NAME} <a@x.example>")[0].name) == MAX_NAME
    with pytest.raises(BadAddress, match="display name"):
        read_list(f"{'x' * (MAX_NAME + 1)} <a@x.example>")
