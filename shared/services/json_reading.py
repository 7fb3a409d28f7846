"""Strict reading of JSON documents, with all mistakes in one answer.

The decoder stops at the first mistake. A document that it rejects is therefore read a second time,
field by field, and each mistake is described in the words of the API.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

from shared.errors import FieldProblem, RequestRejected
from shared.mail import problems

MAX_TOLD = 50
"""The most problems in one answer."""

MOST_COUNTED = 500
"""After so many problems no more are looked for: each takes a hundred times as long as a valid
value."""

MOST_PARTS = 50_000
"""The most commas, brackets and braces of a document in which all mistakes are looked for. For a
larger one only the first mistake is reported: millions of empty lists would take a hundred times
their size in memory."""

T = TypeVar("T", bound=msgspec.Struct)

_PATH = re.compile(r" - at `(?:key in )?\$?\.?(?P<path>[^`]*)`$")
_PATH_ROOM = 500
"""How many characters at the end of a decoder's error are read. The text before them may quote
megabytes of the caller's document."""
_PLAIN = re.compile(r"[\w.-]{1,80}", re.ASCII)
_UNSHOWN = re.compile(r"[<>\x00-\x1f\x7f-\x9f\u2028\u2029]")
_CONTINUATION = bytes(range(0x80, 0xC0))
"""Bytes of UTF-8 that do not begin a character."""
_WIDE_ESCAPE = re.compile(rb"\\u(?!00[0-7])", re.IGNORECASE)
_NAME_OR_TEXT = re.compile(rb'"[^"\\]*+(?:\\.?[^"\\]*+)*+(?:"(\s*+:)?|\Z)', re.DOTALL)
"""A name, which a colon follows, or a text; also one without an end, so that the rest is not read
again."""
_LARGE = 256 * 1024
_LONG_NAME = 1024
_BYTE = re.compile(r"^JSON is malformed: (?P<what>.*) \(byte (?P<at>\d+)\)$")


def decode(
    raw: bytes,
    decoder: msgspec.json.Decoder[T],
    what: str,
    found: list[FieldProblem],
    most_parts: int = MOST_PARTS,
) -> T | None:
    """The document. `what` describes it, as in "is not a field of a mail".

    Problems are added to `found`. The document is then returned without the wrong fields, so that
    the others can be checked too; None if a required field is among them. Raises RequestRejected if
    it is not JSON.
    """
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as error:
        # The error itself is not kept: it would keep this call and the document in memory.
        first = str(error)[-_PATH_ROOM:]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise no_json(raw, error) from error
    if parts_in(raw) > most_parts:
        found.append(_first_alone(first))
        return None
    try:
        given = msgspec.json.decode(raw)
    except msgspec.ValidationError:
        found.append(_first_alone(first))  # a number that is too large for every type
        return None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise no_json(raw, error) from error
    reader = _Reader(what, found)
    reader.check(given, decoder.type, "")
    rest: T | None = reader.rest(given, decoder.type)
    return rest


def parts_in(raw: bytes) -> int:
    """Commas, brackets and braces: the time for finding all mistakes grows with their number."""
    return sum(map(raw.count, (b",", b"[", b"{")))


def repeated_name(raw: bytes) -> str | None:
    """A name that an object of a JSON document has twice, or None.

    JSON does not say which of the two values counts. The decoder takes the last one, and the first
    would be ignored silently. Raises RecursionError for a document that is nested too deeply.
    """
    found: list[str] = []
    if len(raw) > _LARGE and may_be_wide(raw):
        raw = _NAME_OR_TEXT.sub(_names_alone, raw)

    def look(pairs: list[tuple[str, object]]) -> None:
        if not found and len(dict(pairs)) < len(pairs):
            found.append(_twice(pairs))

    # The time in which Python reads a long number grows with the square of its length.
    json.loads(raw, object_pairs_hook=look, parse_int=len, parse_float=len)
    return shown_name(found[0]) if found else None


def may_be_wide(raw: bytes) -> bool:
    """Whether a document may have texts whose characters take more than a byte each in memory."""
    return not raw.isascii() or _WIDE_ESCAPE.search(raw) is not None


def longest_name(raw: bytes) -> int:
    """The length in bytes of the longest name in a document, with its quotation marks and what
    follows it."""
    found = _NAME_OR_TEXT.finditer(raw)
    return max((one.end() - one.start() for one in found if one[1] is not None), default=0)


def _names_alone(found: re.Match[bytes]) -> bytes:
    """A name unchanged, a digest of a long name, and a number in place of a text: if only the names
    are needed, the texts take no memory."""
    if found[1] is None:
        return b"0"
    if found.end() - found.start() <= _LONG_NAME:
        return found[0]
    return b'"[...] %s":' % hashlib.sha256(found[0]).hexdigest()[:32].encode()


def _twice(pairs: list[tuple[str, object]]) -> str:
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            break
        seen.add(name)
    return name


def shown_name(name: str) -> str:
    """A name from the caller's document as an error may repeat it: short, and without characters
    that a terminal, a page or PowerShell would interpret."""
    return _UNSHOWN.sub("?", name[:80])


def where(raw: bytes, at: int) -> str:
    """A place in a document, as line and column of an editor."""
    before = raw.count(b"\n", 0, at)
    line = raw[raw.rfind(b"\n", 0, at) + 1 : at].translate(None, _CONTINUATION)
    return f"line {before + 1}, column {len(line) + 1}"


def no_json(raw: bytes, error: Exception) -> RequestRejected:
    """The rejection of a text that the decoder cannot read as JSON."""
    return RequestRejected(
        problems.INVALID_JSON, f"The body is not valid JSON: {_fault(raw, error)}."
    )


def _fault(raw: bytes, error: Exception) -> str:
    """What is wrong and where. The document is not quoted."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if raw.startswith(b"\xef\xbb\xbf"):
        return "it begins with a byte order mark; send it without"
    try:
        raw.decode()
    except UnicodeDecodeError as wrong:
        return (
            f"it is not UTF-8 at {where(raw, wrong.start)}; send UTF-8, or say in the Content-Type what "
            "it is, as charset=windows-1252"
        )
    malformed = _BYTE.match(str(error))
    if malformed:
        return f"{malformed['what']} at {where(raw, int(malformed['at']))}"
    return f"it ends too early, at {where(raw, len(raw))}"


def _first_alone(text: str) -> FieldProblem:
    found = _PATH.search(text)
    path = found["path"] if found else ""
    return FieldProblem(
        path or "body",
        "is not understood, or has a part that is not; GET /api/openapi.json says what is taken",
    )


class _Reader:
    """Compares a document with the types that it should have."""

    def __init__(self, what: str, found: list[FieldProblem]) -> None:
        self._what = what
        self._found = found

    def check(self, value: Any, kind: Any, path: str) -> None:
        """Add what is wrong with a value to what was found."""
        if len(self._found) > MOST_COUNTED or self._fits(value, kind):
            return
        before = len(self._found)
        option = _option_for(value, kind)
        if option is not None and not _miscounted(value, option):
            self._check_inside(value, _bare(option), path)
        if len(self._found) == before:
            self._add(path or "body", lambda: _must(value, kind))

    def _check_inside(self, value: Any, option: Any, path: str) -> None:
        if isinstance(value, list):
            for index, item in enumerate(value):
                self.check(item, get_args(option)[0], f"{path}[{index}]")
        elif isinstance(value, dict) and get_origin(option) is dict:
            for name, item in value.items():
                at = f"{path}.{name}" if _PLAIN.fullmatch(name) else f"{path}[...]"
                self.check(item, get_args(option)[1], at)
        elif isinstance(value, dict):
            self._check_fields(value, option, path)

    def rest(self, given: Any, kind: type[T]) -> T | None:
        """The document without the fields that are not known."""
        if not isinstance(given, dict):
            return None
        hints = _hints(kind)
        sound = {
            name: value
            for name, value in given.items()
            if name in hints and self._fits(value, hints[name])
        }
        try:
            return msgspec.convert(sound, kind)
        except msgspec.ValidationError:
            return None

    def _check_fields(self, value: dict[str, Any], struct: Any, path: str) -> None:
        hints = _hints(struct)
        at = f"{path}." if path else ""
        for name, item in value.items():
            if len(self._found) > MOST_COUNTED:
                return
            if name in hints:
                self.check(item, hints[name], at + name)
            else:
                self._add(at + shown_name(name), lambda name=name: self._unknown(name, struct))
        for field in msgspec.structs.fields(struct):
            if field.required and field.encode_name not in value:
                self._add(at + field.encode_name, lambda: "is missing")

    def _unknown(self, name: str, struct: Any) -> str:
        from shared.services.intake.other_names import remedy_for

        remedy = remedy_for(name, struct.__name__, _hints(struct))
        return f"is not a field of {self._what}: {remedy}"

    def _add(self, path: str, message: Any) -> None:
        """The words are made only for problems that are reported."""
        told = message() if len(self._found) < MAX_TOLD else ""
        self._found.append(FieldProblem(path, told))

    @staticmethod
    def _fits(value: Any, kind: Any) -> bool:
        if kind is msgspec.Raw:
            return True
        try:
            msgspec.convert(value, kind)
        except msgspec.ValidationError:
            return False
        return True


@functools.cache
def _hints(struct: Any) -> dict[str, Any]:
    """The types of a struct's fields, by the names that callers write."""
    hints = get_type_hints(struct, include_extras=True)
    return {field.encode_name: hints[field.name] for field in msgspec.structs.fields(struct)}


def _bare(kind: Any) -> Any:
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def _options(kind: Any) -> Iterator[Any]:
    """The types that a value may have: each member of a union; a limited type with its limits."""
    if get_origin(kind) in (Union, UnionType):
        for one in get_args(kind):
            yield from _options(one)
    elif kind is not type(None):
        yield kind


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type(msgspec.Struct))


def _option_for(value: Any, kind: Any) -> Any:
    """The one of the possible types that has the JSON form of this value, or None."""
    for option in _options(kind):
        bare = _bare(option)
        origin = get_origin(bare) or bare
        if isinstance(value, dict) and (origin is dict or _is_struct(bare)):
            return option
        if origin is type(value) and isinstance(value, list | str):
            return option
    return None


def _bounds(kind: Any) -> tuple[int, int | None]:
    metas = [one for one in get_args(kind)[1:] if isinstance(one, msgspec.Meta)]
    meta = metas[0] if get_origin(kind) is Annotated and metas else msgspec.Meta()
    return meta.min_length or 0, meta.max_length


def _miscounted(value: Any, option: Any) -> bool:
    least, most = _bounds(option)
    return isinstance(value, list | str) and (
        len(value) < least or (most is not None and len(value) > most)
    )


_NAMED = {str: "a text", bool: "true or false", list: "a list", dict: "an object"}


def _must(value: Any, kind: Any) -> str:
    """What a value must be, in words."""
    from datetime import datetime

    options = [_bare(one) for one in _options(kind)]
    option = _option_for(value, kind)
    if option is not None and _miscounted(value, option):
        least, most = _bounds(option)
        return (
            f"must have {least} to {most} {'entries' if isinstance(value, list) else 'characters'}"
        )
    if datetime in options:
        return "must be a time with its zone, as 2026-12-01T08:00:00Z"
    if bytes in options:
        return "is not base64: use the standard alphabet with padding, without line breaks"
    words = list(dict.fromkeys(word for one in options for word in _words(one)))
    return f"must be {' or '.join(filter(None, (', '.join(words[:-1]), words[-1])))}, not {_seen(value)}"


def _words(option: Any) -> list[str]:
    if get_origin(option) is Literal:
        return [f"'{value}'" for value in get_args(option)]
    if _is_struct(option):
        return ["an object"]
    return [_NAMED.get(get_origin(option) or option, "what GET /api/openapi.json says")]


def _seen(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int | float):
        return "a number"
    return "this text" if isinstance(value, str) else _NAMED[type(value)]
