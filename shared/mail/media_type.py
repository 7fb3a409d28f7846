"""Content types with their parameters, read strictly (RFC 2045, 5.1; names as RFC 6838, 4.2)."""

from __future__ import annotations

import re

import msgspec

MAX_CONTENT_TYPE = 512
MAX_PARAMETERS = 10

_KIND = re.compile(r"[\w!#$&^.+-]{1,127}/[\w!#$&^.+-]{1,127}", re.ASCII)
_PARAMETER = re.compile(
    r"[ \t]*+;[ \t]*+(?P<name>[\w!#$&^.+`{|}~-]{1,64})="
    r"(?:(?P<token>[\w!#$%&'*+.^`{|}~-]++)|\"(?P<quoted>(?:[ !#-\[\]-~]|\\[ -~])*+)\")",
    re.ASCII,
)
_TOKEN = re.compile(r"[\w!#$%&'*+.^`{|}~-]+", re.ASCII)


class BadMediaType(ValueError):
    """The text is not a content type. The message says what is wrong; it does not quote the
    text."""


class MediaType(msgspec.Struct, frozen=True):
    """A content type."""

    kind: str
    """`type/subtype`, in lower case."""
    parameters: tuple[tuple[str, str], ...] = ()
    """Names in lower case, values without quotes."""

    def parameter(self, name: str) -> str | None:
        """The value of a parameter, by its name in lower case; None if there is none."""
        return dict(self.parameters).get(name)

    def __str__(self) -> str:
        return "; ".join((self.kind, *(f"{n}={quoted(v)}" for n, v in self.parameters)))


def read(text: str) -> MediaType:
    """Read `type/subtype; name=value; name="value"`. Raises BadMediaType."""
    if len(text) > MAX_CONTENT_TYPE:
        raise BadMediaType(f"has more than {MAX_CONTENT_TYPE} characters: shorten it")
    kind = _KIND.match(text)
    if kind is None:
        raise BadMediaType("must be a media type such as application/pdf")
    found: dict[str, str] = {}
    at = kind.end()
    while at < len(text):
        parameter = _PARAMETER.match(text, at)
        if parameter is None:
            raise BadMediaType(
                "must be a media type such as application/pdf, with parameters such as "
                "'; charset=utf-8' if any"
            )
        name = parameter["name"].lower()
        if name in found:
            raise BadMediaType(f"has the parameter '{name}' twice: keep one")
        if len(found) == MAX_PARAMETERS:
            raise BadMediaType(f"has more than {MAX_PARAMETERS} parameters: leave some out")
        token, in_quotes = parameter["token"], parameter["quoted"]
        found[name] = token if token is not None else re.sub(r"\\(.)", r"\1", in_quotes)
        at = parameter.end()
    return MediaType(kind[0].lower(), tuple(found.items()))


def quoted(value: str) -> str:
    """A parameter's value as it is written: unchanged if it is a token, else in quotes."""
    if _TOKEN.fullmatch(value):
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
