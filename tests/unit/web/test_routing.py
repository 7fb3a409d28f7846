"""The tables of routes, and what becomes of one that is wrong."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Iterator
from types import ModuleType

import azure.functions as func
import pytest

from shared.composition.services import Services
from shared.errors import PostroomError
from shared.web import routing
from shared.web.api import health, openapi_paths
from shared.web.api import routes as api_routes
from shared.web.routing import AREAS, Access, Route

ROUTES: list[Route] = [route for area in AREAS for route in importlib.import_module(area).ROUTES]


@pytest.fixture(autouse=True)
def without_faults() -> Iterator[None]:
    yield
    routing.faults.clear()


def no_services() -> Services:
    raise AssertionError("services are built at the first call")


def indexed(areas: tuple[str, ...]) -> set[str | None]:
    """The functions of an app with one queue trigger, as the worker indexes them."""
    app = func.FunctionApp()
    routing.register(app, areas, no_services)

    @app.queue_trigger("msg", "outbox", "AzureWebJobsStorage")
    def deliver(msg: func.QueueMessage) -> None: ...

    return {function.get_function_name() for function in app.get_functions()}


def planted(monkeypatch: pytest.MonkeyPatch, routes: object) -> tuple[str, ...]:
    """The areas, and before them one with these routes."""
    module = ModuleType("planted.area.routes")
    if routes is not None:
        module.ROUTES = routes  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return (module.__name__, *AREAS)


def test_every_handler_exists_and_takes_the_request_and_the_services() -> None:
    wrong = {
        route.name: list(inspect.signature(routing.resolve(route.handler)).parameters)
        for route in ROUTES
        if list(inspect.signature(routing.resolve(route.handler)).parameters) != ["req", "services"]
    }

    assert wrong == {}


def test_a_change_that_wants_a_session_wants_the_same_origin_too() -> None:
    assert [
        route.name
        for route in ROUTES
        if route.access is Access.SESSION and route.methods != ("GET",)
    ] == []


class Broken:
    """A table that raises when it is read."""

    def __iter__(self) -> Iterator[Route]:
        raise ZeroDivisionError


DUPLICATE = (ROUTES[0], ROUTES[0])
NO_METHOD = (Route("strange", "strange", ("FETCH",), Access.ANONYMOUS, "planted:strange"),)


@pytest.mark.parametrize("routes", [None, Broken(), DUPLICATE, NO_METHOD])
def test_a_wrong_area_is_left_out_and_the_others_and_the_triggers_are_indexed(
    routes: object, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    found = indexed(planted(monkeypatch, routes))

    assert found == {route.name for route in ROUTES} | {"deliver"}
    assert list(routing.faults) == ["planted.area.routes"]
    assert "area_not_registered" in caplog.text


def test_health_names_the_area_that_is_missing() -> None:
    (name, probe), *others = health.missing_areas({"shared.web.pages.routes": "KeyError"}).items()

    assert (name, others) == ("routes:pages", [])
    with pytest.raises(PostroomError, match="KeyError"):
        probe()


def test_a_page_without_a_session_never_reaches_its_handler(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from tests.unit.web.browser import App

    app = App()

    class Front:
        page_context = app

    def reached(req: func.HttpRequest, services: object) -> func.HttpResponse:
        raise AssertionError("the handler was called")

    monkeypatch.setattr(routing, "resolve", lambda reference: reached)
    route = Route("one", "accounts", ("GET",), Access.SESSION, "planted:one")
    req = func.HttpRequest("GET", "https://app.example/accounts", body=b"")

    answer = routing.run(route, req, Front)  # type: ignore[arg-type]

    assert (answer.status_code, answer.headers["Location"]) == (303, "/signin")


def test_every_operation_of_the_api_has_a_route_and_every_route_of_the_api_an_operation() -> None:
    described = [operation["operationId"] for operation in openapi_paths.operations()]

    assert sorted(described) == sorted(route.operation for route in api_routes.ROUTES)
