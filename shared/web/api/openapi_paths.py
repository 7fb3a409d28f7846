"""The operations of the API: the request of each, and every status that it answers with.

All successful answers of an operation have the same document, so that a generated client has one
type for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from shared.mail import problems
from shared.mail.problems import ProblemKind
from shared.web.api.openapi_parameters import ALIAS, FLAG, ID, KEY, LIST, TEXT, Parameter, parameter
from shared.web.api.openapi_schemas import reference
from shared.web.api.request_body import LONGEST_WAIT
from shared.web.api.routes import ROUTES
from shared.web.routing import Access

Operation = dict[str, Any]
Kinds = tuple[ProblemKind, ...]

TAGS: Mapping[str, str] = {
    "Mails": "Send mails, read their status, and change them.",
    "Accounts": "The mailboxes that Postroom sends from.",
    "Health": "Whether Postroom works, and this document.",
}

_ALWAYS: Kinds = (problems.INTERNAL, problems.UNAVAILABLE, problems.MISCONFIGURED)
_BODY: Kinds = (
    problems.INVALID_JSON,
    problems.INVALID_REQUEST,
    problems.EMPTY_BODY,
    problems.LENGTH_REQUIRED,
    problems.REQUEST_TOO_LARGE,
    problems.UNSUPPORTED_CONTENT_TYPE,
    problems.UNSUPPORTED_ENCODING,
)
_CHOICE: Kinds = (
    problems.NO_ACCOUNT,
    problems.UNKNOWN_ACCOUNT,
    problems.SENDER_NOT_ALLOWED,
    problems.OVERRIDE_NOT_ALLOWED,
    problems.ACCOUNT_NEEDS_SIGN_IN,
    problems.MAIL_TOO_LARGE,
    problems.INVALID_MAIL,
)
_MAIL: Kinds = (*_BODY, *_CHOICE, problems.ATTACHMENT_MISSING)
_CHANGE: Kinds = (
    *_BODY,
    problems.UNKNOWN_MAIL,
    problems.WRONG_STATUS,
    problems.UNREADABLE_MAIL,
)


def paths() -> dict[str, Any]:
    """All paths of the routes, each with its operations by method."""
    known = {operation["operationId"]: operation for operation in operations()}
    found: dict[str, Any] = {}
    for route in ROUTES:
        operation = known[route.operation]
        if route.access is Access.ANONYMOUS:
            operation = _open(operation)
        methods = found.setdefault(f"/{route.path}", {})
        methods |= {method.lower(): operation for method in route.methods}
    return found


def operations() -> tuple[Operation, ...]:
    """The descriptions of the API's routes."""
    return (
        _send(),
        _check_mail(),
        _send_batch(),
        _operation(
            "listMails",
            "Mails, newest first",
            {200: _answer("A page of mails.", "MailList")},
            (problems.INVALID_REQUEST,),
            LIST,
        ),
        _operation(
            "getMail",
            "One mail and its history",
            {200: _answer("The mail.", "MailView")},
            (problems.INVALID_REQUEST, problems.UNKNOWN_MAIL),
            [ID],
        ),
        _change_mail(
            "rescheduleMail", "Give a mail that waits another time", body="RescheduleDocument"
        ),
        _get_raw_text(),
        _change_mail("cancelMail", "Cancel a mail that is not sent yet"),
        _change_mail(
            "retryMail",
            "Try a mail that failed again",
            (
                *_CHOICE,
                problems.CONTENT_GONE,
                problems.RAW_RECIPIENTS,
                problems.MAILBOX_REPLACED,
            ),
            body="RetryDocument",
            body_required=False,
        ),
        _change_mail(
            "resolveMail",
            "Say whether an unknown mail was sent",
            (problems.CONTENT_GONE,),
            body="ResolveDocument",
        ),
        _change_mail(
            "releaseMail",
            "Queue a held mail again",
            (problems.ACCOUNT_CANNOT_SEND, problems.MAILBOX_REPLACED),
        ),
        _account("listAccounts", "Accounts", "AccountList", alias=False),
        _add_account(),
        _with_etag(_account("getAccount", "One account", "AccountView")),
        _change_account(),
        _disconnect(),
        _account(
            "releaseAccount",
            "Queue the held mails of an account again",
            "Released",
            (*_BODY, problems.ACCOUNT_CANNOT_SEND),
        ),
        _account("checkAccount", "Ask Microsoft now whether an account works", "CheckView", _BODY),
        _health("getHealth", "Alive or not", "Health"),
        _health("getHealthDetails", "Each dependency, credential and account", "HealthDetails"),
        _operation(
            "getOpenApi",
            "This document",
            {200: _answer("The document.", "OpenApi")},
            tag="Health",
        ),
    )


def _send() -> Operation:
    accepted = _answer("Accepted: Postroom has stored the mail.", "Accepted")
    accepted["headers"] = {
        "Location": _header("The address of the mail."),
        "Idempotent-Replayed": _header("true: an earlier request had this key; this is its mail."),
        "Preference-Applied": _header(
            "wait=SECONDS: Postroom waited for the outcome before it answered."
        ),
    }
    operation = _operation(
        "sendMail",
        "Accept one mail",
        {202: accepted},
        (*_MAIL, problems.IDEMPOTENCY_CONFLICT),
        [
            parameter(
                "wait",
                "query",
                {"type": "integer", "minimum": 0, "maximum": int(LONGEST_WAIT)},
                "Answer after the outcome, or after so many seconds.",
            ),
            _idempotency_key(
                "The same key with the same document within 24 hours is the same mail."
            ),
        ],
    )
    operation["requestBody"] = _mail_body()
    return operation


def _get_raw_text() -> Operation:
    return _operation(
        "getRawText",
        "The text of a queue message that did not become a mail",
        {
            200: {
                "description": "The message, unchanged.",
                "content": {"text/plain": {"schema": TEXT}},
            }
        },
        (
            problems.INVALID_REQUEST,
            problems.UNKNOWN_MAIL,
            problems.NO_RAW_TEXT,
            problems.RAW_TEXT_GONE,
        ),
        [ID],
    )


def _check_mail() -> Operation:
    operation = _operation(
        "checkMail",
        "Check one mail, and send nothing",
        {200: _answer("The mail would be accepted; nothing was stored.", "Checked")},
        (*_MAIL, problems.IDEMPOTENCY_CONFLICT),
        [_idempotency_key("Its form is checked; the key stays free.")],
    )
    operation["requestBody"] = _mail_body()
    return operation


def _idempotency_key(text: str) -> Parameter:
    return parameter("Idempotency-Key", "header", KEY, text)


def _mail_body() -> dict[str, Any]:
    return {
        "required": True,
        "content": {
            "application/json": {"schema": reference("MailDocument")},
            "message/rfc822": {"schema": {"type": "string", "format": "binary"}},
            "multipart/form-data": {"schema": reference("MailForm")},
        },
    }


def _send_batch() -> Operation:
    operation = _operation(
        "sendBatch",
        "Accept up to 100 mails",
        {202: _answer("Some or all mails were accepted.", "BatchView")},
        (*_BODY, problems.BATCH_REFUSED, problems.BATCH_INCOMPLETE),
        [
            _idempotency_key(
                "Gives each mail without a key one of its own, by its place: the batch can be "
                "repeated."
            )
        ],
    )
    operation["requestBody"] = _json_body("BatchDocument")
    return operation


def _change_mail(
    name: str,
    summary: str,
    kinds: Kinds = (),
    *,
    body: str | None = None,
    body_required: bool = True,
) -> Operation:
    operation = _operation(
        name,
        summary,
        {200: _answer("The mail after the change.", "MailView")},
        (*_CHANGE, *kinds),
        [ID],
    )
    if body is not None:
        operation["requestBody"] = _json_body(body, required=body_required)
    return operation


def _account(
    name: str, summary: str, answer: str, kinds: Kinds = (), *, alias: bool = True
) -> Operation:
    return _operation(
        name,
        summary,
        {200: _answer("Done." if kinds else "Found.", answer)},
        (problems.INVALID_REQUEST, *((problems.UNKNOWN_ALIAS,) if alias else ()), *kinds),
        [ALIAS] if alias else [],
        tag="Accounts",
    )


def _change_account() -> Operation:
    operation = _account(
        "changeAccount",
        "Change the settings of an account",
        "AccountView",
        (*_BODY, problems.ACCOUNT_EDITED),
    )
    operation["parameters"].append(
        parameter(
            "If-Match", "header", TEXT, "The ETag of the account as it was read; * for any version."
        )
    )
    operation["requestBody"] = _json_body("AccountDocument")
    return _with_etag(operation)


def _with_etag(operation: Operation) -> Operation:
    operation["responses"]["200"]["headers"] = {
        "ETag": _header("The version of the account's settings.")
    }
    return operation


def _disconnect() -> Operation:
    operation = _account(
        "disconnectAccount",
        "Disconnect a mailbox",
        "DisconnectedView",
        (problems.ACCOUNT_IN_USE, problems.SECRET_NOT_REMOVED),
    )
    operation["responses"]["202"] = _answer(
        "Begun; more mails are to be cancelled: repeat the call.", "DisconnectedView"
    )
    waiting = parameter(
        "waiting", "query", reference("WaitingMails"), "What happens to mails that wait for it."
    )
    operation["parameters"] += [
        {**waiting, "required": True},
        parameter(
            "with_shared",
            "query",
            FLAG,
            "Also disconnect the shared mailboxes that are reached through it; default false.",
        ),
    ]
    return operation


def _add_account() -> Operation:
    operation = _operation(
        "addAccount",
        "Add a shared or app-only mailbox",
        {
            201: _answer("Added.", "AddedView"),
            200: _answer("It existed, and was renewed.", "AddedView"),
        },
        (*_BODY, problems.ACCOUNT_TAKEN, problems.ACCOUNT_NOT_ADDED),
        tag="Accounts",
    )
    operation["requestBody"] = _json_body("AddAccountDocument")
    return operation


def _health(name: str, summary: str, answer: str) -> Operation:
    operation = _operation(name, summary, {200: _answer("Well.", answer)}, tag="Health")
    unwell = operation["responses"]["503"]
    unwell["description"] = (
        f"Something does not work; the document says what. Or a problem: {unwell['description']}"
    )
    unwell["content"] = {"application/json": {"schema": reference(answer)}, **unwell["content"]}
    return operation


def _open(operation: Operation) -> Operation:
    """An operation that needs no key."""
    return {**operation, "security": []}


def _operation(
    name: str,
    summary: str,
    answers: Mapping[int, dict[str, Any]],
    kinds: Kinds = (),
    parameters: Sequence[Parameter] = (),
    *,
    tag: str = "Mails",
) -> Operation:
    found: Operation = {"operationId": name, "tags": [tag], "summary": summary}
    if parameters:
        found["parameters"] = list(parameters)
    found["responses"] = {
        **{str(status): answer for status, answer in sorted(answers.items())},
        **_problems((*kinds, *_ALWAYS)),
    }
    return found


def _problems(kinds: Iterable[ProblemKind]) -> dict[str, Any]:
    """An answer for each status, with the codes that occur with it."""
    codes: dict[int, list[str]] = {}
    for kind in dict.fromkeys(kinds):
        codes.setdefault(kind.status, []).append(kind.code)
    return {str(status): _problem(codes[status]) for status in sorted(codes)}


def _problem(codes: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "description": f"{', '.join(codes)}.",
        "content": {"application/problem+json": {"schema": reference("Problem")}},
    }
    if problems.UNAVAILABLE.code in codes:
        found["headers"] = {"Retry-After": _header("Seconds to wait before the next try.")}
    return found


def _json_body(name: str, *, required: bool = True) -> dict[str, Any]:
    return {
        "required": required,
        "content": {"application/json": {"schema": reference(name)}},
    }


def _header(text: str) -> dict[str, Any]:
    return {"schema": TEXT, "description": text}


def _answer(text: str, schema: str) -> dict[str, Any]:
    return {
        "description": text,
        "content": {"application/json": {"schema": reference(schema)}},
    }
