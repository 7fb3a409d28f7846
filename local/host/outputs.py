"""Queue output bindings: written after the function has returned; the queue is made if it is
missing.

https://learn.microsoft.com/azure/azure-functions/functions-bindings-storage-queue-output
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable
from typing import Any

import azure.functions as func
from azure.core.exceptions import AzureError

from local.host.indexing import IndexedFunction
from local.host.invocation import InvocationFailed, Result
from local.host.storage import StoredQueue

Wake = Callable[[str], None]


class Outputs:
    def __init__(self, *, base64_text: bool, wake: Wake) -> None:
        self._base64 = base64_text
        self._wake = wake
        self._queues: dict[tuple[str, str], StoredQueue] = {}

    def add(self, function: str, binding: str, queue: StoredQueue) -> None:
        self._queues[function, binding] = queue

    def deliver(self, function: IndexedFunction, result: Result) -> None:
        """Write what the function has set. A failure fails the invocation; the function cannot
        catch it."""
        for output in function.outputs:
            queue = self._queues.get((function.name, output.name))
            value = result.returned if output.name == "$return" else result.outputs[output.name]
            if queue is None or value is None:
                continue
            try:
                for text in self._texts(value):
                    queue.put(text, "put-output")
            except AzureError as error:
                raise InvocationFailed from error
            self._wake(queue.name)

    def close(self) -> None:
        for queue in self._queues.values():
            queue.close()

    def _texts(self, value: Any) -> Iterable[str]:
        items = value if isinstance(value, list | tuple) else [value]
        for item in items:
            body = _body(item)
            yield base64.b64encode(body).decode() if self._base64 else body.decode()


def _body(item: Any) -> bytes:
    if isinstance(item, func.QueueMessage):
        return item.get_body()
    if isinstance(item, bytes):
        return item
    return item.encode() if isinstance(item, str) else json.dumps(item).encode()
