"""Address headers made at random, right ones and wrong ones, and what must hold for each."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

from local.simulator.graph import mime as simulator
from shared.mail.address import Address
from shared.mail.message import Message, problems_of
from shared.mail.mime.reading import read
from shared.mail.mime.writing import compose
from tests.fakes import NOW

SENDER = Address("billing@contoso.com", "Billing")
HEADERS = ("From", "Sender", "To", "Cc", "Bcc", "Reply-To", "Disposition-Notification-To")

_LOCALS: tuple[str, ...] = (
    "ada",
    "o'neil+tag",
    "a.b",
    "evil",
    "x!y%z",
    "a..b",
    '"a b"',
    "=?utf-8?q?ada?=",
    "é",
)
_LOCALS += ("IMCEASMTP-evil+40e+2Eexample", '"x@y"', "ada(c)", " ada ", "a=?b", "/o=x", "")
_DOMAINS: tuple[str, ...] = (
    "contoso.com",
    "e.example",
    "bücher.example",
    "xn--bcher-kva.example",
    "x",
    "[1.2.3.4]",
)
_DOMAINS += ("e.example.", "(c)e.example", " e.example ", "e.example@f.example", "", "straße.de")
_NAMES: tuple[str, ...] = (
    "Ada",
    "Ada Lovelace",
    '"Doe, John"',
    "J. Q. Public",
    "=?utf-8?q?=C3=85sa?=",
    "Åsa",
)
_NAMES += (
    '"a \\" b"',
    "(c)",
    "Ada (Sales, <x@y.example>)",
    '"=?utf-8?q?=2C?="',
    "山田　太郎",
    "a@b.example",
)
_NAMES += (
    "=?utf-8?b?w4U=?= =?utf-8?q?sa?=",
    "=?utf-8?q?=2C_evil=40e.example?=",
    "Doe, John",
    "[x]",
)
_NAMES += ('"open', "(open", "=?utf-8?q?a=0D=0ABcc=3A_e=40e.example?=", "'Ada'", '""', "=?x?q?a?=")
_SIGNS: tuple[str, ...] = (
    *'",;:<>()[]@\\. =?\t',
    "\r\n ",
    "a",
    "é",
    "=?",
    "?=",
    "evil@e.example",
    '\\"',
)
_FOLD = re.compile(r"[\r\n]+[ \t]*")
_BETWEEN = (", ", ",", ",,", "; ", ";", " ", ",\r\n ", ", (c),", "")


def values(count: int, seed: int) -> Iterator[str]:
    """Values of address headers: a third as they should be, the others with up to four faults."""
    rng = random.Random(seed)  # noqa: S311 - the same values in every run
    for _ in range(count):
        text = _list(rng)
        for _ in range(max(0, rng.randrange(7) - 2)):
            text = _with_fault(text, rng)
        yield _FOLD.sub("\r\n ", text)


def _list(rng: random.Random) -> str:
    plain = rng.random() < 0.5
    text = ""
    for _ in range(rng.randrange(1, 5)):
        one = _mailbox(rng, plain=plain)
        if rng.random() < 0.12:
            one = f"{rng.choice(('Friends', 'a b', '', 'CEO'))}: {one}{rng.choice((';', ', b@c.example;', ''))}"
        text += one + (", " if plain else rng.choice(_BETWEEN))
    return text.removesuffix(", ") if plain else text


def _mailbox(rng: random.Random, *, plain: bool) -> str:
    local, domain = (rng.choice(each[:4] if plain else each) for each in (_LOCALS, _DOMAINS))
    spec = f"{local}@{domain}"
    form = rng.randrange(8)
    if form < 3:
        return spec
    if form == 3:
        return f"{spec} ({rng.choice(('Cron', 'x, admin@e.example', 'a (b) c', 'é'))})"
    return f"{rng.choice(_NAMES[:8] if plain else _NAMES)} <{spec}>"


def _with_fault(text: str, rng: random.Random) -> str:
    at = rng.randrange(len(text) + 1)
    kind = rng.randrange(4)
    if kind == 0:
        return text[:at] + rng.choice(_SIGNS) + text[at:]
    if kind == 1:
        return text[:at] + text[at + 1 :]
    if kind == 2:
        return text[:at] + text[at : at + 12] + text[at:]
    return text[:at] + rng.choice(_SIGNS) + text[at + rng.randrange(1, 4) :]


def is_sent_as_recorded(header: str, value: str) -> bool:
    """False for a value that is refused. Fails where what is accepted and recorded is not what a
    second, independent reader finds in what is sent."""
    base = "" if header == "From" else "From: Ada <ada@contoso.com>\r\n"
    raw = f"{base}To: ada@contoso.com\r\n{header}: {value}\r\nX-A: 1\r\n\r\nx".encode()
    message, problems = read(raw)
    if problems or problems_of(message):
        return False
    source = compose(message, message.sender or SENDER, "key", NOW)
    seen = simulator.read(source, NOW)
    assert seen.from_ is not None
    assert people([(seen.from_.address, seen.from_.name)]) == told((message.sender or SENDER,)), (
        value
    )
    for recorded, found in (
        (message.to, seen.to),
        (message.cc, seen.cc),
        (message.bcc, seen.bcc),
        (message.reply_to, seen.reply_to),
    ):
        assert people([(one.address, one.name) for one in found]) == told(recorded), value
    assert source.partition(b"\r\n\r\n")[0].isascii(), value
    _check_headers(source, message)
    return True


def _check_headers(source: bytes, message: Message) -> None:
    head = source.partition(b"\r\n\r\n")[0].split(b"\r\n")
    names = [line.partition(b":")[0].decode() for line in head if line[:1] not in (b" ", b"\t")]
    expected = ["X-Postroom-Key", "From", "To"]
    expected += ["Cc"] * bool(message.cc) + ["Bcc"] * bool(message.bcc)
    expected += ["Reply-To"] * bool(message.reply_to)
    expected += ["Disposition-Notification-To"] * message.read_receipt
    assert names == [*expected, "Message-ID", "X-A"]


def people(found: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Addresses and names as a second reader finds them."""
    return [(address, " ".join(name.split())) for address, name in found]


def told(recorded: tuple[Address, ...]) -> list[tuple[str, str]]:
    """The same of what was recorded."""
    return people([(one.email, one.name) for one in recorded])
