"""The Table service's REST interface, as much of it as the ledger needs.

Not left to the SDK (`docs/decisions/0023-the-hot-path-speaks-rest.md`). What is promised: a read is
repeated, a write only where it certainly had no effect or where twice is once.

https://learn.microsoft.com/rest/api/storageservices/table-service-rest-api
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from email.utils import formatdate
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from shared.adapters.http.client import Answer, HttpClient
from shared.adapters.storage import table_changes
from shared.errors import AlreadyExists, AnswerLost, LostRace, NotSent, RemoteRefused

if TYPE_CHECKING:
    from shared.adapters.storage.access import StorageAccess

READ_SECONDS = 20.0
CONNECT_SECONDS = 5.0
CONNECTIONS = 32
MOST_ANSWERED = 64 * 1024 * 1024
"""Bytes. The service breaks a listing off long before, in pages of a thousand rows."""
MOST_HALTS = 10
"""Empty pages in a row that lead no further; the service may break off before it has got anywhere."""
TRANSACTION = 100
"""Rows that one transaction may change, all of one partition."""
_PAUSES = (0.2, 1.0, 2.5)
"""Seconds before the second, third and fourth try. A caller waits behind these."""
_VERSION = "2019-02-02"
_HEADERS = {
    "x-ms-version": _VERSION,
    "DataServiceVersion": "3.0",
    "MaxDataServiceVersion": "3.0;NetFx",
    "Accept": "application/json;odata=minimalmetadata",
    "User-Agent": "postroom",
}
_INT32 = 2**31

RowVersion = tuple[str, str, str]
"""Partition, row, ETag."""


class Row(dict[str, Any]):
    """A row as it was read, with the version that it had."""

    __slots__ = ("etag",)

    def __init__(self, values: Mapping[str, Any], etag: str) -> None:
        super().__init__(values)
        self.etag = etag


class Page(msgspec.Struct, frozen=True):
    """Some rows of a listing, and where to go on: partition and row."""

    rows: Sequence[Row]
    next: tuple[str, str] | None


class Step(msgspec.Struct, frozen=True):
    """A part of a transaction: `insert`, `replace`, `upsert` or `remove` a row. With an ETag only if
    the row is as it was read."""

    action: str
    row: Mapping[str, Any]
    etag: str | None = None

    @classmethod
    def write(cls, row: Mapping[str, Any], etag: str | None) -> Step:
        """A row that must be new, or must be unchanged."""
        return cls("insert", row) if etag is None else cls("replace", row, etag)


class TableService:
    """The tables of one storage account."""

    def __init__(
        self,
        url: str,
        access: StorageAccess,
        *,
        sleep: Callable[[float], None] = time.sleep,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._line = HttpClient(
            url,
            system="storage",
            ca_file=None,
            connections=CONNECTIONS,
            connect_seconds=CONNECT_SECONDS,
            most_answered=MOST_ANSWERED,
            plain=url.startswith("http://"),
        )
        self.url = url.rstrip("/")
        self._access = access
        self._sleep = sleep
        self._wall_clock = wall_clock

    def table(self, name: str) -> Table:
        """One of them; it need not be there."""
        return Table(self, name)

    def close(self) -> None:
        """Give the connections back."""
        self._line.close()

    def ask(
        self,
        what: str,
        method: str,
        path: str,
        *,
        query: str = "",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        idempotent: bool,
    ) -> Answer:
        """One call, answered with something below 500. `what` is what could not be done, for messages;
        `idempotent` says that twice is once.

        Raises NotSent where it had no effect, AnswerLost where it may have had one.
        """
        for pause in (*_PAUSES, None):
            try:
                return self._once(what, method, path, query, body, headers or {})
            except NotSent:
                if pause is None:
                    raise
            except AnswerLost:
                if pause is None or not idempotent:
                    raise
            self._sleep(pause)
        raise AssertionError("unreachable")

    def _once(
        self,
        what: str,
        method: str,
        path: str,
        query: str,
        body: bytes | None,
        headers: Mapping[str, str],
    ) -> Answer:
        sent = {
            **_HEADERS,
            "x-ms-date": formatdate(self._wall_clock(), usegmt=True),
            **({"Content-Type": "application/json"} if body is not None else {}),
            **headers,
        }
        try:
            target = self._access.sign(method, path, query, sent)
            answer = self._line.request(
                method, target, read_seconds=READ_SECONDS, headers=sent, body=body
            )
        except NotSent as error:
            if error.system != "storage":
                raise
            raise NotSent("storage", f"{what}: storage was not reached") from error
        except AnswerLost as error:
            raise AnswerLost("storage", f"{what}: storage did not answer") from error
        if answer.status == 429:
            raise NotSent("storage", f"{what}: storage is throttling")
        if answer.status >= 500 or answer.status == 408:
            raise AnswerLost("storage", f"{what}: storage answered {_named(answer)}")
        return answer


class Table:
    """One table. Every method takes first what is being done, for the message of an error, and raises
    NotSent, AnswerLost or RemoteRefused."""

    def __init__(self, service: TableService, name: str) -> None:
        self._service = service
        self._name = name

    def insert(self, what: str, row: Mapping[str, Any]) -> str:
        """Write a row that must be new. Returns its ETag. Raises AlreadyExists."""
        answer = self._service.ask(
            what,
            "POST",
            f"/{self._name}",
            body=encode(row),
            headers={"Prefer": "return-no-content"},
            idempotent=False,
        )
        return _written(what, answer)

    def insert_own(self, what: str, row: Mapping[str, Any]) -> str:
        """The same for a row that holds something nobody else writes, such as an id just made: where
        the answer was lost, a look tells whether the row came to be. Raises AlreadyExists."""
        try:
            return self.insert(what, row)
        except AnswerLost:
            found = self.get(what, row["PartitionKey"], row["RowKey"])
        if found is None:
            return self.insert(what, row)
        if found != row:
            raise AlreadyExists(f"{what}: it is there already")
        return found.etag

    def replace(self, what: str, row: Mapping[str, Any], etag: str) -> str:
        """Write a row over one that must be unchanged. Returns the new ETag. Raises LostRace."""
        return self._write(what, "PUT", row, etag)

    def merge(self, what: str, row: Mapping[str, Any], etag: str) -> str:
        """Write properties of a row that must be unchanged. Returns the new ETag. Raises LostRace."""
        return self._write(what, "PATCH", row, etag)

    def upsert(self, what: str, row: Mapping[str, Any]) -> None:
        """Write a row, or the properties given of one that is there."""
        self._write(what, "PATCH", row, None)

    def get(self, what: str, partition: str, row: str, select: Sequence[str] = ()) -> Row | None:
        """A row, or what was selected of it; None where there is none."""
        answer = self._service.ask(
            what, "GET", self._address(partition, row), query=_query(select=select), idempotent=True
        )
        if answer.status == 404 and _code(answer) == "ResourceNotFound":
            return None
        _refuse(what, answer)
        return _decoded(what, _Entity, answer, lambda entity: entity, answer.headers.get("ETag"))

    def remove(self, what: str, partition: str, row: str, etag: str | None = None) -> None:
        """Remove a row: with an ETag only if it is unchanged, else whether it is there or not.

        Raises LostRace, only with an ETag.
        """
        _known(what, etag)
        answer = self._service.ask(
            what,
            "DELETE",
            self._address(partition, row),
            headers={"If-Match": etag or "*"},
            idempotent=etag is None,
        )
        if etag is None and answer.status == 404 and _code(answer) == "ResourceNotFound":
            return
        _refuse(what, answer)

    def page(
        self,
        what: str,
        condition: str,
        *,
        select: Sequence[str] = (),
        size: int | None = None,
        start: tuple[str, str] | None = None,
    ) -> Page:
        """Rows in the order of their keys: `size` at most, perhaps fewer, perhaps none, though there
        are more: then `next` says where. Raises LostRace where there is no such table."""
        answer = self._service.ask(
            what,
            "GET",
            f"/{self._name}()",
            query=_query(condition, select, size, start),
            idempotent=True,
        )
        _refuse(what, answer)
        rows = _decoded_all(what, answer)
        partition = answer.headers.get("x-ms-continuation-NextPartitionKey")
        row = answer.headers.get("x-ms-continuation-NextRowKey")
        further = (partition, row or "") if partition else None
        if rows and further is not None and further == start:
            # Whoever follows it would read the same rows for ever.
            raise _unreadable(what)
        return Page(rows, further)

    def rows(
        self,
        what: str,
        condition: str,
        *,
        select: Sequence[str] = (),
        size: int | None = None,
    ) -> Iterator[Row]:
        """All rows that meet a condition, read page by page as they are wanted."""
        start: tuple[str, str] | None = None
        halts = 0
        while True:
            page = self.page(what, condition, select=select, size=size, start=start)
            yield from page.rows
            if page.next is None:
                return
            halts = halts + 1 if page.next == start else 0
            if halts > MOST_HALTS:
                raise _unreadable(what)
            start = page.next

    def together(self, what: str, steps: Sequence[Step]) -> Sequence[str]:
        """All of it or nothing, in one partition. Returns the ETags, empty for what was removed.

        Raises AlreadyExists or LostRace where a row is not as a step says.
        """
        boundary = table_changes.boundary()
        answer = self._service.ask(
            what,
            "POST",
            "/$batch",
            body=table_changes.written(boundary, [self._part(what, step) for step in steps]),
            headers={"Content-Type": f"multipart/mixed; boundary=batch_{boundary}"},
            idempotent=all(step.action == "upsert" for step in steps),
        )
        _refuse(what, answer)
        answers = table_changes.read(answer.content)
        for one in answers:
            if one.status == 429 or one.status >= 500:
                raise AnswerLost("storage", f"{what}: storage answered {_named(one)}")
            _refuse(what, one)
        if len(answers) != len(steps):
            raise _unreadable(what)
        return [one.headers.get("ETag", "") for one in answers]

    def remove_unchanged(self, what: str, keys: Sequence[RowVersion]) -> list[RowVersion]:
        """Remove rows of one partition, each unless it was changed since it was read. Returns those
        that went. A transaction fails as a whole for one such row; then they go one by one."""
        gone: list[RowVersion] = []
        rest = iter(keys)
        while lot := list(islice(rest, TRANSACTION)):
            steps = [
                Step("remove", {"PartitionKey": partition, "RowKey": row}, etag)
                for partition, row, etag in lot
            ]
            try:
                self.together(what, steps)
                gone += lot
            except LostRace:
                gone += [key for key in lot if self._removed(what, key)]
        return gone

    def _removed(self, what: str, key: RowVersion) -> bool:
        try:
            self.remove(what, *key)
        except LostRace:
            return False
        return True

    def _write(self, what: str, method: str, row: Mapping[str, Any], etag: str | None) -> str:
        _known(what, etag)
        answer = self._service.ask(
            what,
            method,
            self._address(row["PartitionKey"], row["RowKey"]),
            body=encode(row),
            headers={"If-Match": etag} if etag else None,
            idempotent=etag is None,
        )
        return _written(what, answer)

    def _address(self, partition: str, row: str) -> str:
        return f"/{self._name}(PartitionKey='{_key(partition)}',RowKey='{_key(row)}')"

    def _part(self, what: str, step: Step) -> table_changes.Part:
        _known(what, step.etag)
        row, headers = step.row, dict(_HEADERS)
        headers["Content-Type"] = "application/json"
        if step.action == "insert":
            headers["Prefer"] = "return-no-content"
            return table_changes.Part(
                "POST", f"{self._service.url}/{self._name}", headers, encode(row)
            )
        url = self._service.url + self._address(row["PartitionKey"], row["RowKey"])
        if step.action == "remove":
            return table_changes.Part("DELETE", url, headers | {"If-Match": step.etag or "*"}, b"")
        if step.action == "upsert":
            return table_changes.Part("PATCH", url, headers, encode(row))
        return table_changes.Part("PUT", url, headers | {"If-Match": step.etag or "*"}, encode(row))


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


_Entity = dict[str, Any]
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class _Listing(msgspec.Struct):
    value: list[_Entity]


def _decoded(
    what: str, kind: Any, answer: Answer, entity_in: Callable[[Any], _Entity], etag: str | None
) -> Row:
    return _read(what, entity_in(_json(what, kind, answer)), etag)


def _decoded_all(what: str, answer: Answer) -> Sequence[Row]:
    return [_read(what, entity, None) for entity in _json(what, _Listing, answer).value]


def _json(what: str, kind: Any, answer: Answer) -> Any:
    try:
        return msgspec.json.decode(answer.content, type=kind)
    except _UNREADABLE:
        # Not chained: the error may quote what was read.
        raise _unreadable(what) from None


def _read(what: str, entity: _Entity, etag: str | None) -> Row:
    if "odata.error" in entity:
        raise _unreadable(what)
    try:
        return _row(entity, etag)
    except (ValueError, TypeError, KeyError):
        raise _unreadable(what) from None


def _unreadable(what: str) -> AnswerLost:
    return AnswerLost("storage", f"{what}: storage answered with something unreadable")


def _row(entity: _Entity, etag: str | None) -> Row:
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

    UNCONFIRMED, and kept to this function: that an ETag is its row's timestamp. Microsoft's own
    clients count on it; a wrong one is refused as a row that was changed.
    """
    return f"W/\"datetime'{quote(timestamp, safe='')}'\""


def _query(
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


def _key(value: str) -> str:
    return quote(value.replace("'", "''"), safe="")


def _written(what: str, answer: Answer) -> str:
    """The version of what was written. A success without one is somebody else's, such as a gateway's."""
    _refuse(what, answer)
    etag = answer.headers.get("ETag", "")
    if not etag:
        raise _unreadable(what)
    return etag


def _known(what: str, etag: str | None) -> None:
    """Raise LostRace for an empty version: on the wire it would be no condition at all."""
    if etag == "":
        raise LostRace(f"{what}: the version that was read is not known")


def _refuse(what: str, answer: Answer) -> None:
    """Raise what an answer stands for that is no success."""
    if answer.status < 300:
        return
    if answer.status == 409 and _code(answer) == "EntityAlreadyExists":
        raise AlreadyExists(f"{what}: it is there already")
    if answer.status in (404, 412):
        raise LostRace(f"{what}: it was changed or removed meanwhile")
    raise RemoteRefused("storage", f"{what}: storage answered {_named(answer)}")


def _named(answer: Answer) -> str:
    code = _code(answer)
    return f"{answer.status} ({code})" if code else str(answer.status)


def _code(answer: Answer) -> str:
    """The service's own name for what is wrong, such as `EntityAlreadyExists`; empty without one."""
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
