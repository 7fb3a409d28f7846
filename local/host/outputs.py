"""Queue output bindings: written after the function has returned; the queue is made if it is
missing.

https://learn.microsoft.com/azure/azure-functions/functions-bindings-storage-queue-output
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable

from azure.core.exceptions import AzureError

from local.host.dispatcher import InvocationFailed
from local.host.functions import Function
from local.host.protocol import Outcome
from local.host.storage import StoredQueue

_LOG = logging.getLogger("host")

Wake = Callable[[str], None]


class Outputs:
    def __init__(self, *, base64_text: bool, wake: Wake) -> None:
        self._base64 = base64_text
        self._wake = wake
        self._queues: dict[tuple[str, str], StoredQueue] = {}

    def add(self, function: str, binding: str, queue: StoredQueue) -> None:
        self._queues[function, binding] = queue

    def deliver(self, function: Function, outcome: Outcome) -> None:
        """Write what the function has set. A failure fails the invocation; the function cannot
        catch it. Raises InvocationFailed, which is logged."""
        for binding, bodies in outcome.outputs.items():
            queue = self._queues.get((function.name, binding))
            if queue is None:
                # A disabled function that was run by hand.
                _LOG.error("Functions.%s: output %s is off", function.name, binding)
                raise InvocationFailed
            try:
                for body in bodies:
                    queue.put(self._text(body), "put-output")
            except (AzureError, UnicodeDecodeError) as error:
                _LOG.error(
                    "Executed 'Functions.%s' (Failed, Id=%s)\nException: output %s could not be "
                    "written: %s: %s",
                    function.name,
                    outcome.id,
                    binding,
                    type(error).__name__,
                    error,
                )
                raise InvocationFailed from error
            if bodies:
                self._wake(queue.name)

    def close(self) -> None:
        for queue in self._queues.values():
            queue.close()

    def _text(self, body: bytes) -> str:
        return base64.b64encode(body).decode() if self._base64 else body.decode()
