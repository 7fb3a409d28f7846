"""Encodes rows of the Table service as JSON, and turns its answers into rows or errors."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from shared.adapters.http.client import Answer
from shared.errors import AlreadyExists, AnswerLost, LostRace, RemoteRefused

if TYPE_CHECKING:
    pass


_INT32 = 2**31


RowVersion = tuple[str, str, str]
"""Partition, row, ETag."""


class Row(dict[str, Any]):
    """A row as it was read, with its version at that time."""

    __slots__ = ("etag",)

    def __init__(self, values: Mapping[str, Any], etag: str) -> None:
        super().__init__(values)
        self.etag = etag


def encode(row: Mapping[str, Any]) -> bytes:
    """A row in the service's JSON: bytes as base64, large numbers as text, each with its type.

    https://learn.microsoft.com/rest/api/storageservices/payload-format-for-table-service-operations
    """
    entity: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, bytes):
            entity[f"{name}@odata.type"] = "Edm.Binary"
        elif isinstance(value, int) and not -_INT32 <= value < _INT32:
            entity[f"{name}@odata.type"] = "Edm.Int64"
            value = str(value)
        elif not isinstance(value, (str, int)):
            raise TypeError(f"a table cannot hold the {type(value).__name__} in {name}")
        entity[name] = value
    return msgspec.json.encode(entity)


Entity = dict[str, Any]


_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class _Listing(msgspec.Struct):
    value: list[Entity]


def decoded(
    what: str, kind: Any, answer: Answer, entity_in: Callable[[Any], Entity], etag: str | None
) -> Row:
    return _read(what, entity_in(_json(what, kind, answer)), etag)


def decoded_all(what: str, answer: Answer) -> Sequence[Row]:
    return [_read(what, entity, None) for entity in _json(what, _Listing, answer).value]


def _json(what: str, kind: Any, answer: Answer) -> Any:
    try:
        return msgspec.json.decode(answer.content, type=kind)
    except _UNREADABLE:
        # Not chained: the error may quote what was read.
        raise unreadable_of(what) from None


def _read(what: str, entity: Entity, etag: str | None) -> Row:
    if "odata.error" in entity:
        raise unreadable_of(what)
    try:
        return _row(entity, etag)
    except (ValueError, TypeError, KeyError):
        raise unreadable_of(what) from None


def unreadable_of(what: str) -> AnswerLost:
    return AnswerLost("storage", f"{what}: storage answered with something unreadable")


def _row(entity: Entity, etag: str | None) -> Row:
    values: dict[str, Any] = {}
    types: dict[str, str] = {}
    for name, value in entity.items():
        if name.startswith("odata."):
            continue
        if name.endswith("@odata.type"):
            types[name[:-11]] = value
        else:
            values[name] = value
    for name, kind in types.items():
        if kind == "Edm.Binary":
            values[name] = base64.b64decode(values[name])
        elif kind == "Edm.Int64":
            values[name] = int(values[name])
    stamp = values.pop("Timestamp", "")
    return Row(values, etag or entity.get("odata.etag") or _etag_at(stamp))


def _etag_at(timestamp: str) -> str:
    """The ETag of a row that came without one.

    UNCONFIRMED, and kept to this function: that an ETag is the timestamp of its row. Microsoft's
    own clients rely on it. The service refuses a wrong ETag as if the row had changed.
    """
    return f"W/\"datetime'{quote(timestamp, safe='')}'\""


def query_of(
    condition: str = "",
    select: Sequence[str] = (),
    size: int | None = None,
    start: tuple[str, str] | None = None,
) -> str:
    given: dict[str, str] = {}
    if condition:
        given["$filter"] = condition
    if select:
        given["$select"] = ",".join(dict.fromkeys((*select, "Timestamp")))
    if size is not None:
        given["$top"] = str(size)
    if start is not None:
        given["NextPartitionKey"], given["NextRowKey"] = start
    return "&".join(f"{name}={quote(value, safe='')}" for name, value in given.items())


def key_of(value: str) -> str:
    return quote(value.replace("'", "''"), safe="")


def written_of(what: str, answer: Answer) -> str:
    """The version of the written row. A success without a version is not the service's answer, but
    for example a gateway's."""
    refuse(what, answer)
    etag = answer.headers.get("ETag", "")
    if not etag:
        raise unreadable_of(what)
    return etag


def known_of(what: str, etag: str | None) -> None:
    """Raise LostRace for an empty version: a request with it would have no condition."""
    if etag == "":
        raise LostRace(f"{what}: the version that was read is not known")


def refuse(what: str, answer: Answer) -> None:
    """Raise the error for an answer that is not a success."""
    if answer.status < 300:
        return
    if answer.status == 409 and code_of(answer) == "EntityAlreadyExists":
        raise AlreadyExists(f"{what}: it is there already")
    if answer.status in (404, 412):
        raise LostRace(f"{what}: it was changed or removed meanwhile")
    raise RemoteRefused("storage", f"{what}: storage answered {named_of(answer)}")


def named_of(answer: Answer) -> str:
    code = code_of(answer)
    return f"{answer.status} ({code})" if code else str(answer.status)


def code_of(answer: Answer) -> str:
    """The service's error code, such as `EntityAlreadyExists`; empty if there is none."""
    named = answer.headers.get("x-ms-error-code")
    if not named:
        try:
            named = msgspec.json.decode(answer.content, type=_Refusal).error.code
        except _UNREADABLE:
            return ""
    return named if named.isalnum() and len(named) < 64 else ""


class _Wrong(msgspec.Struct):
    code: str


class _Refusal(msgspec.Struct, rename={"error": "odata.error"}):
    error: _Wrong
