"""Tables with more rows than one can insert: Azurite takes minutes for 100,000, and reads a file that
holds them in seconds."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from azure.data.tables import TableServiceClient

from local.azurite import ACCOUNT, Azurite
from shared.mail import ids
from shared.mail.mail import Caller, Event, Mail
from shared.mail.status import Status

_FILE = "__azurite_db_table__.json"
_KEEPS_STILL = 'require("lokijs").prototype.autosaveEnable = () => {};\n'


STATUSES = (Status.SENT,) * 97 + (Status.FAILED, Status.HELD, Status.CANCELLED)


def mail_at(at: int, newest: datetime, apart: timedelta) -> Mail:
    """The mail of this place, newest first. One in a thousand goes to Grace and has a tag."""
    when = newest - at * apart
    status = STATUSES[at % 100]
    rare = at % 1000 == 999
    return Mail(
        mail_id=ids.new_id(when, os.urandom),
        status=status,
        accepted_at=when,
        updated_at=when,
        due_at=when,
        caller=Caller.HTTP,
        account=("billing", "news", "shop")[at % 3],
        recipients=("grace@example.com" if rare else f"reader{at}@example.com",),
        recipient_count=1,
        subject=f"Number {at}",
        tags=("gift",) if rare else (),
        reason="ErrorInvalidRecipients" if status is Status.FAILED else None,
        events=(Event(when, status, None),),
    )


def fill(directory: Path, tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Leave a storage directory for Azurite whose tables hold these rows of texts, numbers and truths.

    Azurite itself writes one row of each table; the others are put into its file like that one
    (https://github.com/techfort/LokiJS).
    """
    with (
        Azurite(directory / "filling.log", directory=directory) as azurite,
        TableServiceClient.from_connection_string(azurite.connection_string) as service,
    ):
        for name, rows in tables.items():
            service.create_table(name).create_entity(dict(rows[0]))
    path = directory / _FILE
    database = json.loads(path.read_text())
    for collection in database["collections"]:
        name = collection["name"].removeprefix(f"{ACCOUNT}$")
        if name in tables:
            first = collection["data"][0]
            collection["data"] = [
                _document(row, first, number) for number, row in enumerate(tables[name], 1)
            ]
            collection["maxId"] = len(tables[name])
            for index in collection["binaryIndices"].values():
                index["values"] = _in_order(collection["data"], index["name"])
    path.write_text(json.dumps(database))


def _document(row: Mapping[str, Any], first: Mapping[str, Any], number: int) -> dict[str, Any]:
    stamp = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}0Z"
    own = {"Timestamp": stamp, "Timestamp@odata.type": "Edm.DateTime"}
    return {
        **first,
        "PartitionKey": row["PartitionKey"],
        "RowKey": row["RowKey"],
        "properties": {**row, **own},
        "lastModifiedTime": stamp,
        "eTag": f"W/\"datetime'{stamp.replace(':', '%3A')}'\"",
        "$loki": number,
    }


def _in_order(documents: Sequence[Mapping[str, Any]], name: str) -> list[int]:
    return sorted(range(len(documents)), key=lambda at: str(documents[at][name]))


@contextmanager
def keeping_still(directory: Path) -> Iterator[None]:
    """An Azurite that starts meanwhile never writes its file anew, which takes a second each time and
    says nothing about Azure."""
    script = directory / "keeps_still.cjs"
    script.write_text(_KEEPS_STILL)
    modules = Path(__file__).parents[1] / "node_modules"
    before = {name: os.environ.get(name) for name in ("NODE_OPTIONS", "NODE_PATH")}
    os.environ.update(NODE_OPTIONS=f"--require={script}", NODE_PATH=str(modules))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
