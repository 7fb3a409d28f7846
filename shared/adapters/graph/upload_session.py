"""Upload sessions: send one large attachment in chunks, directly to Exchange.

The session's URL contains its own authorisation, and its host is not Graph. The URL is opaque and
secret, and is used only if its host is Microsoft's. Exchange refuses a request with an access
token.
https://learn.microsoft.com/graph/outlook-large-attachments
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import msgspec

from shared.adapters.graph.mail_service import READ_SECONDS, SYSTEM, graph_answer
from shared.adapters.http.client import Answer, HttpClient
from shared.errors import AnswerLost, NotSent, PostroomError, RemoteError, RemoteRefused
from shared.mail.limits import CHUNK_BYTES
from shared.mail.outcome import GraphAnswer
from shared.services.clock import Clock
from shared.services.delivery.ports import AttachedFile

OUTLOOK_HOSTS = frozenset(
    {
        "outlook.office.com",
        "outlook.office365.com",
        "outlook.office365.us",
        "partner.outlook.cn",
    }
)
"""The hosts of upload sessions, in the public and the national clouds."""

TRIES = 5
"""How often one chunk is sent before the upload is given up."""
LONGEST_WAIT = 60.0
"""Seconds between two tries of a chunk: the throttling window of uploads is five minutes long."""

_NEXT = re.compile(r"(\d{1,15})(?:-\d*)?")


class UploadSessions:
    """Sends files through sessions that Graph has opened."""

    def __init__(
        self,
        *,
        ca_file: str | None,
        chunk_seconds: float,
        clock: Clock,
        local_host: str | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`local_host` is the host and port of the simulator, in development."""
        self._ca_file = ca_file
        self._chunk_seconds = chunk_seconds
        self._clock = clock
        self._local_host = local_host
        self._sleep = sleep
        self._lock = threading.Lock()
        self._lines: dict[str, HttpClient] = {}

    def carry(
        self, upload_url: object, file: AttachedFile, keep_alive: Callable[[], None]
    ) -> GraphAnswer:
        """Send a file chunk by chunk, strictly in order. See `Drafts.upload`."""
        session = self._session(upload_url, file.size)
        try:
            answer = self._all(session, file, keep_alive)
        except PostroomError:
            session.cancel()
            raise
        if answer.status != 201:
            session.cancel()
        return graph_answer(answer, self._clock)

    def close(self) -> None:
        """Close the connections."""
        for line in self._lines.values():
            line.close()

    def _all(self, session: _Session, file: AttachedFile, keep_alive: Callable[[], None]) -> Answer:
        for chunk in file.chunks(CHUNK_BYTES):
            answer = self._chunk(session, chunk, keep_alive)
            if answer.status != 200:
                return answer
        raise AnswerLost(SYSTEM, "the upload ended before Exchange had all of the file")

    def _chunk(self, session: _Session, chunk: bytes, keep_alive: Callable[[], None]) -> Answer:
        """Send one chunk until Exchange has all of it, or gives a final answer."""
        first, end = session.at, session.at + len(chunk)
        lost, assumed = False, session.is_assumed
        session.is_assumed = False
        for attempt in range(TRIES):
            keep_alive()
            answer = self._offer(session, chunk[session.at - first :], last=attempt + 1 == TRIES)
            if answer is None:
                lost = True
                self._sleep(2.0**attempt)
                session.head(first, end)
            elif _passes(answer):
                # Exchange may have received it.
                lost = True
                self._sleep(self._wait(answer, attempt))
            elif answer.status == 200:
                session.at = _next_expected(answer, end)
            elif lost and 400 <= answer.status < 500 and end < session.size:
                # The second try was refused, because Exchange has the chunk from the first one. If
                # it had not, it would refuse the next chunk too, because it accepts them in order
                # only.
                session.at = end
                session.is_assumed = True
            elif (lost or assumed) and answer.status != 201:
                raise AnswerLost(SYSTEM, "whether Exchange has all of the file is not known")
            else:
                return answer
            if session.at == end:
                return Answer(200, {}, b"")
            if not first <= session.at < end:
                raise AnswerLost(SYSTEM, "Exchange asks for an earlier part of the file")
        raise NotSent(SYSTEM, "Exchange did not take a part of the file")

    @staticmethod
    def _offer(session: _Session, part: bytes, *, last: bool) -> Answer | None:
        """None if no answer came, unless this was the last try."""
        try:
            return session.put(part)
        except (NotSent, AnswerLost):
            if last:
                raise
            return None

    def _wait(self, answer: Answer, attempt: int) -> float:
        asked = graph_answer(answer, self._clock).retry_after
        return min(asked if asked is not None else 2.0**attempt, LONGEST_WAIT)

    def _session(self, upload_url: object, size: int) -> _Session:
        try:
            parts = urlsplit(upload_url if isinstance(upload_url, str) else "")
            host, port = parts.hostname or "", parts.port
        except ValueError as error:
            raise RemoteRefused(SYSTEM, "the upload address is not a URL") from error
        named = f"{host}:{port}" if port else host
        ours = (host in OUTLOOK_HOSTS and port in (None, 443)) or named == self._local_host
        if parts.scheme != "https" or parts.username is not None or not ours:
            raise RemoteRefused(SYSTEM, "the upload address is not on a host of Microsoft")
        with self._lock:
            line = self._lines.get(named)
            if line is None:
                line = HttpClient(f"https://{named}", system=SYSTEM, ca_file=self._ca_file)
                self._lines[named] = line
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        return _Session(line, path, size, self._chunk_seconds)


class _Session(msgspec.Struct):
    """One open session, and how much of the file was sent."""

    line: HttpClient
    path: str
    size: int
    seconds: float
    at: int = 0
    is_assumed: bool = False
    """Whether Postroom only concludes that Exchange has all before `at`: Exchange has not said
    so."""

    def put(self, chunk: bytes) -> Answer:
        last = self.at + len(chunk) - 1
        return self.line.request(
            "PUT",
            self.path,
            within_seconds=self.seconds,
            headers={
                "Content-Type": "application/octet-stream",
                "Content-Range": f"bytes {self.at}-{last}/{self.size}",
                "User-Agent": "Postroom",
            },
            body=chunk,
        )

    def head(self, first: int, end: int) -> None:
        """Ask how much Exchange has, after an answer was lost.

        UNCONFIRMED, and kept to this method: that a GET returns it is documented only for other
        services of Graph. If it does not, the chunk is sent again from its start.
        """
        try:
            answer = self.line.request("GET", self.path, within_seconds=READ_SECONDS, headers={})
        except RemoteError:
            return
        expected = _next_expected(answer, -1) if answer.status == 200 else -1
        if first <= expected <= end:
            self.at = expected

    def cancel(self) -> None:
        """Cancel the session. A session that cannot be cancelled expires."""
        try:
            self.line.request("DELETE", self.path, within_seconds=READ_SECONDS, headers={})
        except RemoteError:
            return


def _passes(answer: Answer) -> bool:
    """Whether Exchange may accept the same chunk a moment later."""
    return answer.status == 429 or answer.status >= 500


def _next_expected(answer: Answer, otherwise: int) -> int:
    """The first byte that Exchange expects next: `["5"]` or `["5-"]`, the name in upper or lower
    case."""
    try:
        document = {str(k).lower(): v for k, v in json.loads(answer.content).items()}
    except (ValueError, AttributeError, RecursionError):
        return otherwise
    ranges = document.get("nextexpectedranges")
    found = _NEXT.fullmatch(str(ranges[0])) if isinstance(ranges, list) and ranges else None
    return int(found[1]) if found else otherwise
