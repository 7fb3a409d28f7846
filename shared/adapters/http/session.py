"""A session of `requests` for the SDKs, whose answers come whole within a time or not at all."""

from __future__ import annotations

from typing import Any

from requests import Response, Session
from requests.adapters import HTTPAdapter
from requests.exceptions import ConnectTimeout, ReadTimeout, RequestException

from shared.adapters.http.connections import POOLS
from shared.adapters.http.deadline import deadline


class BoundedAdapter(HTTPAdapter):
    """Sends over connections that keep to the deadline of their thread."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = POOLS


class BoundedSession(Session):
    """`seconds` are for one request and its whole answer, unless the answer is streamed. Neither
    proxies nor CAs are taken from the environment."""

    def __init__(self, seconds: float, connections: int = 10) -> None:
        super().__init__()
        self.trust_env = False
        self._seconds = seconds
        for scheme in ("https://", "http://"):
            self.mount(scheme, BoundedAdapter(pool_maxsize=connections))

    def request(self, method: str, url: str, **options: Any) -> Response:  # type: ignore[override]
        """See `requests.Session.request`. Raises ReadTimeout also where the deadline of the whole
        answer passed, and ConnectTimeout where that was before the request was sent."""
        with deadline(self._seconds) as running:
            try:
                answer = super().request(method, url, **options)
            except ConnectTimeout:
                raise
            except RequestException as error:
                if running.passed:
                    raise ReadTimeout(*error.args, request=error.request) from error
                raise
            if running.passed and not options.get("stream"):
                raise ReadTimeout("the deadline passed before the answer was whole")
            return answer
