"""Addresses: read, written, refused."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.mail.address import (
    MAX_ADDRESS,
    MAX_IDN_DOMAINS,
    MAX_NAME,
    Address,
    BadAddress,
    IdnDomains,
    has_control_characters,
    make,
)
from shared.mail.address_list import read_one

quick = settings(deadline=None, derandomize=True, max_examples=60)

CONTROLS = [*map(chr, range(0x20)), "\x7f", "\x85", "\u2028", "\u2029", "\ud800", "\udfff"]

labels = st.from_regex(r"\A[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?\Z")
emails = st.builds(
    lambda local, parts: f"{local}@{'.'.join(parts)}",
    st.from_regex(r"\A[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,12}\Z"),
    st.lists(labels, min_size=2, max_size=4),
)
names = (
    st.text(max_size=40)
    .filter(lambda text: not has_control_characters(text))
    .map(lambda text: text.strip())
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a@example.com", Address("a@example.com")),
        ("  a@example.com  ", Address("a@example.com")),
        ("<a@example.com>", Address("a@example.com")),
        ("Ada <a@example.com>", Address("a@example.com", "Ada")),
        ("Ada Lovelace <a@example.com>", Address("a@example.com", "Ada Lovelace")),
        ("Ada<a@example.com>", Address("a@example.com", "Ada")),
        ('"Lovelace, Ada" <a@example.com>', Address("a@example.com", "Lovelace, Ada")),
        ('"A \\"B\\" C" <a@example.com>', Address("a@example.com", 'A "B" C')),
        ("Åsa Ö <a@example.com>", Address("a@example.com", "Åsa Ö")),
        ('"<x>" <a@example.com>', Address("a@example.com", "<x>")),
        ("b@example.com <a@example.com>", Address("a@example.com", "b@example.com")),
        ("o'neil+tag@mail.example.com", Address("o'neil+tag@mail.example.com")),
        ("A@EXAMPLE.com", Address("A@EXAMPLE.com")),
    ],
)
def test_what_people_write_is_read(text: str, expected: Address) -> None:
    assert read_one(text) == expected


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (Address("a@example.com"), "a@example.com"),
        (Address("a@example.com", "Ada"), "Ada <a@example.com>"),
        (Address("a@example.com", "Lovelace, Ada"), '"Lovelace, Ada" <a@example.com>'),
        (Address("a@example.com", 'A "B"\\'), '"A \\"B\\"\\\\" <a@example.com>'),
    ],
)
def test_an_address_is_written_as_it_is_read(address: Address, expected: str) -> None:
    assert str(address) == expected
    assert read_one(str(address)) == address


@quick
@given(emails, names)
@example("a@b.co", '"')
@example("a@b.co", '"quoted"')
@example("a@b.co", "\\")
@example("a@b.co", "x <y@z.co>")
@example("a@b.co", "<")
def test_what_is_written_reads_the_same(email: str, name: str) -> None:
    address = make(email, name)

    assert read_one(str(address)) == address


@pytest.mark.parametrize("control", CONTROLS, ids=lambda c: f"{ord(c):04x}")
def test_a_control_character_is_refused_wherever_it_stands(control: str) -> None:
    for text in (
        f"a{control}@example.com",
        f"{control}a@example.com",
        f"a@example.com{control}",
        f"A{control}B <a@example.com>",
        f"Ada <a@example.com>{control}",
    ):
        with pytest.raises(BadAddress, match="control characters"):
            read_one(text)
    with pytest.raises(BadAddress, match="control characters"):
        make("a@example.com", f"Ada{control}")


@pytest.mark.parametrize(
    ("email", "expected"),
    [
        ("a@bücher.example", "a@xn--bcher-kva.example"),
        ("a@例え.jp", "a@xn--r8jz45g.jp"),
        ("a@BÜCHER.example", "a@xn--bcher-kva.example"),
        ("a@xn--bcher-kva.example", "a@xn--bcher-kva.example"),
    ],
)
def test_a_unicode_domain_becomes_its_ascii_form(email: str, expected: str) -> None:
    assert make(email).email == expected


@pytest.mark.parametrize("domain", ["straße.de", "STRAẞE.de", "βόλος.gr", "a\u200db.de"])
def test_a_domain_that_could_become_somebody_elses_is_refused(domain: str) -> None:
    with pytest.raises(BadAddress, match="two readings"):
        make(f"a@{domain}")


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "@",
        "a",
        "a@",
        "@example.com",
        "a@b",
        "a@@example.com",
        "a b@example.com",
        "a@exa mple.com",
        "a@example..com",
        "a@.example.com",
        "a@example.com.",
        "a@-example.com",
        "a@example-.com",
        "a@[127.0.0.1]",
        ".a@example.com",
        "a.@example.com",
        "a..b@example.com",
        '"a b"@example.com',
        "ü@example.com",
        "a@example.com, b@example.com",
        "a@example.com;b@example.com",
        "<x> <a@example.com>",
        "Ada <a@example.com> <b@example.com",
        "Ada <a@example.com",
        "Ada a@example.com>",
        "Ada <>",
        "mailto:a@example.com",
        f"{'a' * 65}@example.com",
        f"a@{'b' * 64}.com",
        f"a@{'ü' * 70}.com",
        f"a@{'b' * 60}.{'c' * 60}.{'d' * 60}.{'e' * 60}.{'f' * 20}.com",
        f"{'x' * (MAX_NAME + 1)} <a@example.com>",
        "a@℀.com",
        "a@" + "." * 10_000,
        "<" * 10_000,
        "a@example.com<" * 5_000,
    ],
)
def test_what_is_no_address_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(BadAddress) as caught:
        read_one(text)

    assert len(str(caught.value)) < 150
    assert not text.strip() or len(text) < 5 or text not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["a@" + "é" * 200_000, "a" * 500_000 + "@b.co", "<" * 500_000, '\\"' * 250_000]
)
def test_a_text_far_too_long_is_refused_in_little_time(text: str) -> None:
    started = time.thread_time()

    for read in (read_one, make):
        with pytest.raises(BadAddress):
            read(text)

    assert time.thread_time() - started < 1


def test_the_longest_name_may_be_written_with_each_character_escaped() -> None:
    name = '"' * MAX_NAME

    assert read_one(str(Address("a@example.com", name))).name == name


def test_an_address_of_the_greatest_length_is_accepted() -> None:
    domain = ".".join(["b" * 63, "c" * 63, "d" * 60, "com"])
    email = f"{'a' * (MAX_ADDRESS - 1 - len(domain))}@{domain}"

    assert make(email).email == email
    with pytest.raises(BadAddress, match="longer than"):
        make(f"a{email}")


@quick
@given(st.text(max_size=60))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    try:
        address = read_one(text)
    except BadAddress:
        return

    assert address.email.isascii()
    assert not has_control_characters(str(address))
    assert make(address.email, address.name) == address


@pytest.mark.parametrize(
    "domain",
    ["ü" * 101 + ".example", ".".join(["ü"] * 10) + ".example", "\ufdfa." * 6 + "example"],
)
def test_a_domain_that_takes_the_codec_long_is_refused(domain: str) -> None:
    with pytest.raises(BadAddress, match="xn-- form"):
        make(f"a@{domain}")


def test_a_list_has_a_hundred_different_domains_beyond_ascii_at_most() -> None:
    domains = IdnDomains()
    different = [make(f"a@ü{number}.example") for number in range(MAX_IDN_DOMAINS)]

    domains.add(*different, *different)
    with pytest.raises(BadAddress, match="send several mails"):
        domains.add(make("a@ö.example"))
