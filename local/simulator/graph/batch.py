"""`POST /$batch` [con: json-batching]: up to 20 requests, at most 4 of them at once."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from local.simulator.graph import reading
from local.simulator.graph.errors import BadBatch, RequestTooLong
from local.simulator.graph.serving import MAXIMUM_BODY, answering
from local.simulator.wire import Handler, Request, Response, Route

if TYPE_CHECKING:
    from local.simulator.graph.state import GraphState

MOST_REQUESTS = 20
AT_ONCE = 4

Dispatch = Callable[[Request], Response]


@dataclass(frozen=True)
class Item:
    """One request inside a batch."""

    id: str
    request: Request
    depends_on: frozenset[str] = field(default_factory=frozenset)


def batch(graph: GraphState, dispatch: Dispatch) -> Handler:
    """`dispatch` answers each item; each is throttled on its own, and never retried."""

    def post(request: Request) -> Response:
        if len(request.body) > MAXIMUM_BODY:
            raise RequestTooLong
        items = _items(request)
        answers = _run(items, dispatch)
        responses = [_shaped(one.id, answers[one.id]) for one in items]
        return Response.of_json(200, {"responses": responses})

    return answering(graph, post)


def _items(request: Request) -> list[Item]:
    requests = reading.document(request.body).get("requests")
    if not isinstance(requests, list) or not 0 < len(requests) <= MOST_REQUESTS:
        raise BadBatch(
            f"Number of batch request steps exceeds the maximum value of {MOST_REQUESTS}."
        )
    items = [_item(one, request) for one in requests]
    ids = {one.id for one in items}
    if len(ids) < len(items) or any(one.depends_on - ids for one in items):
        raise BadBatch
    return items


def _item(value: Any, outer: Request) -> Item:
    if not isinstance(value, dict) or not all(value.get(one) for one in ("id", "method", "url")):
        raise BadBatch
    url, body, headers = str(value["url"]), value.get("body"), _headers(value.get("headers"))
    path, _, query = url.partition("?")
    if "$batch" in path or (body is not None and "content-type" not in headers):
        raise BadBatch
    request = Request(
        method=str(value["method"]).upper(),
        path=unquote("/v1.0/" + path.lstrip("/")),
        query=dict(reversed(parse_qsl(query, keep_blank_values=True))),
        headers={"authorization": outer.headers.get("authorization", ""), **headers},
        body=_body(body),
        base_url=outer.base_url,
    )
    return Item(str(value["id"]), request, frozenset(value.get("dependsOn") or ()))


def _headers(value: Any) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise BadBatch
    return {str(name).lower(): str(one) for name, one in value.items()}


def _body(value: Any) -> bytes:
    """JSON bodies are objects; every other type is a string."""
    if value is None:
        return b""
    return value.encode() if isinstance(value, str) else json.dumps(value).encode()


def _run(items: list[Item], dispatch: Dispatch) -> dict[str, Response]:
    """Run the items in waves, each after the items that it depends on. A cycle answers 424, as a
    failed dependency does."""
    answers: dict[str, Response] = {}
    waiting = list(items)
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        while waiting:
            ready = [one for one in waiting if one.depends_on <= answers.keys()]
            if not ready:
                answers |= {one.id: _failed_dependency() for one in waiting}
                break
            run = [one for one in ready if _may_run(one, answers)]
            answers |= {one.id: _failed_dependency() for one in ready if one not in run}
            results = pool.map(dispatch, [one.request for one in run])
            answers |= dict(zip([one.id for one in run], results, strict=True))
            waiting = [one for one in waiting if one.id not in answers]
    return answers


def _may_run(item: Item, answers: Mapping[str, Response]) -> bool:
    return all(answers[one].status < 400 for one in item.depends_on)


def _failed_dependency() -> Response:
    message = "Dependent request failed."
    return Response.of_json(424, {"error": {"code": "FailedDependency", "message": message}})


def _shaped(item_id: str, response: Response) -> dict[str, Any]:
    result: dict[str, Any] = {
        "id": item_id,
        "status": response.status,
        "headers": dict(response.headers),
    }
    if response.body:
        kind = result["headers"].get("Content-Type", "")
        is_json = kind.startswith("application/json")
        result["body"] = (
            json.loads(response.body) if is_json else base64.b64encode(response.body).decode()
        )
    return result


def dispatcher(routes: Sequence[Route], otherwise: Handler) -> Dispatch:
    """Finds the route of an item among the service's routes."""

    def dispatch(request: Request) -> Response:
        for route in routes:
            params = route.match(request.method, request.path)
            if params is not None:
                return route.handler(replace(request, params=params))
        return otherwise(request)

    return dispatch
