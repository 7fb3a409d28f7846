"""The API's description, held to what the functions really do."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import azure.functions as func
import pytest
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

import function_app
from shared.errors import AnswerLost
from shared.mail.outcome import GraphAnswer
from shared.mail.problems import CATALOGUE
from shared.web.api.openapi import document
from tests.fakes import FakeServices, document_of
from tests.functional.calling import (
    change,
    change_account,
    check_account,
    check_mail,
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


OPERATIONS: dict[str, dict[str, Any]] = {
    operation["operationId"]: operation
    for item in DESCRIBED["paths"].values()
    for operation in item.values()
}
SCHEMAS: dict[str, dict[str, Any]] = DESCRIBED["components"]["schemas"]


def parts(schema: object) -> Iterator[dict[str, Any]]:
    """A schema or document, and all that it is made of."""
    if isinstance(schema, dict):
        yield schema
        for value in schema.values():
            yield from parts(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from parts(value)


def test_an_accepted_mail_is_the_only_success_of_a_send() -> None:
    """Clients made by NSwag throw where a second one is declared, and those by Kiota lose the id."""
    successes = {
        name: [status for status in operation["responses"] if status.startswith("2")]
        for name, operation in OPERATIONS.items()
    }

    assert successes["sendMail"] == ["202"]
    assert successes["checkMail"] == ["200"]
    assert all(successes.values())


def test_all_successes_of_a_call_have_one_document() -> None:
    for operation in OPERATIONS.values():
        documents = {
            json.dumps(answer["content"])
            for status, answer in operation["responses"].items()
            if status.startswith("2")
        }
        assert len(documents) == 1, operation["operationId"]


def test_the_name_of_each_call_is_a_verb_and_what_it_is_done_to() -> None:
    """They become names of functions in every language; each is there once by the dictionary."""
    verbs = "send|check|get|list|reschedule|cancel|retry|resolve|release|add|change|disconnect"

    assert len(OPERATIONS) == sum(map(len, DESCRIBED["paths"].values()))
    for name in OPERATIONS:
        assert re.fullmatch(f"({verbs})([A-Z][a-z]+)+", name), name


def test_each_call_belongs_to_one_group_that_is_described() -> None:
    groups = {tag["name"] for tag in DESCRIBED["tags"]}

    assert all(len(one["tags"]) == 1 and set(one["tags"]) <= groups for one in OPERATIONS.values())


def test_each_error_of_a_call_is_a_problem_and_names_the_codes_that_it_has() -> None:
    statuses = {kind.code: str(kind.status) for kind in CATALOGUE}
    for name, operation in OPERATIONS.items():
        errors = {
            status: answer
            for status, answer in operation["responses"].items()
            if not status.startswith("2")
        }
        assert {"500", "503"} <= errors.keys()
        for status, answer in errors.items():
            problem = answer["content"]["application/problem+json"]["schema"]
            assert problem == {"$ref": "#/components/schemas/Problem"}
            codes = codes_of(answer)
            assert codes, name
            assert {statuses[code] for code in codes} == {status}


def codes_of(answer: dict[str, Any]) -> list[str]:
    """The codes that an answer is declared with."""
    known = {kind.code for kind in CATALOGUE}
    return [word for word in re.findall(r"[a-z_]+", answer["description"]) if word in known]


def test_what_the_host_answers_is_no_answer_of_a_call() -> None:
    """It has no body. With it `openapi-fetch` could not tell `data` from `error`."""
    assert all("401" not in operation["responses"] for operation in OPERATIONS.values())
    assert "401" in DESCRIBED["info"]["description"]


def test_each_document_has_a_name() -> None:
    """Generators name what has none after the place where it stands, and badly."""
    for operation in OPERATIONS.values():
        bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
        for body in bodies:
            for kind, content in body.get("content", {}).items():
                named = set(content["schema"]) == {"$ref"}
                is_text = kind in ("message/rfc822", "text/plain")
                assert named or is_text, operation["operationId"]
    for name, schema in SCHEMAS.items():
        for part in parts(schema.get("properties", {})):
            assert "properties" not in part or part is schema.get("properties"), name
            assert "enum" not in part, f"a choice within {name}"


def test_null_is_one_of_several_types_and_no_schema_of_its_own() -> None:
    """But beside a name, which cannot have a type."""
    for part in parts(DESCRIBED):
        assert "anyOf" not in part
        for choice in part.get("oneOf", ()):
            assert set(part["oneOf"][0]) == {"$ref"}
            assert choice in (part["oneOf"][0], {"type": "null"})
            assert len(part["oneOf"]) == 2


def test_no_property_has_a_default() -> None:
    """`openapi-typescript` takes one that has for one that must be given."""
    assert not [
        part
        for schema in SCHEMAS.values()
        for part in parts(schema)
        if "default" in part and not isinstance(part["default"], dict)
    ]


def test_an_answer_leaves_out_what_has_no_value() -> None:
    """So that a client needs one test and not two."""
    for name in ("Accepted", "Checked", "MailView", "AccountView", "Problem", "BatchItem"):
        assert '"null"' not in json.dumps(SCHEMAS[name]), name


def test_each_time_is_one_to_a_generator() -> None:
    for schema in SCHEMAS.values():
        for field, one in schema.get("properties", {}).items():
            is_time = field == "at" or field.endswith(("_at", "_until"))
            assert (one.get("format") == "date-time") is is_time, field


def test_what_is_given_up_is_marked() -> None:
    marked = [
        (name, field)
        for name, schema in SCHEMAS.items()
        for field, one in schema.get("properties", {}).items()
        if one.get("deprecated")
    ]

    assert marked == [("MailDocument", "dry_run")]


def test_every_reference_leads_somewhere() -> None:
    text = json.dumps(DESCRIBED)
    names = {part.partition('"')[0] for part in text.split("#/components/schemas/")[1:]}

    assert names <= DESCRIBED["components"]["schemas"].keys()


def schema_of(method: str, path: str, answer: func.HttpResponse) -> dict[str, Any]:
    response = DESCRIBED["paths"][path][method]["responses"][str(answer.status_code)]
    found: dict[str, Any] = response["content"][answer.mimetype]["schema"]
    return found


def check(schema: dict[str, Any], value: object) -> list[str]:
    whole = {**schema, "components": DESCRIBED["components"]}
    return [error.message for error in OAS31Validator(whole).iter_errors(value)]


def sent_mail(services: FakeServices) -> str:
    mail_id = services.accepted(tags=["a"], metadata={"b": "c"})
    services.handle(mail_id)
    return mail_id


def failed_mail(services: FakeServices) -> str:
    services.graph.answers = [GraphAnswer(403, "ErrorSendAsDenied")]
    return sent_mail(services)


def lost_mail(services: FakeServices) -> str:
    services.graph.answers = [AnswerLost("graph", "no answer")]
    return sent_mail(services)


def refused_message(services: FakeServices) -> str:
    services.outbox.handle(services.message(b"hello"))
    return services.ledger.mails[-1].mail_id


LATER: dict[str, object] = {"scheduled_at": "2026-09-01T08:00:00Z"}
OTHER: dict[str, object] = {"to": "grace@example.com"}
SENT: dict[str, object] = {"decision": "sent"}
CAP: dict[str, object] = {"defaults": {"daily_cap": 100}}

CALLS: list[tuple[str, str, Callable[[FakeServices], func.HttpResponse], int]] = [
    ("post", "/api/send", lambda services: send(), 202),
    ("post", "/api/send/check", lambda services: check_mail(), 200),
    ("post", "/api/send/check", lambda services: check_mail(document_of(to="x")), 422),
    ("post", "/api/send", lambda services: send(document_of(to="x")), 422),
    ("post", "/api/send", lambda services: send(b""), 400),
    ("get", "/api/mails/{id}", lambda services: show_mail(sent_mail(services)), 200),
    ("get", "/api/mails/{id}", lambda services: show_mail(failed_mail(services)), 200),
    ("get", "/api/mails/{id}", lambda services: show_mail("7"), 404),
    ("get", "/api/mails/{id}", lambda services: show_mail(refused_message(services)), 200),
    ("get", "/api/mails/{id}/raw", lambda services: show_raw_text(sent_mail(services)), 404),
    ("get", "/api/mails", lambda services: list_mails(limit="1"), 200),
    ("get", "/api/mails", lambda services: list_mails(limit="x"), 400),
    ("patch", "/api/mails/{id}", lambda services: reschedule(services.accepted(), LATER), 200),
    ("patch", "/api/mails/{id}", lambda services: reschedule(sent_mail(services), LATER), 409),
    ("post", "/api/mails/{id}/cancel", lambda services: change("cancel", services.accepted()), 200),
    ("post", "/api/mails/{id}/cancel", lambda services: change("cancel", sent_mail(services)), 409),
    (
        "post",
        "/api/mails/{id}/retry",
        lambda services: change("retry", failed_mail(services), OTHER),
        200,
    ),
    (
        "post",
        "/api/mails/{id}/resolve",
        lambda services: change("resolve", lost_mail(services), SENT),
        200,
    ),
    (
        "post",
        "/api/mails/{id}/release",
        lambda services: change("release", services.accepted()),
        409,
    ),
    ("post", "/api/accounts/{alias}/release", lambda services: release_account("billing"), 200),
    ("get", "/api/accounts/{alias}", lambda services: show_account("billing"), 200),
    ("get", "/api/accounts/{alias}", lambda services: show_account("hr"), 404),
    ("patch", "/api/accounts/{alias}", lambda services: change_account("billing", CAP), 200),
    ("patch", "/api/accounts/{alias}", lambda services: change_account("billing", {"x": 1}), 400),
    ("post", "/api/accounts/{alias}/check", lambda services: check_account("billing"), 200),
    ("post", "/api/accounts/{alias}/check", lambda services: check_account("hr"), 404),
    (
        "delete",
        "/api/accounts/{alias}",
        lambda services: disconnect_account("billing", waiting="hold"),
        200,
    ),
    ("delete", "/api/accounts/{alias}", lambda services: disconnect_account("billing"), 400),
    ("post", "/api/send/batch", lambda services: send_batch(document_of(), document_of(to=7)), 202),
    ("post", "/api/send/batch", lambda services: send_batch(document_of(to=7)), 422),
    ("get", "/api/accounts", lambda services: function_app.list_accounts(request()), 200),
    ("get", "/api/health", lambda services: function_app.show_health(request()), 200),
    (
        "get",
        "/api/health/details",
        lambda services: function_app.show_health_details(request()),
        200,
    ),
    ("get", "/api/openapi.json", lambda services: function_app.show_openapi(request()), 200),
]


@pytest.mark.parametrize(
    ("method", "path", "call", "status"),
    CALLS,
    ids=[f"{method} {path} {status}" for method, path, _, status in CALLS],
)
def test_a_real_answer_is_what_the_description_says(
    services: FakeServices,
    method: str,
    path: str,
    call: Callable[[FakeServices], func.HttpResponse],
    status: int,
) -> None:
    services.accepted()
    services.accepted()

    answer = call(services)

    assert answer.status_code == status
    assert check(schema_of(method, path, answer), read(answer)) == []


def test_a_raw_text_is_the_text_that_the_description_says(services: FakeServices) -> None:
    answer = show_raw_text(refused_message(services))

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
        ({"to": ["a@example.com"], "cc": None, "bcc": "b@example.com, c@example.com"}, True),
        ({"from": None, "html": None, "account": None, "scheduled_at": None}, True),
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
