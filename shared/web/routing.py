"""Routes as data: each area declares its routes in a table, and `register` turns them into
functions."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterable
from enum import Enum
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import azure.functions as func

from shared.telemetry import event, where
from shared.web.problem import answered

if TYPE_CHECKING:
    from typing import TypeAlias

    from shared.composition.services import Services

    GetServices: TypeAlias = Callable[[], Services]
    Handler: TypeAlias = Callable[[func.HttpRequest, GetServices], func.HttpResponse]

AREAS = ("shared.web.api.routes", "shared.web.pages.routes", "shared.web.auth.routes")
"""The modules of the tables. Each has a `ROUTES`."""

faults: dict[str, str] = {}
"""The areas that could not be registered, each with the type of the exception."""


class Access(Enum):
    """What a request needs before its handler is called."""

    ANONYMOUS = "anonymous"
    FUNCTION_KEY = "function key"
    """The host checks it."""
    SAME_ORIGIN = "same origin"
    SESSION = "session"
    SESSION_AND_SAME_ORIGIN = "session and same origin"

    @property
    def auth_level(self) -> func.AuthLevel:
        """The level that the host checks."""
        if self is Access.FUNCTION_KEY:
            return func.AuthLevel.FUNCTION
        return func.AuthLevel.ANONYMOUS

    @property
    def wants_session(self) -> bool:
        """Whether the handler needs an open session."""
        return self in (Access.SESSION, Access.SESSION_AND_SAME_ORIGIN)


class Route(NamedTuple):
    """One HTTP function."""

    name: str
    """The function's name. It must not change: alerts and the host's admin address use it."""
    path: str
    methods: tuple[str, ...]
    access: Access
    handler: str
    """Module and function, as in "shared.web.api.handlers:send"; imported at the first call."""
    operation: str = ""
    """The operationId in the OpenAPI document, for a route of the API."""


@functools.cache
def resolve(reference: str) -> Handler:
    """The handler that a reference names."""
    module, _, name = reference.partition(":")
    found: Handler = getattr(import_module(module), name)
    return found


def run(route: Route, req: func.HttpRequest, services: GetServices) -> func.HttpResponse:
    """Check the access, call the handler, and answer errors."""
    return answered(req, lambda: _admitted(route, req, services))


def _admitted(route: Route, req: func.HttpRequest, services: GetServices) -> func.HttpResponse:
    if not route.access.wants_session:
        return resolve(route.handler)(req, services)
    from shared.web.pages.guard import guarded

    context = services().page_context
    call = guarded(lambda req, site: resolve(route.handler)(req, services))
    return call(req, context.site, context.sessions)


def register(
    app: func.FunctionApp, areas: Iterable[str], services: GetServices
) -> dict[str, Callable[..., Any]]:
    """Register the tables of the areas. Returns the functions by their names.

    An area that raises an exception is logged and left out, so that the other areas and the
    triggers work.
    """
    found: dict[str, Callable[..., Any]] = {}
    faults.clear()
    for area in areas:
        try:
            blueprint, functions = _area(import_module(area).ROUTES, services)
            if functions.keys() & found.keys():
                raise ValueError("another area has a function of this name")
        except Exception as error:  # noqa: BLE001 - one area must not take the app down
            faults[area] = type(error).__name__
            event(
                "area_not_registered",
                level=logging.ERROR,
                area=area,
                kind=type(error).__name__,
                where=where(error),
            )
        else:
            app.register_functions(blueprint)
            found |= functions
    return found


def _area(
    routes: Iterable[Route], services: GetServices
) -> tuple[func.Blueprint, dict[str, Callable[..., Any]]]:
    """The functions of one area. They are added to the app later, so that an area is registered
    completely or not at all."""
    blueprint = func.Blueprint()  # type: ignore[no-untyped-call]
    functions: dict[str, Callable[..., Any]] = {}
    for route in routes:
        if route.name in functions:
            raise ValueError("two routes have one name")
        decorate = blueprint.route(
            route.path, methods=route.methods, auth_level=route.access.auth_level
        )
        functions[route.name] = decorate(_function(route, services))
    return blueprint, functions


def _function(route: Route, services: GetServices) -> Callable[..., func.HttpResponse]:
    """A function in the form that the worker indexes: the worker reads its name and annotations."""

    def call(req: func.HttpRequest) -> func.HttpResponse:
        return run(route, req, services)

    call.__name__ = call.__qualname__ = route.name
    return call
