"""Handles one received message: decode, keep locked, run, then delete, release or move to the
poison queue.

The sources are those of `queue_listener`; the form of the metadata is from `QueueTriggerBinding`.
"""

from __future__ import annotations

import base64
import contextlib
import json
import logging
import threading
from collections.abc import Callable
from datetime import datetime
from time import monotonic
from typing import Any

from azure.core.exceptions import AzureError, HttpResponseError
from azure.functions.meta import Datum
from azure.functions.queue import QueueMessageInConverter
from azure.storage.queue import QueueMessage

from local.host.configuration import QueueSettings
from local.host.indexing import IndexedFunction
from local.host.invocation import InvocationFailed, Invoker
from local.host.storage import StoredQueue, error_code, is_lost

_LOG = logging.getLogger("host")

# The extension fixes these, whatever host.json says.
MESSAGE_LOCK = 600
_RENEW_EVERY = MESSAGE_LOCK / 2

Run = Callable[[Any], None]


class Undecodable(Exception):
    """The text is not base64 although host.json says that it is."""


class Locked:
    """A message that this host has received. A renewal changes its receipt, so a lock guards
    both."""

    def __init__(self, queue: StoredQueue, message: QueueMessage) -> None:
        self._queue = queue
        self._id = str(message.id)
        self._receipt = str(message.pop_receipt)
        self._mutex = threading.Lock()
        self._held = True

    def renew(self, seconds: int) -> bool:
        """Renew the lock. Returns False once the message is finished or lost."""
        with self._mutex:
            if not self._held:
                return False
            try:
                self._receipt = self._queue.set_visibility(self._id, self._receipt, seconds)
            except HttpResponseError as error:
                return not is_lost(error)
            except AzureError:
                return True
            return True

    def delete(self) -> None:
        self._settle(lambda: self._queue.delete(self._id, self._receipt))

    def release(self, seconds: int) -> None:
        self._settle(lambda: self._queue.set_visibility(self._id, self._receipt, seconds))

    def let_go(self) -> None:
        """Stop renewing; the message becomes visible again when its lock ends."""
        with self._mutex:
            self._held = False

    def _settle(self, call: Callable[[], object]) -> None:
        with self._mutex:
            self._held = False
            try:
                call()
            except HttpResponseError as error:
                level = logging.DEBUG if is_lost(error) else logging.WARNING
                _LOG.log(level, "a message could not be settled: %s", error_code(error))
            except AzureError as error:
                _LOG.warning("a message could not be settled: %s", type(error).__name__)


class Renewals:
    """One thread that renews the locks of all messages under way."""

    def __init__(self, every: float, seconds: int) -> None:
        self._every = every
        self._seconds = seconds
        self._due: dict[Locked, float] = {}
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="renewals", daemon=True)
        self._thread.start()

    def add(self, message: Locked) -> None:
        with self._changed:
            self._due[message] = monotonic() + self._every
            self._changed.notify()

    def remove(self, message: Locked) -> None:
        with self._changed:
            self._due.pop(message, None)

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(5.0)

    def _run(self) -> None:
        while True:
            with self._changed:
                nearest = min(self._due.values(), default=None)
                self._changed.wait(None if nearest is None else max(0.0, nearest - monotonic()))
                if self._closed:
                    return
                ready = [message for message, due in self._due.items() if due <= monotonic()]
            for message in ready:
                goes_on = message.renew(self._seconds)
                with self._changed:
                    if message in self._due:
                        self._due[message] = monotonic() + self._every
                    if not goes_on:
                        self._due.pop(message, None)


class Processor:
    """Handles messages of one queue for one function."""

    def __init__(
        self,
        function: IndexedFunction,
        queue: StoredQueue,
        poison: StoredQueue | None,
        settings: QueueSettings,
        run: Run,
        *,
        renew_every: float = _RENEW_EVERY,
        woken_by_poison: Callable[[str], None] = lambda queue: None,
    ) -> None:
        self._function = function
        self._queue = queue
        self._poison = poison
        self._settings = settings
        self._run = run
        self._wake = woken_by_poison
        self._renewals = Renewals(renew_every, MESSAGE_LOCK)

    def process(self, message: QueueMessage) -> None:
        locked = Locked(self._queue, message)
        dequeues = message.dequeue_count or 0
        if dequeues > self._settings.max_dequeue_count:
            self._to_poison(locked, message)
            return
        try:
            argument = to_function(self._function, message, base64_text=self._settings.base64)
        except Undecodable:
            _LOG.warning(
                "a message of queue %s is not base64; check MessageEncoding", self._queue.name
            )
            self._to_poison(locked, message)
            return
        if self._succeeds(argument, locked):
            locked.delete()
        elif dequeues >= self._settings.max_dequeue_count:
            self._to_poison(locked, message)
        else:
            locked.release(self._settings.visibility_timeout)

    def close(self) -> None:
        self._renewals.close()
        if self._poison is not None:
            self._poison.close()

    def _succeeds(self, argument: Any, locked: Locked) -> bool:
        self._renewals.add(locked)
        try:
            self._run(argument)
        except InvocationFailed:
            return False
        finally:
            self._renewals.remove(locked)
        return True

    def _to_poison(self, locked: Locked, message: QueueMessage) -> None:
        if self._poison is None:
            locked.let_go()
            return
        try:
            self._poison.put(str(message.content), "put-poison")
        except AzureError as error:
            _LOG.warning("queue %s cannot be written: %s", self._poison.name, type(error).__name__)
            locked.let_go()
            return
        _LOG.warning("a message of queue %s was moved to %s", self._queue.name, self._poison.name)
        locked.delete()
        self._wake(self._poison.name)


def runner(invoker: Invoker, function: IndexedFunction, deliver: Callable[..., None]) -> Run:
    """Runs the function, then its output bindings; both are one invocation."""

    def run(argument: Any) -> None:
        deliver(function, invoker.invoke(function, argument))

    return run


def to_function(function: IndexedFunction, message: QueueMessage, *, base64_text: bool) -> Any:
    """The trigger's argument: a QueueMessage, or text or bytes where the parameter says so."""
    body = decoded(str(message.content), base64_text=base64_text)
    if function.trigger_type is bytes:
        return body
    if function.trigger_type is str:
        return body.decode("utf-8", "replace")
    return QueueMessageInConverter.decode(
        Datum(body, "bytes"), trigger_metadata=metadata(message, body)
    )


def from_admin(function: IndexedFunction, text: str) -> Any:
    """A message made from `POST /admin/functions/{name}`; it has no id and was never queued."""
    if function.trigger_type in (str, bytes):
        return text if function.trigger_type is str else text.encode()
    return QueueMessageInConverter.decode(
        Datum(text, "string"), trigger_metadata={"DequeueCount": Datum("0", "string")}
    )


def decoded(text: str, *, base64_text: bool) -> bytes:
    if not base64_text:
        return text.encode()
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise Undecodable from error


def metadata(message: QueueMessage, body: bytes) -> dict[str, Datum]:
    """Trigger metadata in the forms in which the host sends them to the worker."""
    values = {
        "Id": Datum(str(message.id), "string"),
        "DequeueCount": Datum(str(message.dequeue_count), "string"),
        "PopReceipt": Datum(str(message.pop_receipt), "string"),
        "InsertionTime": _time(message.inserted_on),
        "ExpirationTime": _time(message.expires_on),
        "NextVisibleTime": _time(message.next_visible_on),
    }
    with contextlib.suppress(UnicodeDecodeError):
        values["QueueTrigger"] = Datum(body.decode(), "string")
    return {name: value for name, value in values.items() if value is not None}


def _time(moment: datetime | None) -> Datum | None:
    return None if moment is None else Datum(json.dumps(moment.isoformat()), "json")
