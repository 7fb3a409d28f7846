"""A wire between the app and storage that can be cut: before a request, before its answer, or whole.

Azurite writes its tables to disk every five seconds, while real storage has what it has confirmed.
So the wire is cut first, Azurite is given the time to write, and only then is it killed.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Literal

from local.ports import LOOPBACK

When = Literal["before", "after"]
_CHUNK = 64 * 1024


class Relay:
    """Passes bytes from its own ports on to others, in a thread of its own."""

    def __init__(self, routes: dict[int, int]) -> None:
        """`routes`: from the port that is listened on to the one behind it."""
        self._routes = routes
        self._due: Counter[When] = Counter()
        self.cuts: Counter[When] = Counter()
        self._servers: list[asyncio.Server] = []
        self._open: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="relay", daemon=True)

    def start(self) -> None:
        self._thread.start()
        self.connect()

    def stop(self) -> None:
        self.disconnect()
        self._call(self._wind_up())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5.0)
        self._loop.close()

    def cut_next(self, when: When) -> None:
        """Lose one request (`before` it arrives) or one answer (`after` the work was done)."""
        self._due[when] += 1

    def disconnect(self) -> None:
        """Every connection breaks, and no new one is taken."""
        self._call(self._disconnect())

    def connect(self) -> None:
        """Let connections through (again)."""
        self._call(self._connect())

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10.0)

    async def _connect(self) -> None:
        for port, behind in self._routes.items():

            async def serve(
                reader: asyncio.StreamReader, writer: asyncio.StreamWriter, behind: int = behind
            ) -> None:
                await self._serve(reader, writer, behind)

            self._servers.append(
                await asyncio.start_server(serve, LOOPBACK, port, backlog=512, limit=_CHUNK)
            )

    async def _disconnect(self) -> None:
        for server in self._servers:
            server.close()
        self._servers.clear()
        # A connection that was taken just now shows up here only when its task begins: a task that is
        # cancelled before that would leave its socket to the garbage collector.
        until = self._loop.time() + 5.0
        while asyncio.all_tasks() - {asyncio.current_task()} and self._loop.time() < until:
            for writer in list(self._open):
                writer.transport.abort()
            await asyncio.sleep(0.01)

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, behind: int
    ) -> None:
        self._open.add(writer)
        ends = [writer]
        pumps: list[asyncio.Future[None]] = []
        try:
            back_reader, back_writer = await asyncio.open_connection(LOOPBACK, behind)
            self._open.add(back_writer)
            ends.append(back_writer)
            pumps = [
                asyncio.ensure_future(self._pump(reader, back_writer, "before")),
                asyncio.ensure_future(self._pump(back_reader, writer, "after")),
            ]
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        except OSError:
            return  # nobody is behind it now
        finally:
            for end in ends:
                end.transport.abort()
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            self._open.difference_update(ends)

    async def _wind_up(self) -> None:
        """Leave no task and no socket to the garbage collector."""
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        # Sockets are closed one turn of the loop after their transports were aborted.
        await asyncio.sleep(0.05)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, when: When
    ) -> None:
        with suppress(OSError):
            while chunk := await reader.read(_CHUNK):
                if self._due[when]:
                    self._due[when] -= 1
                    self.cuts[when] += 1
                    return
                writer.write(chunk)
                await writer.drain()
