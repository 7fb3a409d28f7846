"""The parameters of the API's operations, as they are in the OpenAPI document."""

from __future__ import annotations

from typing import Any

from shared.mail.status import Status
from shared.services.intake.mail_document import MAX_KEY
from shared.web.api.openapi_schemas import Schema

Parameter = dict[str, Any]


def parameter(name: str, place: str, schema: Schema, text: str) -> Parameter:
    return {
        "name": name,
        "in": place,
        "required": place == "path",
        "schema": schema,
        "description": text,
    }


TEXT: Schema = {"type": "string"}
FLAG: Schema = {"type": "boolean"}
TIME: Schema = {"type": "string", "format": "date-time"}
ID = parameter("id", "path", TEXT, "The mail's id.")
ALIAS = parameter("alias", "path", TEXT, "The account's alias.")
KEY: Schema = {"type": "string", "minLength": 1, "maxLength": MAX_KEY}
STATUS = "|".join(status.value for status in Status)
LIST = [
    parameter(
        "status",
        "query",
        {"type": "string", "pattern": f"^({STATUS})(,({STATUS}))*$"},
        "Only this status, or several, separated by commas.",
    ),
    parameter(
        "attention",
        "query",
        FLAG,
        "True: only mails that may need a person: held, unknown, failed.",
    ),
    parameter("account", "query", TEXT, "Only this account's alias."),
    parameter("tag", "query", TEXT, "Only mails with this tag."),
    parameter("since", "query", TIME, "Accepted at this time or later."),
    parameter("until", "query", TIME, "Accepted before this time."),
    parameter(
        "idempotency_key", "query", KEY, "The mail with this key. Not with other parameters."
    ),
    parameter(
        "limit",
        "query",
        {"type": "integer", "minimum": 1, "maximum": 100},
        "Mails on a page; default 50.",
    ),
    parameter("cursor", "query", TEXT, "Where the last page ended: its next_cursor."),
]
