"""The OpenAPI document, made from the types that validate requests and shape answers."""

from __future__ import annotations

import functools
import json
from typing import Any

import azure.functions as func
import msgspec

from shared.mail.problems import CATALOGUE
from shared.mail.status import Status
from shared.services.account_document import AccountDocument
from shared.services.add_document import AddAccountDocument
from shared.services.batch import BatchDocument
from shared.services.change_document import (
    NothingDocument,
    RescheduleDocument,
    ResolveDocument,
    RetryDocument,
)
from shared.services.document import MAX_KEY, MailDocument
from shared.web import documents
from shared.web.intake import LONGEST_WAIT

_REF = "#/components/schemas/{name}"


def show() -> func.HttpResponse:
    """`GET /api/openapi.json`."""
    return func.HttpResponse(
        _encoded(), mimetype="application/json", headers={"Cache-Control": "max-age=300"}
    )


@functools.cache
def _encoded() -> bytes:
    return json.dumps(document(), indent=1).encode()


def document() -> dict[str, Any]:
    """OpenAPI 3.1 of the API."""
    _, schemas = msgspec.json.schema_components(
        [
            MailDocument,
            documents.Accepted,
            documents.Checked,
            documents.MailView,
            documents.MailList,
            documents.BatchView,
            documents.Released,
            BatchDocument,
            RescheduleDocument,
            RetryDocument,
            ResolveDocument,
            NothingDocument,
            AccountDocument,
            documents.AccountList,
            documents.AddedView,
            AddAccountDocument,
            documents.CheckView,
            documents.DisconnectedView,
            documents.Health,
            documents.HealthDetails,
            documents.ProblemDocument,
        ],
        ref_template=_REF,
    )
    # The type holds two fields that may be left out; that one of them must be given, it cannot say.
    schemas["AttachmentDocument"]["oneOf"] = [{"required": ["content"]}, {"required": ["blob"]}]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Postroom",
            "version": "1",
            "description": "The outgoing mail room of an organisation on Microsoft 365.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "security": [{"function_key": []}],
        "paths": _paths(),
        "components": {
            "schemas": {**schemas, "OpenApi": {"type": "object", "required": ["openapi"]}},
            "securitySchemes": {
                "function_key": {"type": "apiKey", "in": "header", "name": "x-functions-key"}
            },
        },
    }


def _paths() -> dict[str, Any]:
    return {
        "/api/send": {"post": _send()},
        "/api/send/batch": {"post": _send_batch()},
        "/api/mails": {"get": _operation("listMails", "Mails, newest first", "MailList", _LIST)},
        "/api/mails/{id}": {
            "get": _operation(
                "showMail",
                "One mail and its story",
                "MailView",
                [_ID],
            ),
            "patch": _change(
                "rescheduleMail", "Give a mail that waits another time", "RescheduleDocument"
            ),
        },
        "/api/mails/{id}/raw": {"get": _show_raw_text()},
        "/api/mails/{id}/cancel": {
            "post": _change("cancelMail", "Withdraw a mail in time", "NothingDocument")
        },
        "/api/mails/{id}/retry": {
            "post": _change("retryMail", "Try a mail that failed again", "RetryDocument")
        },
        "/api/mails/{id}/resolve": {
            "post": _change("resolveMail", "Settle an unknown outcome", "ResolveDocument")
        },
        "/api/mails/{id}/release": {
            "post": _change("releaseMail", "Let a held mail go", "NothingDocument")
        },
        "/api/accounts/{alias}/release": {
            "post": _change(
                "releaseAccount",
                "Let go what waits for an account",
                "NothingDocument",
                "Released",
                _ALIAS,
            )
        },
        "/api/accounts/{alias}/check": {
            "post": _change(
                "checkAccount",
                "Ask Microsoft now whether an account works",
                "NothingDocument",
                "CheckView",
                _ALIAS,
            )
        },
        "/api/accounts/{alias}": {
            "get": _with_etag(_operation("showAccount", "One account", "AccountView", [_ALIAS])),
            "patch": _change_account(),
            "delete": _disconnect(),
        },
        "/api/accounts": {
            "get": _operation("listAccounts", "Accounts", "AccountList"),
            "post": _add_account(),
        },
        "/api/health": {"get": {**_health("health", "Alive or not", "Health"), "security": []}},
        "/api/health/details": {
            "get": _health(
                "healthDetails", "Each dependency, credential and account", "HealthDetails"
            )
        },
        "/api/openapi.json": {
            "get": {**_operation("openapi", "This document", "OpenApi"), "security": []}
        },
    }


def _parameter(name: str, place: str, schema: dict[str, Any], text: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": place,
        "required": place == "path",
        "schema": schema,
        "description": text,
    }


_TEXT: dict[str, Any] = {"type": "string"}
_TIME: dict[str, Any] = {"type": "string", "format": "date-time"}
_ID = _parameter("id", "path", {"type": "string", "format": "uuid"}, "The mail's id.")
_ALIAS = _parameter("alias", "path", _TEXT, "The account's alias.")
_ALIAS = _parameter("alias", "path", _TEXT, "The account's alias.")
_KEY: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": MAX_KEY}
_STATUS = "|".join(status.value for status in Status)
_LIST = [
    _parameter(
        "status",
        "query",
        {"type": "string", "pattern": f"^({_STATUS})(,({_STATUS}))*$"},
        "Only this status, or these, with commas.",
    ),
    _parameter(
        "attention",
        "query",
        {"enum": ["true"]},
        "Only what may want a person: held, unknown, failed.",
    ),
    _parameter("account", "query", _TEXT, "Only this account's alias."),
    _parameter("tag", "query", _TEXT, "Only mails with this tag."),
    _parameter("since", "query", _TIME, "Accepted at this time or later."),
    _parameter("until", "query", _TIME, "Accepted before this time."),
    _parameter("idempotency_key", "query", _KEY, "The mail with this key. Goes alone."),
    _parameter(
        "limit", "query", {"type": "integer", "minimum": 1, "maximum": 100}, "Mails a page; 50."
    ),
    _parameter("cursor", "query", _TEXT, "Where the last page ended: its next_cursor."),
]


def _send() -> dict[str, Any]:
    mail = {"$ref": _REF.format(name="MailDocument")}
    operation = _operation(
        "send",
        "Accept one mail",
        None,
        [
            _parameter(
                "wait",
                "query",
                {"type": "integer", "minimum": 0, "maximum": int(LONGEST_WAIT)},
                "Hold the answer until the outcome, for at most so many seconds.",
            ),
            _parameter(
                "Idempotency-Key",
                "header",
                _KEY,
                "The same key with the same document within 24 hours is the same mail.",
            ),
        ],
    )
    operation["requestBody"] = {
        "required": True,
        "content": {
            "application/json": {"schema": mail},
            "message/rfc822": {"schema": _TEXT},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {"mail": mail},
                    "required": ["mail"],
                    "additionalProperties": {"type": "string", "format": "binary"},
                }
            },
        },
    }
    operation["responses"] |= {
        "202": _answer("Accepted: durable with Postroom.", "Accepted"),
        "200": _answer("A dry run: the mail would be accepted.", "Checked"),
    }
    return operation


def _show_raw_text() -> dict[str, Any]:
    operation = _operation(
        "showRawText", "The text of a queue message that did not become a mail", None, [_ID]
    )
    operation["responses"]["200"] = {
        "description": "The message as it came.",
        "content": {"text/plain": {"schema": _TEXT}},
    }
    return operation


def _change_account() -> dict[str, Any]:
    operation = _change(
        "changeAccount",
        "Change what is set for an account",
        "AccountDocument",
        "AccountView",
        _ALIAS,
    )
    operation["parameters"].append(
        _parameter("If-Match", "header", _TEXT, "The ETag of the account that was read; * for any.")
    )
    return _with_etag(operation)


def _with_etag(operation: dict[str, Any]) -> dict[str, Any]:
    operation["responses"]["200"]["headers"] = {
        "ETag": {"schema": _TEXT, "description": "Stands for what can be changed of the account."}
    }
    return operation


def _send_batch() -> dict[str, Any]:
    operation = _change(
        "sendBatch",
        "Accept up to 100 mails",
        "BatchDocument",
        None,
        _parameter(
            "Idempotency-Key",
            "header",
            _KEY,
            "Gives each mail without a key one of its own, by its place: the batch can be repeated.",
        ),
    )
    operation["responses"]["202"] = _answer("Some were accepted, or all.", "BatchView")
    return operation


def _disconnect() -> dict[str, Any]:
    operation = _operation(
        "disconnectAccount",
        "Take a mailbox out of Postroom",
        "DisconnectedView",
        [
            _ALIAS,
            {
                **_parameter(
                    "waiting",
                    "query",
                    {"enum": ["hold", "cancel"]},
                    "What becomes of mails that wait for it.",
                ),
                "required": True,
            },
            _parameter(
                "with_shared",
                "query",
                {"enum": ["true", "false"]},
                "Disconnect the shared mailboxes too that are reached through it; false.",
            ),
        ],
    )
    operation["responses"]["202"] = _answer(
        "Begun; mails are left to be cancelled: repeat the call.", "DisconnectedView"
    )
    return operation


def _change(
    name: str,
    summary: str,
    body: str,
    answer: str | None = "MailView",
    parameter: dict[str, Any] = _ID,
) -> dict[str, Any]:
    operation = _operation(name, summary, answer, [parameter])
    operation["requestBody"] = {
        "required": body not in ("NothingDocument", "RetryDocument"),
        "content": {"application/json": {"schema": {"$ref": _REF.format(name=body)}}},
    }
    return operation


def _add_account() -> dict[str, Any]:
    operation = _operation("addAccount", "Add a mailbox that nobody signs in", None)
    operation["requestBody"] = {
        "required": True,
        "content": {
            "application/json": {"schema": {"$ref": _REF.format(name="AddAccountDocument")}}
        },
    }
    operation["responses"] |= {
        "201": _answer("Added.", "AddedView"),
        "200": _answer("It was there, and was renewed.", "AddedView"),
    }
    return operation


def _health(name: str, summary: str, answer: str) -> dict[str, Any]:
    operation = _operation(name, summary, answer)
    operation["responses"]["503"] = _answer("Not well; the document says what.", answer)
    return operation


def _operation(
    name: str,
    summary: str,
    answer: str | None,
    parameters: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    codes = ", ".join(kind.code for kind in CATALOGUE)
    found: dict[str, Any] = {
        "operationId": name,
        "summary": summary,
        "responses": {
            "default": {
                "description": f"A problem. Its code is one of: {codes}.",
                "content": {
                    "application/problem+json": {
                        "schema": {"$ref": _REF.format(name="ProblemDocument")}
                    }
                },
            }
        },
    }
    if answer is not None:
        found["responses"]["200"] = _answer("Found.", answer)
    if parameters:
        found["parameters"] = parameters
    return found


def _answer(text: str, schema: str) -> dict[str, Any]:
    return {
        "description": text,
        "content": {"application/json": {"schema": {"$ref": _REF.format(name=schema)}}},
    }
