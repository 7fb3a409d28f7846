"""Paths, methods and versions that the simulated mail service does not have: the answer is Graph's,
and the request log says what is not simulated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from local.simulator.graph.access import bearer
from local.simulator.graph.query_errors import (
    DirectoryMethodNotAllowed,
    InvalidVersion,
    MethodNotAllowed,
    NotSupported,
    SegmentNotFound,
    printable,
)
from local.simulator.graph.serving import answering
from local.simulator.wire import Handler, Request, Response, Route

if TYPE_CHECKING:
    from local.simulator.graph.state import GraphState

_OF_GRAPH = frozenset(
    (
        "calendar",
        "calendars",
        "calendarview",
        "contacts",
        "contactfolders",
        "drive",
        "events",
        "extensions",
        "getmailtips",
        "inferenceclassification",
        "mastercategories",
        "memberof",
        "messagerules",
        "multivalueextendedproperties",
        "outlook",
        "photo",
        "singlevalueextendedproperties",
        "subscriptions",
        "groups",
        "organization",
        "domains",
        "applications",
        "serviceprincipals",
        "delta",
        "delta()",
    )
)
"""Segments of Graph that are not simulated [api: message, user]."""
_METHODS_OF_GRAPH = frozenset(
    (
        ("POST", "graph.list_users"),
        ("PATCH", "graph.get_me"),
        ("PATCH", "graph.get_user"),
        ("DELETE", "graph.get_user"),
        ("POST", "graph.list_folders"),
        ("POST", "graph.child_folders"),
        ("PATCH", "graph.get_folder"),
        ("DELETE", "graph.get_folder"),
        ("PATCH", "graph.get_settings"),
    )
)
"""Methods that Graph has at paths that the simulator serves with other methods."""
_DIRECTORY = ("graph.list_users", "graph.count_users", "graph.get_me", "graph.get_user")


def unknown_path(graph: GraphState, served: Sequence[Route]) -> Handler:
    """405 for a path that is served with another method, 501 for a part of Graph that is not
    simulated, and Graph's own 400 for anything else; 401 comes before all of them."""

    def refuse(request: Request) -> Response:
        bearer(request.headers.get("authorization", ""), graph.tokens)
        others = [route for route in served if route.match(route.method, request.path) is not None]
        if any((request.method, route.name) in _METHODS_OF_GRAPH for route in others):
            raise NotSupported(f"{request.method} {printable(request.path)}")
        if others:
            of_directory = all(route.name in _DIRECTORY for route in others)
            raise DirectoryMethodNotAllowed if of_directory else MethodNotAllowed
        segments = [part for part in request.path.split("/") if part]
        for segment in segments[1:]:
            if segment.lower() in _OF_GRAPH:
                raise NotSupported(printable(segment))
        raise SegmentNotFound(segments[-1] if len(segments) > 1 else "")

    return answering(graph, refuse)


def no_beta(graph: GraphState) -> Handler:
    """The version `beta` is not simulated: what it has may change at any time."""

    def refuse(request: Request) -> Response:
        bearer(request.headers.get("authorization", ""), graph.tokens)
        raise NotSupported("the version /beta")

    return answering(graph, refuse)


def no_version(graph: GraphState) -> Handler:
    """A path of Graph without a version."""

    def refuse(request: Request) -> Response:
        raise InvalidVersion

    return answering(graph, refuse)
