"""Reads and answers requests to the control surface: JSON in both directions, no other origins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from local.simulator.wire import Handler, Request, Response


class Unusable(ValueError):
    """The request's document cannot be used; the message says why."""


def answering(work: Callable[[Request], Any]) -> Handler:
    def handler(request: Request) -> Response:
        if request.method not in ("GET", "HEAD"):
            if _is_from_elsewhere(request):
                return Response.of_json(403, {"error": "not for pages of another origin"})
            if request.body and not _is_json(request):
                return Response.of_json(415, {"error": "Content-Type is not application/json"})
        try:
            return Response.of_json(200, work(request))
        except (ValueError, TypeError) as error:
            return Response.of_json(400, {"error": str(error)})

    return handler


def _is_from_elsewhere(request: Request) -> bool:
    """Whether a browser says that the request comes from a page of another origin.

    Other ports of this computer are other origins, although they are of the same site.
    https://developer.mozilla.org/docs/Web/HTTP/Headers/Sec-Fetch-Site
    """
    if request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        return True
    return request.headers.get("origin", request.base_url) != request.base_url


def _is_json(request: Request) -> bool:
    """Whether the body is JSON. To send this type to another origin, a page must ask first, and the
    simulator never answers that."""
    kind = request.headers.get("content-type", "").partition(";")[0]
    return kind.strip().lower() == "application/json"


def object_of(request: Request) -> dict[str, Any]:
    document = request.json()
    if not isinstance(document, dict):
        raise Unusable("the body is a JSON object")
    return document
