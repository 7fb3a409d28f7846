"""Reading JSON documents strictly, and telling everything that is wrong with one at once.

The decoder stops at the first mistake. So a document that it refuses is read a second time, field
by field, and each is told what it must be, in the API's words and not in the decoder's.
"""

from __future__ import annotations

import re
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

from shared.errors import FieldProblem, Refused
from shared.mail import problems

MAX_TOLD = 50
"""Problems that one answer names."""

MOST_PARTS = 50_000
"""Commas, brackets and braces in a document whose every mistake is looked for. Of more the first
mistake is told alone: empty lists by the million take a hundred times their size of memory."""

T = TypeVar("T", bound=msgspec.Struct)

_PATH = re.compile(r" - at `(?:key in )?\$?\.?(?P<path>[^`]*)`$")
_PLAIN = re.compile(r"[\w.-]{1,80}", re.ASCII)
_BYTE = re.compile(r"^JSON is malformed: (?P<what>.*) \(byte (?P<at>\d+)\)$")


def decode(
    raw: bytes, decoder: msgspec.json.Decoder[T], what: str, found: list[FieldProblem]
) -> T | None:
    """The document; `what` it is, as in "is not a field of a mail".

    What is not understood is added to `found`. The document is returned without those fields then,
    so that the others can be checked too; None where a needed one is among them. Raises Refused for
    what is no JSON.
    """
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as error:
        first = error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _no_json(raw, error) from error
    if sum(map(raw.count, (b",", b"[", b"{"))) > MOST_PARTS:
        found.append(_first_alone(str(first)))
        return None
    try:
        given = msgspec.json.decode(raw)
    except msgspec.ValidationError:
        found.append(_first_alone(str(first)))  # a number that is too large for any
        return None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _no_json(raw, error) from error
    reader = _Reader(what, found)
    reader.check(given, decoder.type, "")
    rest: T | None = reader.rest(given, decoder.type)
    return rest


def where(raw: bytes, at: int) -> str:
    """A place in a document, as an editor shows it."""
    lines = raw[:at].split(b"\n")
    return f"line {len(lines)}, column {len(lines[-1].decode('utf-8', 'replace')) + 1}"


def _no_json(raw: bytes, error: Exception) -> Refused:
    return Refused(
        problems.INVALID_JSON, f"The body is not valid JSON in UTF-8: {_fault(raw, error)}."
    )


def _fault(raw: bytes, error: Exception) -> str:
    """What is wrong and where; the document itself is not quoted."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if raw.startswith(b"\xef\xbb\xbf"):
        return "it begins with a byte order mark; send it without"
    try:
        raw.decode()
    except UnicodeDecodeError as wrong:
        return f"no UTF-8 at {where(raw, wrong.start)}"
    malformed = _BYTE.match(str(error))
    if malformed:
        return f"{malformed['what']} at {where(raw, int(malformed['at']))}"
    return f"it ends too early, at {where(raw, len(raw))}"


def _first_alone(text: str) -> FieldProblem:
    # The decoder quotes names of the caller's, which may be megabytes; the path stands at the end.
    found = _PATH.search(text[-500:])
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
        if self._fits(value, kind):
            return
        options = _options(kind)
        before = len(self._found)
        if isinstance(value, list) and not _miscounted(value, kind):
            inner = next((get_args(one)[0] for one in options if get_origin(one) is list), None)
            for index, item in enumerate(value if inner is not None else ()):
                self.check(item, inner, f"{path}[{index}]")
        elif isinstance(value, dict):
            struct = next((one for one in options if isinstance(one, type(msgspec.Struct))), None)
            inner = next((get_args(one)[1] for one in options if get_origin(one) is dict), None)
            if struct is not None:
                self._check_fields(value, struct, path)
            for name, item in value.items() if inner is not None else ():
                self.check(
                    item, inner, f"{path}.{name}" if _PLAIN.fullmatch(name) else f"{path}[...]"
                )
        if len(self._found) == before:
            self._add(path or "body", lambda: _must(value, kind))

    def rest(self, given: Any, kind: type[T]) -> T | None:
        """The document without the fields that are not understood."""
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
            if name in hints:
                self.check(item, hints[name], at + name)
            else:
                self._add(at + name[:80], lambda name=name: self._unknown(name, [*hints]))
        for field in msgspec.structs.fields(struct):
            if field.required and field.encode_name not in value:
                self._add(at + field.encode_name, lambda: "is missing")

    def _unknown(self, name: str, names: list[str]) -> str:
        from difflib import get_close_matches

        close = get_close_matches(name[:80].lower(), names, 1)
        remedy = f"did you mean '{close[0]}'?" if close else "remove it"
        return f"is not a field of {self._what}: {remedy}"

    def _add(self, path: str, message: Any) -> None:
        """Words are made for those alone that are told."""
        told = message() if len(self._found) < MAX_TOLD else ""
        self._found.append(FieldProblem(path, told))

    @staticmethod
    def _fits(value: Any, kind: Any) -> bool:
        if kind is msgspec.Raw:
            return True
        if get_origin(kind) is Annotated and get_args(get_args(kind)[0]) == (msgspec.Raw,):
            return isinstance(value, list) and not _miscounted(value, kind)
        try:
            msgspec.convert(value, kind)
        except msgspec.ValidationError:
            return False
        return True


def _hints(struct: Any) -> dict[str, Any]:
    """The types of a struct's fields by the names that callers write."""
    hints = get_type_hints(struct, include_extras=True)
    return {field.encode_name: hints[field.name] for field in msgspec.structs.fields(struct)}


def _bare(kind: Any) -> Any:
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def _options(kind: Any) -> list[Any]:
    """The types that a value may have, of a union each."""
    bare = _bare(kind)
    if get_origin(bare) in (Union, UnionType):
        return [option for one in get_args(bare) for option in _options(one)]
    return [bare]


def _bounds(kind: Any) -> tuple[int, int | None]:
    metas = [one for one in get_args(kind)[1:] if isinstance(one, msgspec.Meta)]
    meta = metas[0] if get_origin(kind) is Annotated and metas else msgspec.Meta()
    return meta.min_length or 0, meta.max_length


def _miscounted(value: list[Any] | str, kind: Any) -> bool:
    least, most = _bounds(kind)
    return len(value) < least or (most is not None and len(value) > most)


_NAMED = {str: "a text", bool: "true or false", list: "a list", dict: "an object"}


def _must(value: Any, kind: Any) -> str:
    """What a value that was given must be instead."""
    from datetime import datetime

    options = [one for one in _options(kind) if one is not type(None)]
    if isinstance(value, list | str) and _miscounted(value, kind):
        least, most = _bounds(kind)
        return (
            f"must have {least} to {most} {'entries' if isinstance(value, list) else 'characters'}"
        )
    if datetime in options:
        return "must be a time with its zone, as 2026-12-01T08:00:00Z"
    if bytes in options:
        return "is not base64: use the standard alphabet with padding, without line breaks"
    words = [word for one in options for word in _words(one)]
    return f"must be {' or '.join(filter(None, (', '.join(words[:-1]), words[-1])))}, not {_seen(value)}"


def _words(option: Any) -> list[str]:
    if get_origin(option) is Literal:
        return [f"'{value}'" for value in get_args(option)]
    if isinstance(option, type(msgspec.Struct)):
        return ["an object"]
    return [_NAMED.get(get_origin(option) or option, "what GET /api/openapi.json says")]


def _seen(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int | float):
        return "a number"
    return "this text" if isinstance(value, str) else _NAMED[type(value)]
