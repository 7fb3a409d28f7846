"""Chromium for tests: which one, and what it must never be seen to do."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Error,
    Page,
    Request,
    Response,
    sync_playwright,
)

from local.prerequisites import BROWSERS
from local.prerequisites import browser as missing_browser

PATIENCE = 15_000
"""Milliseconds that Playwright waits for what is expected, on a busy machine."""
_HERE = frozenset({"localhost", "127.0.0.1"})


@contextmanager
def chromium() -> Iterator[Browser]:
    """The system's Chromium without a window, which can reach nothing but this machine."""
    problem = missing_browser()
    assert not problem, problem
    named = os.environ.get("CHROMIUM")
    found = (shutil.which(name) for name in ((named,) if named else BROWSERS))
    arguments = [
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
    ]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=next(path for path in found if path),
            args=arguments,
            # Chromium's sandbox refuses to work for root, as in a container.
            chromium_sandbox=os.geteuid() != 0,
        )
        yield browser
        browser.close()


class Watch:
    """Notes what no page of ours may do: fail, complain, break its own policy, or call outside."""

    def __init__(self, context: BrowserContext) -> None:
        self.seen: list[str] = []
        self.requests: list[str] = []
        self._expected: list[str] = []
        context.on("console", self._console)
        context.on("weberror", lambda error: self.seen.append(f"script error: {error.error}"))
        context.on("request", self._request)
        context.on("response", self._response)

    def expect(self, words: str) -> None:
        """Leave out what contains these words: this test provokes it."""
        self._expected.append(words)

    def troubles(self) -> list[str]:
        """What was seen and not expected."""
        return [
            trouble
            for trouble in self.seen
            if not any(words in trouble for words in self._expected)
        ]

    def _console(self, message: ConsoleMessage) -> None:
        # What was answered with an error status is noted in `_response`, pages excepted.
        if not message.text.startswith("Failed to load resource: the server responded"):
            self.seen.append(f"console {message.type}: {message.text}")

    def _request(self, request: Request) -> None:
        self.requests.append(request.url)
        parts = urlsplit(request.url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.hostname not in _HERE:
            self.seen.append(f"request to elsewhere: {request.url}")

    def _response(self, response: Response) -> None:
        if response.status >= 400 and response.request.resource_type != "document":
            self.seen.append(f"{response.status} for {urlsplit(response.url).path}")


__all__ = ["PATIENCE", "BrowserContext", "Error", "Page", "Watch", "chromium"]
