"""HTTP to Microsoft's services: pooled connections that know whether a request can have been sent.

The client never retries: a repeated send is a second mail, and the ledger decides about further
attempts. It uses urllib3 directly, below `requests`: preparing a request and handling proxies,
cookies and redirects, which Postroom does not use, takes `requests` half of a call's processor
time.
"""

from __future__ import annotations

import functools
import ssl
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from shared.adapters.http.deadline import Deadline, deadline
from shared.discreet import Discreet
from shared.errors import AnswerLost, NotSent

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, HTTPConnectionPool, HTTPSConnectionPool

CONNECT_SECONDS = 10.0
_WITHOUT_BODY = frozenset({202, 204})
"""Statuses that say everything: an answer counts even if its body breaks off."""

MAX_ANSWER_BYTES = 4 * 1024 * 1024


class Answer(Discreet, frozen=True):
    """A complete answer. The names in `headers` are found in upper and lower case."""

    unshown: ClassVar = frozenset({"headers", "content"})

    status: int
    headers: Mapping[str, str]
    content: bytes


class HttpClient:
    """Pooled connections to one https service; any number of threads may use them.

    `ca_file` replaces the public CAs in development. Proxies and CAs are never taken from the
    environment, which could redirect mail; only settings can set them.
    """

    def __init__(
        self,
        url: str,
        *,
        system: str,
        ca_file: str | None,
        connections: int = 32,
        connect_seconds: float = CONNECT_SECONDS,
        most_answered: int = MAX_ANSWER_BYTES,
        plain: bool = False,
    ) -> None:
        """`plain` allows http: for a storage emulator, and for a service on the same machine."""
        parts = urlsplit(url)
        if parts.scheme != ("http" if plain else "https") or not parts.hostname:
            raise ValueError(f"the address of {system} must be an https URL")
        self._system = system
        self._path = parts.path.rstrip("/")
        self._connect_seconds = connect_seconds
        self._most_answered = most_answered
        self._pool = (
            _plain_pool(parts.hostname, parts.port or 80, connections)
            if plain
            else _pool(system, parts.hostname, parts.port or 443, ca_file, connections)
        )

    def request(
        self,
        method: str,
        path: str,
        *,
        within_seconds: float,
        headers: Mapping[str, str],
        body: bytes | None = None,
        most_answered: int | None = None,
    ) -> Answer:
        """Send one request and read the whole answer, all within so many seconds; `path` is appended
        to the service's own. An answer longer than `most_answered` bytes is cut off there.

        Raises NotSent if the request certainly was not sent completely, AnswerLost if it may have
        been.
        """
        from urllib3 import Timeout
        from urllib3.exceptions import HTTPError

        try:
            with deadline(within_seconds) as running:
                answer = self._pool.urlopen(
                    method,
                    self._path + path or "/",
                    body=body,
                    headers=headers,
                    timeout=Timeout(connect=self._connect_seconds, read=within_seconds),
                    retries=False,
                    redirect=False,
                    preload_content=False,
                )
                content = _content(answer, most_answered or self._most_answered, running)
        except (HTTPError, OSError) as error:
            if never_left(error):
                raise NotSent(self._system, "the connection could not be made") from error
            raise AnswerLost(self._system, "no whole answer came back") from error
        return Answer(answer.status, answer.headers, content)

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()

    def __enter__(self) -> HttpClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def reach(system: str, url: str, ca_file: str | None) -> None:
    """Send any request to a service; an answer below 500 shows that the service works.

    Raises NotSent if it does not.
    """
    with HttpClient(url, system=system, ca_file=ca_file, connections=1) as line:
        try:
            answer = line.request("GET", "", within_seconds=10.0, headers={})
        except AnswerLost as error:
            raise NotSent(system, "no answer came back") from error
    if answer.status >= 500:
        raise NotSent(system, f"it answered {answer.status}")


@functools.cache
def trust(ca_file: str | None) -> ssl.SSLContext:
    """The trusted CAs: those in a file, or the public ones. Loading the public ones takes
    milliseconds."""
    import certifi
    from urllib3.util.ssl_ import create_urllib3_context

    context = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED)
    context.load_verify_locations(ca_file or certifi.where())
    return context


def _content(answer: BaseHTTPResponse, most: int, running: Deadline) -> bytes:
    """The body of an answer: read to its end, so that its connection can be used again, but within
    a limit. A connection with unread bytes is closed. A body that ends with its connection counts
    only where the deadline did not end it."""
    from urllib3.exceptions import HTTPError

    try:
        content = answer.read(most, decode_content=True)
        if running.passed:
            raise TimeoutError("the deadline passed before the answer was whole")
    except (HTTPError, OSError):
        answer.close()
        if answer.status not in _WITHOUT_BODY:
            raise
        return b""
    if not answer.closed:
        answer.close()
    return content


def _plain_pool(host: str, port: int, connections: int) -> HTTPConnectionPool:
    from shared.adapters.http.connections import PlainPool

    return PlainPool(host, port, maxsize=connections)


def _pool(
    system: str, host: str, port: int, ca_file: str | None, connections: int
) -> HTTPSConnectionPool:
    from urllib3.exceptions import HTTPError

    from shared.adapters.http.connections import SecurePool

    class ConnectingPool(SecurePool):
        def _validate_conn(self, conn: Any) -> None:
            # Connects, TLS included, before anything of the request is written.
            try:
                super()._validate_conn(conn)
            except (HTTPError, OSError) as error:
                raise NotSent(system, "the connection could not be made") from error

    return ConnectingPool(host, port, maxsize=connections, ssl_context=trust(ca_file))


def never_left(error: BaseException) -> bool:
    """Whether a connection error happened before a byte of the request was written."""
    from urllib3.exceptions import ClosedPoolError, ConnectTimeoutError, NewConnectionError

    before = (
        NewConnectionError,
        ConnectTimeoutError,
        ClosedPoolError,
        ssl.SSLCertVerificationError,
    )
    seen: set[int] = set()
    pending: list[object] = [error]
    while pending:
        current = pending.pop()
        if id(current) in seen or not isinstance(current, BaseException):
            continue
        seen.add(id(current))
        if isinstance(current, before):
            return True
        pending += [current.__cause__, *current.args]
    return False
