"""HTTP to Microsoft Graph: a pooled session that knows whether a request can have left.

No retries here: a repeated send is a doubled mail, and the ledger decides about trying again.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from shared.errors import AnswerLost, NotSent

if TYPE_CHECKING:
    import requests

CONNECT_SECONDS = 10.0
MAX_ANSWER_BYTES = 4 * 1024 * 1024
IDLE_SECONDS = 20.0
"""A pooled connection that has idled longer is not used again: the far side may have closed it
just now, and a request lost on it would leave a mail unknown."""


def new_session(ca_file: str | None, *, connections: int = 32) -> requests.Session:
    """A session with pooled connections. `ca_file` stands in for the public CAs on a laptop."""
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3 import HTTPSConnectionPool, PoolManager

    class FreshPool(HTTPSConnectionPool):
        def _get_conn(self, timeout: float | None = None) -> Any:
            connection = super()._get_conn(timeout)
            if (
                time.monotonic() - getattr(connection, "idle_since", time.monotonic())
                > IDLE_SECONDS
            ):
                connection.close()
            return connection

        def _put_conn(self, conn: Any) -> None:
            if conn is not None:
                conn.idle_since = time.monotonic()
            super()._put_conn(conn)

    class FreshAdapter(HTTPAdapter):
        def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
            super().init_poolmanager(*args, **kwargs)
            manager: PoolManager = self.poolmanager
            manager.pool_classes_by_scheme = {
                **manager.pool_classes_by_scheme,
                "https": FreshPool,
            }

    session = requests.Session()
    session.mount("https://", FreshAdapter(pool_connections=4, pool_maxsize=connections))
    # The environment could redirect mail through a proxy or another CA; only settings may.
    session.trust_env = False
    session.verify = ca_file or True
    return session


def request(
    session: requests.Session,
    method: str,
    url: str,
    *,
    system: str,
    read_seconds: float,
    headers: Mapping[str, str],
    body: bytes | None = None,
) -> requests.Response:
    """One request, whole answer.

    Raises NotSent where it certainly did not leave whole, AnswerLost where it may have.
    """
    import requests

    try:
        answer = session.request(
            method,
            url,
            data=body,
            headers=dict(headers),
            timeout=(CONNECT_SECONDS, read_seconds),
            allow_redirects=False,
            stream=True,
        )
        # An answer is read whole so that its connection can be used again, but not without end.
        content = answer.raw.read(MAX_ANSWER_BYTES, decode_content=True)
        answer._content = content
        answer.raw.release_conn()
    except requests.exceptions.ConnectTimeout as error:
        raise NotSent(system, "the connection was not made in time") from error
    except (requests.exceptions.RequestException, OSError) as error:
        if _never_left(error):
            raise NotSent(system, "the connection could not be made") from error
        raise AnswerLost(system, "no whole answer came back") from error
    except Exception as error:
        if type(error).__module__.startswith("urllib3"):
            raise AnswerLost(system, "the answer broke off") from error
        raise
    return answer


def reach(system: str, url: str, ca_file: str | None) -> None:
    """Ask a service for anything; whatever it answers below 500 says that it is there.

    Raises NotSent where it is not.
    """
    with new_session(ca_file, connections=1) as session:
        try:
            answer = request(session, "GET", url, system=system, read_seconds=10.0, headers={})
        except AnswerLost as error:
            raise NotSent(system, "no answer came back") from error
    if answer.status_code >= 500:
        raise NotSent(system, f"it answered {answer.status_code}")


def _never_left(error: BaseException) -> bool:
    """Whether a connection error happened before a byte of the request was written."""
    from urllib3.exceptions import NameResolutionError, NewConnectionError

    seen: set[int] = set()
    pending: list[object] = [error]
    while pending:
        current = pending.pop()
        if id(current) in seen or not isinstance(current, BaseException):
            continue
        seen.add(id(current))
        if isinstance(
            current, (NewConnectionError, NameResolutionError, ssl.SSLCertVerificationError)
        ):
            return True
        pending += [
            current.__cause__,
            getattr(current, "reason", None),
            *current.args,
        ]
    return False
