"""Pools of connections for all HTTP clients of the app: ours, the storage SDKs', MSAL's, Key Vault's.

Their connections keep to the deadline of the thread that uses them (`shared.adapters.http.deadline`),
and one that was idle for long is not used again. Proxies and CAs are never taken from the environment.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    NewConnectionError,
)

from shared.adapters.http.deadline import current
from shared.adapters.http.resolving import addresses_of

if TYPE_CHECKING:
    import socket

IDLE_SECONDS = 20.0
"""Seconds. A pooled connection that was idle for longer is not used again: the server may just have
closed it, and a request lost on it would leave a mail unknown."""
LOOK_UP_SECONDS = 10.0


class _Bounded:
    """A connection that finds its addresses, and can be shut down, within a deadline."""

    used_sock: socket.socket | None = None
    """The socket that a deadline shuts down. urllib3 sets `sock` to None when the server says that
    it closes after the answer, while the answer is still read."""

    def connect(self) -> None:
        this: Any = self
        try:
            super().connect()  # type: ignore[misc]
        finally:
            if self.used_sock is not None:
                self.used_sock.close()
            self.used_sock = this.sock

    def _new_conn(self) -> socket.socket:
        this: Any = self
        host: str = this._dns_host
        running = current()
        try:
            left = min(running.left_seconds, LOOK_UP_SECONDS) if running else LOOK_UP_SECONDS
            addresses = addresses_of(host, this.port, left)
        except TimeoutError as error:
            raise ConnectTimeoutError(this, str(error)) from error
        except OSError as error:
            raise NewConnectionError(this, f"the name was not found: {error}") from error
        failed: NewConnectionError | ConnectTimeoutError | None = None
        try:
            for address in addresses:
                if running is not None and not running.left_seconds:
                    raise ConnectTimeoutError(this, "the deadline has passed")
                this._dns_host = address
                try:
                    sock: socket.socket = super()._new_conn()  # type: ignore[misc]
                    # TLS takes the socket over before its handshake; a copy reaches it all the same.
                    self.used_sock = sock.dup()
                    return sock
                except (NewConnectionError, ConnectTimeoutError) as error:
                    failed = error
        finally:
            this._dns_host = host
        raise failed or NewConnectionError(this, "the name has no address")


class PlainConnection(_Bounded, HTTPConnection):
    """See `_Bounded`."""


class SecureConnection(_Bounded, HTTPSConnection):
    """See `_Bounded`."""


class _Fresh:
    """A pool that replaces connections which were idle for too long."""

    def _get_conn(self, timeout: float | None = None) -> Any:
        connection = super()._get_conn(timeout)  # type: ignore[misc]
        if time.monotonic() - getattr(connection, "idle_since", time.monotonic()) > IDLE_SECONDS:
            connection.close()
        running = current()
        if running is not None:
            try:
                running.attach(connection)
            except TimeoutError as error:
                connection.close()
                raise ConnectTimeoutError(connection, str(error)) from error
        return connection

    def _put_conn(self, conn: Any) -> None:
        if conn is not None:
            running = current()
            if running is not None:
                running.detach(conn)
            conn.idle_since = time.monotonic()
        super()._put_conn(conn)  # type: ignore[misc]


class PlainPool(_Fresh, HTTPConnectionPool):
    """Connections over http: to an emulator, or on the same machine."""

    ConnectionCls = PlainConnection


class SecurePool(_Fresh, HTTPSConnectionPool):
    """Connections over https."""

    ConnectionCls = SecureConnection


POOLS: dict[str, type] = {"http": PlainPool, "https": SecurePool}
"""For the attribute `pool_classes_by_scheme` of a `urllib3.PoolManager`."""
