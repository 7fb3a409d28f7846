"""Where the processor time of one whole delivery goes."""

from __future__ import annotations

import functools
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from shared.adapters.graph.mail_service import Graph
from shared.adapters.http.client import HttpClient
from shared.adapters.storage.mails_table import MailsTable
from shared.adapters.storage.payload_blobs import PayloadBlobs
from shared.services.delivery import delivery, sending

TRANSPORT = "of these: HTTP, to the ledger and to Graph"
_WATCHED: tuple[tuple[Any, str, str], ...] = (
    (MailsTable, "get", "ledger: read"),
    (MailsTable, "update", "ledger: claim and outcome"),
    (PayloadBlobs, "get", "payload: read"),
    (PayloadBlobs, "delete", "payload: remove"),
    (Graph, "send_mail", "Graph: send"),
    (delivery, "unpack", "content: unpack"),
    (sending, "send_request", "content: request body"),
    (HttpClient, "request", TRANSPORT),
)
REST = "everything else"


def parts_of(
    accept: Callable[[], str], deliver: Callable[[str], float], runs: int
) -> Mapping[str, float]:
    """Milliseconds by part, as medians; `deliver` delivers one mail and tells how long it took.

    `TRANSPORT` is that part of the ledger and of Graph which is spent in `HttpClient`; payloads go through
    the SDK.
    """
    found: dict[str, list[float]] = defaultdict(list)
    with _watched() as spent:
        for _ in range(runs):
            mail_id = accept()
            spent.clear()
            total = deliver(mail_id)
            for _, _, name in _WATCHED:
                found[name].append(spent[name])
            named = sum(seconds for name, seconds in spent.items() if name != TRANSPORT)
            found[REST].append(total - named)
    return {name: round(statistics.median(many) * 1000, 3) for name, many in found.items()}


@contextmanager
def _watched() -> Iterator[dict[str, float]]:
    spent: dict[str, float] = defaultdict(float)
    with ExitStack() as patches:
        for owner, attribute, name in _WATCHED:
            timed = _timed(getattr(owner, attribute), name, spent)
            patches.enter_context(patch.object(owner, attribute, timed))
        yield spent


def _timed(call: Callable[..., Any], name: str, spent: dict[str, float]) -> Callable[..., Any]:
    @functools.wraps(call)
    def timed(*args: Any, **options: Any) -> Any:
        began = time.process_time()
        try:
            return call(*args, **options)
        finally:
            spent[name] += time.process_time() - began

    return timed
