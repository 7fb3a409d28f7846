"""The API's description, held to what the functions really do."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import azure.functions as func
import pytest
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

import function_app
from shared.errors import AnswerLost
from shared.mail.outcome import GraphAnswer
from shared.mail.problems import CATALOGUE
from shared.web.openapi import document
from tests.fakes import Room, document_of
from tests.functional.calling import (
    change,
    change_account,
    check_account,
    disconnect_account,
    functions,
    list_mails,
    read,
    release_account,
    request,
    reschedule,
    send,
    send_batch,
    show_account,
    show_mail,
    show_raw_text,
)

DESCRIBED: dict[str, Any] = document()


def served() -> dict[tuple[str, str], Any]:
    """Method and path of each HTTP function, and the function."""
    found = {}
    for function in functions():
        trigger = function.get_trigger()
        if isinstance(trigger, func.decorators.http.HttpTrigger):
            for method in trigger.methods or ():
                found[method.value.lower(), f"/{trigger.route}"] = trigger
    return found


def test_it_is_valid_openapi() -> None:
    OpenAPIV31SpecValidator(DESCRIBED).validate()

    assert DESCRIBED["openapi"].startswith("3.1")


def test_every_call_of_the_api_is_described_and_no_other() -> None:
    api = {
        (method, path)
        for method, path in served()
        if path.startswith("/api/") and not path.startswith("/api/auth/")
    }
    described = {(method, path) for path, item in DESCRIBED["paths"].items() for method in item}

    assert described == api


def test_a_call_is_described_as_open_exactly_where_it_needs_no_key() -> None:
    for (method, path), trigger in served().items():
        if path not in DESCRIBED["paths"]:
            continue
        is_open = DESCRIBED["paths"][path][method].get("security") == []
        assert is_open is (trigger.auth_level is func.AuthLevel.ANONYMOUS), path


def test_every_problem_code_is_listed_for_every_call() -> None:
    for item in DESCRIBED["paths"].values():
        for operation in item.values():
            told = operation["responses"]["default"]["description"]
            assert all(kind.code in told for kind in CATALOGUE)


def test_every_reference_leads_somewhere() -> None:
    text = json.dumps(DESCRIBED)
    names = {part.partition('"')[0] for part in text.split("#/components/schemas/")[1:]}

    assert names <= DESCRIBED["components"]["schemas"].keys()


def schema_of(method: str, path: str, answer: func.HttpResponse) -> dict[str, Any]:
    responses = DESCRIBED["paths"][path][method]["responses"]
    response = responses.get(str(answer.status_code), responses["default"])
    found: dict[str, Any] = response["content"][answer.mimetype]["schema"]
    return found


def check(schema: dict[str, Any], value: object) -> list[str]:
    whole = {**schema, "components": DESCRIBED["components"]}
    return [error.message for error in OAS31Validator(whole).iter_errors(value)]


def sent_mail(room: Room) -> str:
    mail_id = room.accepted(tags=["a"], metadata={"b": "c"})
    room.hear(mail_id)
    return mail_id


def failed_mail(room: Room) -> str:
    room.graph.answers = [GraphAnswer(403, "ErrorSendAsDenied")]
    return sent_mail(room)


def lost_mail(room: Room) -> str:
    room.graph.answers = [AnswerLost("graph", "no answer")]
    return sent_mail(room)


def refused_message(room: Room) -> str:
    room.outbox.hear(room.message(b"hello"))
    return room.ledger.mails[-1].mail_id


LATER: dict[str, object] = {"scheduled_at": "2026-09-01T08:00:00Z"}
OTHER: dict[str, object] = {"to": "grace@example.com"}
SENT: dict[str, object] = {"decision": "sent"}
CAP: dict[str, object] = {"defaults": {"daily_cap": 100}}

CALLS: list[tuple[str, str, Callable[[Room], func.HttpResponse], int]] = [
    ("post", "/api/send", lambda room: send(), 202),
    ("post", "/api/send", lambda room: send(document_of(dry_run=True)), 200),
    ("post", "/api/send", lambda room: send(document_of(to="x")), 422),
    ("post", "/api/send", lambda room: send(b""), 400),
    ("get", "/api/mails/{id}", lambda room: show_mail(sent_mail(room)), 200),
    ("get", "/api/mails/{id}", lambda room: show_mail(failed_mail(room)), 200),
    ("get", "/api/mails/{id}", lambda room: show_mail("7"), 404),
    ("get", "/api/mails/{id}", lambda room: show_mail(refused_message(room)), 200),
    ("get", "/api/mails/{id}/raw", lambda room: show_raw_text(sent_mail(room)), 404),
    ("get", "/api/mails", lambda room: list_mails(limit="1"), 200),
    ("get", "/api/mails", lambda room: list_mails(limit="x"), 400),
    ("patch", "/api/mails/{id}", lambda room: reschedule(room.accepted(), LATER), 200),
    ("patch", "/api/mails/{id}", lambda room: reschedule(sent_mail(room), LATER), 409),
    ("post", "/api/mails/{id}/cancel", lambda room: change("cancel", room.accepted()), 200),
    ("post", "/api/mails/{id}/cancel", lambda room: change("cancel", sent_mail(room)), 409),
    ("post", "/api/mails/{id}/retry", lambda room: change("retry", failed_mail(room), OTHER), 200),
    ("post", "/api/mails/{id}/resolve", lambda room: change("resolve", lost_mail(room), SENT), 200),
    ("post", "/api/mails/{id}/release", lambda room: change("release", room.accepted()), 409),
    ("post", "/api/accounts/{alias}/release", lambda room: release_account("billing"), 200),
    ("get", "/api/accounts/{alias}", lambda room: show_account("billing"), 200),
    ("get", "/api/accounts/{alias}", lambda room: show_account("hr"), 404),
    ("patch", "/api/accounts/{alias}", lambda room: change_account("billing", CAP), 200),
    ("patch", "/api/accounts/{alias}", lambda room: change_account("billing", {"x": 1}), 400),
    ("post", "/api/accounts/{alias}/check", lambda room: check_account("billing"), 200),
    ("post", "/api/accounts/{alias}/check", lambda room: check_account("hr"), 404),
    (
        "delete",
        "/api/accounts/{alias}",
        lambda room: disconnect_account("billing", waiting="hold"),
        200,
    ),
    ("delete", "/api/accounts/{alias}", lambda room: disconnect_account("billing"), 400),
    ("post", "/api/send/batch", lambda room: send_batch(document_of(), document_of(to=7)), 202),
    ("post", "/api/send/batch", lambda room: send_batch(document_of(to=7)), 422),
    ("get", "/api/accounts", lambda room: function_app.list_accounts(request()), 200),
    ("get", "/api/health", lambda room: function_app.show_health(request()), 200),
    ("get", "/api/health/details", lambda room: function_app.show_health_details(request()), 200),
    ("get", "/api/openapi.json", lambda room: function_app.show_openapi(request()), 200),
]


@pytest.mark.parametrize(
    ("method", "path", "call", "status"),
    CALLS,
    ids=[f"{method} {path} {status}" for method, path, _, status in CALLS],
)
def test_a_real_answer_is_what_the_description_says(
    room: Room,
    method: str,
    path: str,
    call: Callable[[Room], func.HttpResponse],
    status: int,
) -> None:
    room.accepted()
    room.accepted()

    answer = call(room)

    assert answer.status_code == status
    assert check(schema_of(method, path, answer), read(answer)) == []


def test_a_raw_text_is_the_text_that_the_description_says(room: Room) -> None:
    answer = show_raw_text(refused_message(room))

    text = answer.get_body().decode()
    assert text == "hello"
    assert check(schema_of("get", "/api/mails/{id}/raw", answer), text) == []


def test_the_schema_of_an_answer_is_no_empty_promise() -> None:
    schema = {"$ref": "#/components/schemas/MailView"}

    assert check(schema, {"id": 7}) != []


@pytest.mark.parametrize(
    ("fields", "valid"),
    [
        ({}, True),
        ({"to": [{"email": "a@example.com"}]}, True),
        ({"to": 7}, False),
        ({"nonsense": 1}, False),
        ({"importance": "urgent"}, False),
        ({"tags": ["x" * 65]}, False),
    ],
)
def test_the_mail_schema_admits_what_the_app_reads(fields: dict[str, object], valid: bool) -> None:
    schema = DESCRIBED["paths"]["/api/send"]["post"]["requestBody"]["content"]["application/json"]

    assert (check(schema["schema"], document_of(**fields)) == []) is valid


def test_the_description_is_the_one_that_is_served() -> None:
    answer = function_app.show_openapi(request(path="/api/openapi.json"))

    assert read(answer) == DESCRIBED
    assert answer.headers["Cache-Control"] == "max-age=300"
