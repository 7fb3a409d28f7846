"""The session below the storage SDKs: `requests.Session` without its work for browsers.

`azure-core` sends through a session. This one passes the plain requests of the SDKs directly to
urllib3, which saves half of the processor time of a call. The SDKs' policies (signing, retries,
errors) stay the same, and unusual requests go through `requests`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from azure.core.exceptions import (
    ServiceRequestError,
    ServiceRequestTimeoutError,
    ServiceResponseError,
    ServiceResponseTimeoutError,
)
from requests import Response
from requests.structures import CaseInsensitiveDict
from urllib3 import BaseHTTPResponse, PoolManager, Timeout
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NewConnectionError,
    ReadTimeoutError,
)

from shared.adapters.http.client import never_left, trust
from shared.adapters.http.connections import POOLS
from shared.adapters.http.deadline import current, deadline
from shared.adapters.http.session import BoundedSession
from shared.errors import AnswerLost

BYTES_PER_SECOND = 128 * 1024
"""The slowest pace at which a large content is still sent or read to its end."""


class StorageSession(BoundedSession):
    """Implements what `azure.core.pipeline.transport.RequestsTransport` needs of a session."""

    def __init__(self, connections: int, seconds: float) -> None:
        """`seconds` are for a request and its whole answer, unless the answer is streamed; a large
        body gets more, by its size."""
        super().__init__(seconds, connections)
        self._pools = PoolManager(maxsize=connections, ssl_context=trust(None))
        self._pools.pool_classes_by_scheme = POOLS

    def request(self, method: str, url: str, **options: Any) -> Response:  # type: ignore[override]
        """Send one request, without redirects and retries; the body is read unless `stream` is set.

        Raises azure-core's errors: ServiceRequestError if the request was not sent,
        ServiceResponseError if it may have been. Raises AnswerLost where the deadline of the whole
        call has passed: the SDK would try again after its own errors.
        """
        whole = current()
        if whole is not None and not whole.left_seconds:
            raise AnswerLost("storage", "storage did not answer in time")
        data, verify = options.get("data"), options.get("verify", True)
        unusual = any(options.get(name) for name in ("files", "cert", "proxies", "params"))
        if unusual or verify is not True or not isinstance(data, (bytes, str, type(None))):
            return super().request(method, url, **options)
        body = data.encode() if isinstance(data, str) else data
        connect, read = options["timeout"]
        try:
            with deadline(self._seconds + seconds_for(len(body or b""))) as running:
                raw = self._pools.urlopen(
                    method,
                    url,
                    body=body,
                    headers=_headers(method, options["headers"], body),
                    timeout=Timeout(connect=connect, read=read),
                    retries=False,
                    redirect=False,
                    preload_content=False,
                    decode_content=False,
                )
                answer = _answer(raw, url)
                if not options.get("stream"):
                    answer._content = raw.read(decode_content=True)
                    answer._content_consumed = True  # type: ignore[attr-defined]
                    if running.passed:
                        raise TimeoutError("the deadline passed before the answer was whole")
        except (HTTPError, OSError) as error:
            raise _translated(error) from error
        return answer

    def close(self) -> None:
        """Close the connections."""
        self._pools.clear()
        super().close()


def seconds_for(size: int) -> float:
    """How long a content of so many bytes may take on its way, beyond what an empty one may."""
    return size / BYTES_PER_SECOND


def _headers(method: str, given: Mapping[str, str], body: bytes | None) -> dict[str, str]:
    headers = {name: value for name, value in given.items() if value is not None}
    if body is not None or method not in ("GET", "HEAD"):
        # As `requests` does: the SDKs give a number of characters, but the header needs bytes.
        for name in [name for name in headers if name.lower() == "content-length"]:
            del headers[name]
        headers["Content-Length"] = str(len(body or b""))
    return headers


def _answer(raw: BaseHTTPResponse, url: str) -> Response:
    answer = Response()
    answer.status_code = raw.status
    answer.headers = CaseInsensitiveDict(raw.headers)
    answer.reason = raw.reason or ""
    answer.encoding = "utf-8"
    answer.url = url
    answer.raw = raw
    return answer


def _translated(error: Exception) -> Exception:
    if isinstance(error, NewConnectionError):
        return ServiceRequestError(error, error=error)
    if isinstance(error, ConnectTimeoutError):
        return ServiceRequestTimeoutError(error, error=error)
    if never_left(error):
        return ServiceRequestError(error, error=error)
    if isinstance(error, ReadTimeoutError):
        return ServiceResponseTimeoutError(error, error=error)
    return ServiceResponseError(error, error=error)
