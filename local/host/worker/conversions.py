"""Between what the host sends and what a function gets and gives, by the converters of
azure-functions themselves."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import azure.functions as func
from azure.functions import http as http_converters
from azure.functions.meta import Datum
from azure.functions.queue import QueueMessageInConverter
from azure.functions.timer import TimerRequestConverter

from local.host.messages import Response
from local.host.protocol import HttpTrigger, QueueTrigger, TimerTrigger, Trigger
from local.host.worker import cookies

# The server itself handles lengths and connections.
_HOP_HEADERS = {"content-length", "transfer-encoding", "connection", "keep-alive", "server"}


def argument(trigger: Trigger, annotation: type | None) -> Any:
    """The trigger's argument. A queue function may ask for text or bytes by its annotation."""
    if isinstance(trigger, HttpTrigger):
        return _http_request(trigger)
    if isinstance(trigger, TimerTrigger):
        return TimerRequestConverter.decode(Datum(trigger.text, "json"), trigger_metadata={})
    return _queue_message(trigger, annotation)


def response(returned: Any) -> Response:
    """The response for a function's return value. Raises an error for a value that the worker
    cannot encode, as for None."""
    datum = http_converters.HttpResponseConverter.encode(returned, expected_type=None)
    if datum.type == "string":
        content_type = ("Content-Type", "text/plain; charset=utf-8")
        return Response(200, (content_type,), datum.value.encode())
    value = datum.value
    # The worker passes headers as a map: of several with the same name only the last remains.
    last = {name.lower(): (name, each.value) for name, each in value["headers"].items()}
    headers = [pair for name, pair in last.items() if name not in _HOP_HEADERS]
    headers += [("Set-Cookie", cookie) for cookie in cookies.rebuilt(value["cookies"] or ())]
    for name, text in headers:
        _check_header(name, text)
    return Response(int(value["status_code"].value), tuple(headers), value["body"].value)


def messages(value: Any) -> Iterable[bytes]:
    """The bodies of what a function put into a queue output."""
    for item in value if isinstance(value, list | tuple) else [value]:
        if isinstance(item, func.QueueMessage):
            yield item.get_body()
        elif isinstance(item, bytes):
            yield item
        else:
            yield item.encode() if isinstance(item, str) else json.dumps(item).encode()


def _http_request(trigger: HttpTrigger) -> Any:
    value = {
        "method": Datum(trigger.method, "string"),
        "url": Datum(trigger.url, "string"),
        "headers": _texts(trigger.headers),
        "query": _texts(trigger.query),
        "params": _texts(trigger.parameters),
        "body": Datum(trigger.body, "bytes"),
    }
    return http_converters.HttpRequestConverter.decode(Datum(value, "http"), trigger_metadata={})


def _queue_message(trigger: QueueTrigger, annotation: type | None) -> Any:
    if annotation is bytes:
        return trigger.body.encode()
    if annotation is str:
        return trigger.body
    metadata = {name: Datum(value, kind) for name, (kind, value) in trigger.metadata.items()}
    return QueueMessageInConverter.decode(Datum(trigger.body, "string"), trigger_metadata=metadata)


def _check_header(name: str, value: str) -> None:
    # Kestrel refuses control and non-ASCII characters in response headers.
    if not name.isascii() or not value.isascii() or not (name + value).isprintable():
        raise ValueError(f"the response header {name!r} has a character that cannot be sent")


def _texts(values: Mapping[str, str]) -> dict[str, Datum]:
    return {name: Datum(value, "string") for name, value in values.items()}
