"""What the host reads of a caller takes time in proportion to its size."""

from __future__ import annotations

import base64
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from local.host import messages, percent, queue_processor, request_head
from local.host.wire import Wire
from tests.growth import assert_linear

LARGEST = 200_000


def lines_of(data: bytes) -> int:
    """Read line by line, as a head is read, however the bytes arrive."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        sender = threading.Thread(target=theirs.sendall, args=(data,))
        sender.start()
        wire, count = Wire(ours), 0
        for _ in range(data.count(b"\n")):
            assert wire.line(len(data) + 1) is not None
            count += 1
        sender.join()
    return count


CASES: dict[str, tuple[Callable[[Any], object], Callable[[int], Any]]] = {
    "percent-encoding": (percent.decoded, lambda n: "%c3%ab" * (n // 6)),
    "percent-encoding that is not UTF-8": (percent.decoded, lambda n: "%ff" * (n // 3)),
    "a query of one name": (messages.query_parameters, lambda n: "a=1&" * (n // 4)),
    "a query of many names": (
        messages.query_parameters,
        lambda n: "".join(f"{i}=1&" for i in range(n // 8)),
    ),
    "dot segments": (request_head._without_dots, lambda n: "/a" * (n // 5) + "/.." * (n // 5)),
    "base64 with white space": (
        queue_processor.decoded,
        lambda n: " ".join(base64.b64encode(b"a" * (n // 2)).decode()),
    ),
    "short lines": (lines_of, lambda n: b"a: b\r\n" * (n // 60)),
    "one long line": (lines_of, lambda n: b"a" * n + b"\r\n"),
}


@pytest.mark.parametrize("name", CASES)
def test_twice_as_much_takes_twice_the_time(name: str) -> None:
    read, made = CASES[name]

    assert_linear(read, made, LARGEST)
