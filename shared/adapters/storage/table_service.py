"""The part of the Table service's REST interface that the ledger needs.

It does not use the SDK (`docs/decisions/0023-the-hot-path-speaks-rest.md`). It repeats a read after
a failure. It repeats a write only if the write certainly had no effect or is idempotent.

https://learn.microsoft.com/rest/api/storageservices/table-service-rest-api
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from email.utils import formatdate
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec

from shared.adapters.http.client import Answer, HttpClient
from shared.adapters.retrying import retried
from shared.adapters.storage import table_changes
from shared.adapters.storage.table_answers import (
    Entity,
    Row,
    RowVersion,
    code_of,
    decoded,
    decoded_all,
    encode,
    key_of,
    known_of,
    named_of,
    query_of,
    refuse,
    unreadable_of,
    written_of,
)
from shared.errors import AlreadyExists, AnswerLost, LostRace, NotSent

if TYPE_CHECKING:
    from shared.adapters.storage.access import StorageAccess

ANSWER_SECONDS = 10.0
CONNECT_SECONDS = 5.0
CONNECTIONS = 32
MOST_ANSWERED = 64 * 1024 * 1024
"""Bytes. The service splits a listing long before that, into pages of a thousand rows."""
MOST_HALTS = 10
"""Empty pages in a row with the same position; the service may end a page before it has read any
row."""
TRANSACTION = 100
"""The most rows that one transaction may change; all must be in one partition."""
_PAUSES = (0.2, 1.0, 2.5)
"""Seconds before the second, third and fourth try. A caller waits for these."""
_VERSION = "2019-02-02"
_HEADERS = {
    "x-ms-version": _VERSION,
    "DataServiceVersion": "3.0",
    "MaxDataServiceVersion": "3.0;NetFx",
    "Accept": "application/json;odata=minimalmetadata",
    "User-Agent": "postroom",
}


class Page(msgspec.Struct, frozen=True):
    """Some rows of a listing, and the partition and row where the next page begins."""

    rows: Sequence[Row]
    next: tuple[str, str] | None


class Step(msgspec.Struct, frozen=True):
    """A part of a transaction: `insert`, `replace`, `upsert` or `remove` a row. With an ETag, the
    step needs the row unchanged since it was read."""

    action: str
    row: Mapping[str, Any]
    etag: str | None = None

    @classmethod
    def write(cls, row: Mapping[str, Any], etag: str | None) -> Step:
        """Write a row that must be new (no ETag) or unchanged (ETag)."""
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
        """One table; it need not exist."""
        return Table(self, name)

    def close(self) -> None:
        """Close the connections."""
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
        """Make one call and return an answer below 500. `what` is the action, for error messages;
        `idempotent` says that the call may be repeated.

        Raises NotSent if the call had no effect, AnswerLost if it may have had one.
        """

        def wait(error: Exception) -> float | None:
            may_repeat = isinstance(error, NotSent) or (
                isinstance(error, AnswerLost) and idempotent
            )
            return 0.0 if may_repeat else None

        return retried(
            lambda: self._once(what, method, path, query, body, headers or {}),
            _PAUSES,
            wait,
            self._sleep,
        )

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
                method, target, within_seconds=ANSWER_SECONDS, headers=sent, body=body
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
            raise AnswerLost("storage", f"{what}: storage answered {named_of(answer)}")
        return answer


class Table:
    """One table. The first argument of every method is the action, for error messages. Every method
    raises NotSent, AnswerLost or RemoteRefused."""

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
        return written_of(what, answer)

    def insert_own(self, what: str, row: Mapping[str, Any]) -> str:
        """Write a new row with a value that nobody else writes, such as a new id. If the answer is
        lost, a read shows whether the row was written. Raises AlreadyExists."""
        try:
            return self.insert(what, row)
        except AnswerLost:
            found = self.get(what, row["PartitionKey"], row["RowKey"])
        if found is None:
            return self.insert(what, row)
        if found != row:
            raise AlreadyExists(f"{what}: it is there already")
        return found.etag

    def save(self, what: str, row: Mapping[str, Any], etag: str | None) -> str:
        """Insert a row (`etag` None), or replace it under its ETag; returns the new ETag. Raises
        LostRace if there is a row already, or another one."""
        if etag is not None:
            return self.replace(what, row, etag)
        try:
            return self.insert(what, row)
        except AlreadyExists as error:
            raise LostRace(f"{what}: another instance wrote it first") from error

    def replace(self, what: str, row: Mapping[str, Any], etag: str) -> str:
        """Write a row over one that must be unchanged. Returns the new ETag. Raises LostRace."""
        return self._write(what, "PUT", row, etag)

    def merge(self, what: str, row: Mapping[str, Any], etag: str) -> str:
        """Write properties of a row that must be unchanged. Returns the new ETag. Raises
        LostRace."""
        return self._write(what, "PATCH", row, etag)

    def upsert(self, what: str, row: Mapping[str, Any]) -> None:
        """Write a row. If it exists, only the given properties change."""
        self._write(what, "PATCH", row, None)

    def get(self, what: str, partition: str, row: str, select: Sequence[str] = ()) -> Row | None:
        """A row, or the selected properties of it; None if there is none."""
        answer = self._service.ask(
            what,
            "GET",
            self._address(partition, row),
            query=query_of(select=select),
            idempotent=True,
        )
        if answer.status == 404 and code_of(answer) == "ResourceNotFound":
            return None
        refuse(what, answer)
        return decoded(what, Entity, answer, lambda entity: entity, answer.headers.get("ETag"))

    def remove(self, what: str, partition: str, row: str, etag: str | None = None) -> None:
        """Remove a row. With an ETag, only if it is unchanged; without one, also if it does not
        exist.

        Raises LostRace, only with an ETag.
        """
        known_of(what, etag)
        answer = self._service.ask(
            what,
            "DELETE",
            self._address(partition, row),
            headers={"If-Match": etag or "*"},
            idempotent=etag is None,
        )
        if etag is None and answer.status == 404 and code_of(answer) == "ResourceNotFound":
            return
        refuse(what, answer)

    def page(
        self,
        what: str,
        condition: str,
        *,
        select: Sequence[str] = (),
        size: int | None = None,
        start: tuple[str, str] | None = None,
    ) -> Page:
        """Rows in the order of their keys: at most `size`. There may be fewer rows, or none, though
        there are more: then `next` says where they begin. Raises LostRace if the table does not
        exist."""
        answer = self._service.ask(
            what,
            "GET",
            f"/{self._name}()",
            query=query_of(condition, select, size, start),
            idempotent=True,
        )
        refuse(what, answer)
        rows = decoded_all(what, answer)
        partition = answer.headers.get("x-ms-continuation-NextPartitionKey")
        row = answer.headers.get("x-ms-continuation-NextRowKey")
        further = (partition, row or "") if partition else None
        if rows and further is not None and further == start:
            # A caller that followed it would read the same rows for ever.
            raise unreadable_of(what)
        return Page(rows, further)

    def rows(
        self,
        what: str,
        condition: str,
        *,
        select: Sequence[str] = (),
        size: int | None = None,
    ) -> Iterator[Row]:
        """All rows that meet a condition, read page by page when they are needed."""
        start: tuple[str, str] | None = None
        halts = 0
        while True:
            page = self.page(what, condition, select=select, size=size, start=start)
            yield from page.rows
            if page.next is None:
                return
            halts = halts + 1 if page.next == start else 0
            if halts > MOST_HALTS:
                raise unreadable_of(what)
            start = page.next

    def together(self, what: str, steps: Sequence[Step]) -> Sequence[str]:
        """Make all changes in one partition, or none. Returns the ETags, empty for a removed row.

        Raises AlreadyExists or LostRace if a row is not as a step requires.
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
        refuse(what, answer)
        answers = table_changes.read(answer.content)
        for one in answers:
            if one.status == 429 or one.status >= 500:
                raise AnswerLost("storage", f"{what}: storage answered {named_of(one)}")
            refuse(what, one)
        if len(answers) != len(steps):
            raise unreadable_of(what)
        return [one.headers.get("ETag", "") for one in answers]

    def remove_unchanged(self, what: str, keys: Sequence[RowVersion]) -> list[RowVersion]:
        """Remove rows of one partition, except those that changed since they were read. Returns the
        removed ones. A transaction fails as a whole for one changed row; then the rows are removed
        one by one."""
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
        known_of(what, etag)
        answer = self._service.ask(
            what,
            method,
            self._address(row["PartitionKey"], row["RowKey"]),
            body=encode(row),
            headers={"If-Match": etag} if etag else None,
            idempotent=etag is None,
        )
        return written_of(what, answer)

    def _address(self, partition: str, row: str) -> str:
        return f"/{self._name}(PartitionKey='{key_of(partition)}',RowKey='{key_of(row)}')"

    def _part(self, what: str, step: Step) -> table_changes.Part:
        known_of(what, step.etag)
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
