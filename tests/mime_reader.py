"""A reader of MIME that shares no parser with Postroom: lines, RFC 2047 and RFC 2231 by hand.

It is strict where readers differ: a line that is no header, and a parameter it cannot read, raise.
"""

from __future__ import annotations

import base64
import quopri
import re
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

WORD = re.compile(r"=\?([^?\s]+)\?([bBqQ])\?([^?\s]*)\?=")
PARAMETER = re.compile(r';\s*([^\s=;"]+)=("(?:[^"\\]|\\.)*"|[^\s;"]*)')
TOO_LONG = 998


@dataclass
class Part:
    """One part: its headers as they stand there, unfolded, and its bytes or parts."""

    headers: list[tuple[str, str]]
    content: bytes = b""
    parts: list[Part] = field(default_factory=list)

    def get(self, name: str) -> str:
        """The only value of a header, not decoded."""
        values = [value for one, value in self.headers if one.lower() == name.lower()]
        assert len(values) == 1, (name, values)
        return values[0]

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.headers]

    @property
    def kind(self) -> str:
        return self.get("Content-Type").partition(";")[0]

    @property
    def leaves(self) -> list[Part]:
        return [leaf for part in self.parts for leaf in part.leaves] if self.parts else [self]


def read(source: bytes) -> Part:
    """Read a message or a part. Raises AssertionError for what is no MIME."""
    head, separator, body = source.partition(b"\r\n\r\n")
    assert separator, "no empty line"
    headers: list[tuple[str, str]] = []
    for line in head.split(b"\r\n"):
        assert b"\r" not in line, line
        assert b"\n" not in line, line
        assert len(line) <= TOO_LONG, line
        text = line.decode("ascii")
        if text[0] in " \t":
            assert text.strip(), "a folded line of spaces"
            headers[-1] = (headers[-1][0], headers[-1][1] + text)
        else:
            name, colon, value = text.partition(":")
            assert colon, text
            assert re.fullmatch(r"[!-9;-~]+", name), text
            headers.append((name, value))
    part = Part([(name, value.removeprefix(" ")) for name, value in headers])
    if part.kind.startswith("multipart/"):
        boundary = parameters(part.get("Content-Type"))["boundary"].encode()
        pieces = (b"\r\n" + body).split(b"\r\n--" + boundary)
        assert pieces[-1].strip() == b"--", pieces[-1]
        part.parts = [read(piece.removeprefix(b"\r\n")) for piece in pieces[1:-1]]
    else:
        assert all(len(line) <= TOO_LONG for line in body.split(b"\r\n"))
        encoding = part.get("Content-Transfer-Encoding")
        assert encoding in ("base64", "quoted-printable")
        decode = base64.b64decode if encoding == "base64" else quopri.decodestring
        part.content = decode(body)
    return part


def decoded(value: str) -> str:
    """Text with its encoded words decoded (RFC 2047), also where they stand in quotes."""
    joined = re.sub(r"\?=\s+=\?", "?==?", value)

    def word(match: re.Match[str]) -> str:
        if match[2] in "bB":
            data = base64.b64decode(match[3])
        else:
            data = quopri.decodestring(match[3].replace("_", " "))
        return data.decode(match[1])

    return WORD.sub(word, joined)


def parameters(value: str) -> dict[str, str]:
    """The parameters of a header, those of RFC 2231 put together and decoded."""
    plain: dict[str, str] = {}
    pieces: dict[str, dict[int, str]] = {}
    rest = value.partition(";")[1] + value.partition(";")[2]
    assert PARAMETER.sub("", rest).strip() == "", value
    for match in PARAMETER.finditer(rest):
        name, text = match[1].lower(), match[2]
        if text.startswith('"'):
            text = re.sub(r"\\(.)", r"\1", text[1:-1])
        base, _, index = name.rstrip("*").partition("*")
        if "*" in name:
            assert int(index or 0) not in pieces.get(base, {})
            pieces.setdefault(base, {})[int(index or 0)] = text
        else:
            assert name not in plain
            plain[name] = text
    for base, found in pieces.items():
        text = "".join(found[index] for index in range(len(found)))
        charset, _, rest = text.partition("'")
        plain[base] = unquote_to_bytes(rest.partition("'")[2]).decode(charset)
    return plain
