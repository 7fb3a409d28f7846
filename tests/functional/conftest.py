"""A fake room behind the app's own functions, whose answers are held to their description."""

from __future__ import annotations

import json
import re
from typing import Any

import azure.functions as func
import pytest

from shared.web import problem, routing
from shared.web.api.openapi import document
from tests.fakes import FakeServices


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> FakeServices:
    found = FakeServices()
    use(found, monkeypatch)
    return found


def use(services: FakeServices, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a room behind the functions."""
    monkeypatch.setattr("shared.bootstrap.services", lambda: services)


OPERATIONS = {
    (method, path.lstrip("/")): operation
    for path, item in document()["paths"].items()
    for method, operation in item.items()
}


@pytest.fixture(autouse=True)
def described(monkeypatch: pytest.MonkeyPatch) -> None:
    """Holds every answer of a call of the API to what the OpenAPI document says of the call: its
    status, its content type, and the code of a problem."""

    def run(
        route: routing.Route, req: func.HttpRequest, services: routing.GetServices
    ) -> func.HttpResponse:
        answer = original(route, req, services)
        operation = operation_of(route)
        if operation is not None and not _is_old_dry_run(operation, answer):
            _compare(operation, answer)
        return answer

    original = routing.run
    monkeypatch.setattr(routing, "run", run)


def operation_of(route: routing.Route) -> dict[str, Any] | None:
    """What is said of a route; None where it is not one of the API."""
    return OPERATIONS.get((route.methods[0].lower(), route.path))


def _is_old_dry_run(operation: dict[str, Any], answer: func.HttpResponse) -> bool:
    """`dry_run` in a document of `POST /api/send` is deprecated, and its answer not described."""
    return bool(operation["operationId"] == "sendMail" and answer.status_code == 200)


def _compare(operation: dict[str, Any], answer: func.HttpResponse) -> None:
    name = operation["operationId"]
    declared = operation["responses"].get(str(answer.status_code))
    assert declared is not None, f"{name} does not declare {answer.status_code}"
    assert answer.mimetype in declared["content"], f"{name} {answer.status_code}"
    if answer.mimetype == problem.MEDIA_TYPE:
        code = json.loads(answer.get_body())["code"]
        assert code in re.findall(r"[a-z_]+", declared["description"]), f"{name}: {code}"
