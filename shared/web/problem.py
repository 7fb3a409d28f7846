"""Turns errors into RFC 9457 problem documents. No other module does this."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from math import ceil
from uuid import uuid4

import azure.functions as func

from shared.errors import (
    ConfigurationError,
    FieldProblem,
    PostroomError,
    RemoteError,
    RequestRejected,
)
from shared.mail import problems
from shared.mail.problems import ProblemKind
from shared.telemetry import event, where

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 10.0
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

Handler = Callable[[], func.HttpResponse]


def answered(req: func.HttpRequest, handler: Handler) -> func.HttpResponse:
    """Run a handler, turn every exception into a problem document, and add X-Request-Id.

    Raises nothing: for an exception, the host would answer 500 with an empty body.
    """
    request_id = _request_id(req)
    try:
        answer = handler()
    except RequestRejected as refused:
        answer = respond(refused, request_id)
    except ConfigurationError as error:
        answer = respond(_misconfigured(error), request_id)
    except PostroomError as error:
        event(
            "request_failed",
            level=logging.ERROR,
            kind=type(error).__name__,
            system=_system(error),
            request_id=request_id,
        )
        answer = respond(_unavailable(error), request_id)
    except Exception as error:  # noqa: BLE001 - the outermost wrapper: logged below, told as 500
        event(
            "internal_error",
            level=logging.ERROR,
            kind=type(error).__name__,
            request_id=request_id,
            where=where(error),
        )
        answer = respond(RequestRejected(problems.INTERNAL, "Postroom itself failed."), request_id)
    answer.headers["X-Request-Id"] = request_id
    answer.headers["X-Content-Type-Options"] = "nosniff"
    return answer


def document_of(refused: RequestRejected) -> dict[str, object]:
    """A rejected request as a problem document."""
    kind = refused.kind
    document: dict[str, object] = {
        "type": f"urn:postroom:problem:{kind.code}",
        "title": kind.title,
        "status": kind.status,
        "code": kind.code,
        "detail": refused.detail,
        "help": refused.help,
    }
    if refused.errors:
        document["errors"] = [
            {"field": problem.field, "message": problem.message} for problem in refused.errors
        ]
    return document | refused.members


def respond(refused: RequestRejected, request_id: str | None = None) -> func.HttpResponse:
    """A rejected request as an HTTP answer."""
    kind, document = refused.kind, document_of(refused)
    if request_id is not None:
        document["request_id"] = request_id
    headers = {"Cache-Control": "no-store"}
    if kind.status in (429, 503):
        headers["Retry-After"] = str(ceil(refused.retry_after or RETRY_SECONDS))
    return func.HttpResponse(
        _encoded(document),
        status_code=kind.status,
        headers=headers,
        mimetype=MEDIA_TYPE,
    )


def _encoded(document: dict[str, object]) -> str:
    """The document as JSON without angle brackets: PowerShell removes text between angle brackets
    from an error, even from a name that the caller wrote."""
    text = json.dumps(document, ensure_ascii=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e")


def bad_request(
    field: str, message: str, kind: ProblemKind = problems.INVALID_REQUEST
) -> RequestRejected:
    """The error for one wrong parameter or header."""
    return RequestRejected(kind, f"{field} {message}.", [FieldProblem(field, message)])


def _request_id(req: func.HttpRequest) -> str:
    given = req.headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else str(uuid4())


def _misconfigured(error: ConfigurationError) -> RequestRejected:
    named = [fault.partition(" ") for fault in error.faults]
    return RequestRejected(
        problems.MISCONFIGURED,
        "A setting is missing or wrong.",
        [FieldProblem(name, what) for name, _, what in named],
        retry_after=60.0,
    )


def _unavailable(error: PostroomError) -> RequestRejected:
    system = _system(error)
    wait = error.retry_after if isinstance(error, RemoteError) else None
    return RequestRejected(
        problems.UNAVAILABLE,
        f"A service that Postroom needs failed: {system}.",
        retry_after=wait,
    )


def _system(error: PostroomError) -> str:
    return error.system if isinstance(error, RemoteError) else "storage"
