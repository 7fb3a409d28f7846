from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from shared.adapters.storage.access import SharedAccess
from shared.adapters.storage.table_answers import Row, encode
from shared.adapters.storage.table_service import MOST_HALTS, Page, Step, Table, TableService
from shared.errors import AlreadyExists, AnswerLost, LostRace, NotSent, RemoteRefused
from tests.unit.adapters.answering import Reply, Service, answering

ROW = {"PartitionKey": "79738877", "RowKey": "fe5d", "status": "queued"}
MISSING = Reply(404, {"odata.error": {"code": "ResourceNotFound"}})
NO_TABLE = Reply(404, {"odata.error": {"code": "TableNotFound"}})
BUSY = Reply(503, {"odata.error": {"code": "ServerBusy"}})
BREAKS_OFF = Reply(0)
WRITTEN = Reply(204, headers={"ETag": 'W/"2"'})


@contextlib.contextmanager
def a_table(*replies: Reply) -> Iterator[tuple[Table, Service]]:
    with answering(*replies) as service:
        tables = TableService(service.url, SharedAccess("sig=x"), sleep=lambda seconds: None)
        yield tables.table("mails"), service
        tables.close()


Writing = Callable[[Table], object]
CONDITIONAL: dict[str, Writing] = {
    "insert": lambda table: table.insert("w", ROW),
    "replace": lambda table: table.replace("w", ROW, 'W/"1"'),
    "merge": lambda table: table.merge("w", ROW, 'W/"1"'),
    "remove unchanged": lambda table: table.remove("w", "p", "r", 'W/"1"'),
    "transaction": lambda table: table.together("w", [Step.write(ROW, 'W/"1"')]),
}
HARMLESS: dict[str, Writing] = {
    "upsert": lambda table: table.upsert("w", ROW),
    "remove": lambda table: table.remove("w", "p", "r"),
    "get": lambda table: table.get("w", "p", "r"),
    "page": lambda table: table.page("w", "status eq 'queued'"),
}


@pytest.mark.parametrize("writing", CONDITIONAL.values(), ids=CONDITIONAL)
@pytest.mark.parametrize("lost", [BREAKS_OFF, BUSY, Reply(500), Reply(408)])
def test_a_write_whose_answer_was_lost_is_not_repeated(writing: Writing, lost: Reply) -> None:
    with a_table(lost) as (table, service):
        with pytest.raises(AnswerLost):
            writing(table)

        assert len(service.asked) == 1


@pytest.mark.parametrize("harmless", HARMLESS.values(), ids=HARMLESS)
@pytest.mark.parametrize("lost", [BREAKS_OFF, BUSY, Reply(500)])
def test_what_may_be_done_twice_is_repeated_and_in_the_end_given_up(
    harmless: Writing, lost: Reply
) -> None:
    with a_table(lost) as (table, service):
        with pytest.raises(AnswerLost):
            harmless(table)

        assert len(service.asked) == 4


@pytest.mark.parametrize("writing", [*CONDITIONAL.values(), *HARMLESS.values()])
def test_what_was_throttled_had_no_effect_and_is_repeated(writing: Writing) -> None:
    with a_table(Reply(429)) as (table, service):
        with pytest.raises(NotSent):
            writing(table)

        assert len(service.asked) == 4


def test_a_write_that_was_throttled_succeeds_when_there_is_room() -> None:
    with a_table(Reply(429), WRITTEN) as (table, service):
        assert table.insert("w", ROW) == 'W/"2"'
        assert service.methods == ["POST", "POST"]


def test_where_nobody_listens_nothing_was_written() -> None:
    with answering(WRITTEN) as gone:
        url = gone.url
    pauses: list[float] = []
    table = TableService(url, SharedAccess("sig=x"), sleep=pauses.append).table("mails")

    with pytest.raises(NotSent, match="writing a mail: storage was not reached"):
        table.insert("writing a mail", ROW)
    assert len(pauses) == 3


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(409, {"odata.error": {"code": "EntityAlreadyExists"}}), AlreadyExists),
        (Reply(409, {"odata.error": {"code": "TableBeingDeleted"}}), RemoteRefused),
        (Reply(412, {"odata.error": {"code": "UpdateConditionNotSatisfied"}}), LostRace),
        (MISSING, LostRace),
        (NO_TABLE, LostRace),
        (Reply(400, content=b"<html>"), RemoteRefused),
    ],
)
def test_each_refusal_has_its_error(reply: Reply, error: type[Exception]) -> None:
    with a_table(reply) as (table, _), pytest.raises(error):
        table.insert("w", ROW)


def test_a_refusal_is_told_with_the_services_name_for_it() -> None:
    refusal = Reply(403, headers={"x-ms-error-code": "AuthorizationPermissionMismatch"})
    told = r"w: storage answered 403 \(AuthorizationPermissionMismatch\)"

    with a_table(refusal) as (table, _), pytest.raises(RemoteRefused, match=told):
        table.insert("w", ROW)


def test_a_row_that_is_not_there_is_none_and_a_table_that_is_not_there_an_error() -> None:
    with a_table(MISSING) as (table, _):
        assert table.get("w", "p", "r") is None
        table.remove("w", "p", "r")
    with a_table(NO_TABLE) as (table, _), pytest.raises(LostRace):
        table.get("w", "p", "r")


def test_a_row_comes_back_as_it_was_written_whatever_its_types() -> None:
    row = {**ROW, "payload00": b"\x00\xff", "size": 2**40, "attempts": 3, "urgent": True, "x": "ü'"}
    stored = json.loads(encode(row)) | {
        "Timestamp": "2026-11-22T09:00:00.1234567Z",
        "odata.metadata": "https://x/$metadata#mails/@Element",
    }

    with a_table(Reply(200, stored, {"ETag": 'W/"7"'})) as (table, _):
        found = table.get("w", "p", "r")

    assert found == row
    assert isinstance(found, Row)
    assert found.etag == 'W/"7"'


def test_a_listed_row_without_an_etag_has_that_of_its_time() -> None:
    listed = {**ROW, "Timestamp": "2026-11-22T09:00:00.1234567Z"}

    with a_table(Reply(200, {"value": [listed]})) as (table, service):
        (row,) = table.page("w", "", select=["status"]).rows

    assert row.etag == "W/\"datetime'2026-11-22T09%3A00%3A00.1234567Z'\""
    assert "Timestamp" in service.asked[0].path


@pytest.mark.parametrize("value", [None, 1.5, datetime(2026, 1, 1, tzinfo=UTC), ["a"]])
def test_what_a_table_cannot_hold_is_named_before_anything_is_sent(value: object) -> None:
    with pytest.raises(TypeError, match="due_at"):
        encode({**ROW, "due_at": value})


def test_a_listing_goes_on_where_the_service_broke_off() -> None:
    more = {
        "x-ms-continuation-NextPartitionKey": "1!8!Nzk3",
        "x-ms-continuation-NextRowKey": "1!4!ZmU1",
    }
    first = Reply(200, {"value": [ROW]}, more)
    empty = Reply(200, {"value": []}, more)

    with a_table(first, empty, Reply(200, {"value": [ROW]})) as (table, service):
        rows = list(table.rows("w", "a eq 'ö&='", size=2))

    assert rows == [ROW, ROW]
    assert "NextPartitionKey=1%218%21Nzk3&NextRowKey=1%214%21ZmU1" in service.asked[2].path
    assert "$filter=a%20eq%20%27%C3%B6%26%3D%27&$top=2" in service.asked[0].path


def test_a_page_that_is_no_json_is_a_lost_answer() -> None:
    with a_table(Reply(200, content=b"<html>")) as (table, _), pytest.raises(AnswerLost):
        table.page("w", "")


def test_the_keys_of_a_row_are_escaped_in_its_address() -> None:
    with a_table(MISSING) as (table, service):
        table.get("w", "o'neill", "a/b?#%é")

    assert "PartitionKey='o%27%27neill',RowKey='a%2Fb%3F%23%25%C3%A9'" in service.asked[0].path


def changeset(*parts: str) -> Reply:
    lines = "".join(
        "--changesetresponse_1\r\nContent-Type: application/http\r\n\r\n" + part for part in parts
    )
    return Reply(
        202,
        headers={"Content-Type": "multipart/mixed; boundary=batchresponse_1"},
        content=f"--batchresponse_1\r\n\r\n{lines}--changesetresponse_1--\r\n".encode(),
    )


def refusal(status: int, code: str) -> str:
    body = json.dumps({"odata.error": {"code": code, "message": {"value": "0:no"}}})
    return f"HTTP/1.1 {status} No\r\nContent-Type: application/json\r\n\r\n{body}\r\n"


def test_a_transaction_gives_the_versions_in_its_order() -> None:
    done = changeset(
        'HTTP/1.1 204 No Content\r\nETag: W/"a"\r\n\r\n\r\n',
        "HTTP/1.1 204 No Content\r\nX-Other: 1\r\n\r\n\r\n",
    )

    with a_table(done) as (table, service):
        etags = table.together("w", [Step.write(ROW, None), Step("remove", ROW, 'W/"1"')])

    assert etags == ['W/"a"', ""]
    assert b"DELETE" in service.asked[0].body


@pytest.mark.parametrize(
    ("part", "error"),
    [
        (refusal(412, "UpdateConditionNotSatisfied"), LostRace),
        (refusal(404, "ResourceNotFound"), LostRace),
        (refusal(409, "EntityAlreadyExists"), AlreadyExists),
        (refusal(400, "CommandsInBatchActOnDifferentPartitions"), RemoteRefused),
        (refusal(500, "InternalError"), AnswerLost),
    ],
)
def test_a_transaction_fails_as_its_first_refusal_says(part: str, error: type[Exception]) -> None:
    with a_table(changeset(part)) as (table, _), pytest.raises(error):
        table.together("w", [Step.write(ROW, None), Step.write(ROW, 'W/"1"')])


@pytest.mark.parametrize("content", [b"", b"<html>", b"HTTP/1.1 204 No Content\r\n\r\n"])
def test_a_transaction_with_an_answer_too_few_is_a_lost_answer(content: bytes) -> None:
    steps = [Step.write(ROW, None), Step.write(ROW, None)]

    with a_table(Reply(202, content=content)) as (table, _), pytest.raises(AnswerLost):
        table.together("w", steps)


def test_of_rows_to_remove_those_that_were_changed_stay() -> None:
    refused = changeset(refusal(412, "UpdateConditionNotSatisfied"))
    keys = [("p", "a", 'W/"1"'), ("p", "b", 'W/"1"')]

    with a_table(refused, Reply(204), Reply(412)) as (table, service):
        assert table.remove_unchanged("w", keys) == keys[:1]

    assert service.methods == ["POST", "DELETE", "DELETE"]


def test_bytes_travel_as_base64_with_their_type() -> None:
    document = json.loads(encode({**ROW, "payload00": b"\x00\xff"}))

    assert document["payload00@odata.type"] == "Edm.Binary"
    assert base64.b64decode(document["payload00"]) == b"\x00\xff"


def test_an_empty_page_ends_a_listing() -> None:
    with a_table(Reply(200, {"value": []})) as (table, _):
        assert table.page("w", "") == Page([], None)


@pytest.mark.parametrize(
    "content",
    [
        b'{"a": "\xff"}',
        b'{"a": ' + b"[" * 100_000,
        b'{"odata.error": {"code": "Oops"}}',
        b'{"a@odata.type": "Edm.Binary", "a": 5}',
        b'{"a@odata.type": "Edm.Binary", "a": "a"}',
        b'{"a@odata.type": "Edm.Binary"}',
        b'{"a@odata.type": "Edm.Int64", "a": "x"}',
        b'{"a@odata.type": "Edm.Int64", "a": null}',
        b'{"Timestamp": 5}',
    ],
)
def test_a_row_that_cannot_be_one_is_an_answer_that_was_lost(content: bytes) -> None:
    with (
        a_table(Reply(200, content=content)) as (table, _),
        pytest.raises(AnswerLost, match="unreadable"),
    ):
        table.get("g", "p", "r")


@pytest.mark.parametrize(("rows", "asked"), [([ROW], 2), ([], MOST_HALTS + 2)])
def test_a_listing_that_never_gets_any_further_ends(rows: list[object], asked: int) -> None:
    again = {"x-ms-continuation-NextPartitionKey": "p", "x-ms-continuation-NextRowKey": "r"}
    with (
        a_table(Reply(200, {"value": rows}, again)) as (table, service),
        pytest.raises(AnswerLost, match="unreadable"),
    ):
        list(table.rows("l", ""))

    assert len(service.asked) == asked


def test_a_success_without_a_version_is_not_taken_for_a_write() -> None:
    with (
        a_table(Reply(200, {"odata.error": {"code": "Oops"}})) as (table, _),
        pytest.raises(AnswerLost, match="unreadable"),
    ):
        table.insert("w", ROW)


@pytest.mark.parametrize(
    "writing",
    [
        lambda table: table.replace("w", ROW, ""),
        lambda table: table.merge("w", ROW, ""),
        lambda table: table.remove("w", "p", "r", ""),
        lambda table: table.together("w", [Step.write(ROW, "")]),
        lambda table: table.together("w", [Step("remove", ROW, "")]),
    ],
    ids=["replace", "merge", "remove", "replace together", "remove together"],
)
def test_a_version_that_is_not_known_never_writes_unconditionally(writing: Writing) -> None:
    with a_table(WRITTEN) as (table, service):
        with pytest.raises(LostRace):
            writing(table)

        assert service.asked == []


def test_a_row_of_ones_own_whose_answer_was_lost_is_found_where_it_came_to_be() -> None:
    row = {**ROW, "payload00": b"\x00", "size": 2**40}
    stored = Reply(200, json.loads(encode(row)), {"ETag": 'W/"9"'})

    with a_table(BREAKS_OFF, stored) as (table, service):
        assert table.insert_own("w", row) == 'W/"9"'
        assert service.methods == ["POST", "GET"]


def test_a_row_of_ones_own_that_did_not_come_to_be_is_written_again() -> None:
    with a_table(BREAKS_OFF, MISSING, WRITTEN) as (table, service):
        assert table.insert_own("w", ROW) == 'W/"2"'
        assert service.methods == ["POST", "GET", "POST"]


def test_a_row_under_that_key_which_has_gone_on_since_or_is_anothers_is_not_ones_own() -> None:
    gone_on = Reply(200, {**ROW, "status": "sending"}, {"ETag": 'W/"9"'})

    with a_table(BREAKS_OFF, gone_on) as (table, _), pytest.raises(AlreadyExists):
        table.insert_own("w", ROW)


@pytest.mark.parametrize("second", [BREAKS_OFF, BUSY])
def test_a_row_of_ones_own_that_nobody_can_tell_of_stays_unknown(second: Reply) -> None:
    with a_table(second) as (table, _), pytest.raises(AnswerLost):
        table.insert_own("w", ROW)
