"""The whole stack, started once, and a real browser in front of it.

`stack` runs for the session; `control` resets it for each test. `page` is an empty window of a new
browser profile; `watch` tells what that window was seen to do, and every test ends by looking.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from local import demo
from local.stack import Stack
from tests.e2e.browser import PATIENCE, Watch, chromium, give_session
from tests.e2e.control import Control

_FOLDER = Path(__file__).parent
_WITH_BROWSER = (_FOLDER, _FOLDER.parent / "long" / "pages")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder needs the stack."""
    for item in items:
        if item.path.is_relative_to(_FOLDER):
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Azurite, the simulator and the host with the app, on free ports. Mails go as fast as they can:
    the tests share one mailbox."""
    state = tmp_path_factory.mktemp("stack")
    settings = {"POSTROOM_MAILS_PER_MINUTE": "0"}
    with Stack(state, 0, 0, settings=settings, local_settings=False) as running:
        yield running


@pytest.fixture(scope="session")
def control_of_stack(stack: Stack) -> Iterator[Control]:
    """The one `Control`; tests take `control`."""
    control = Control(stack)
    yield control
    control.close()


@pytest.fixture
def control(control_of_stack: Control) -> Control:
    """The stack as it was at its start, and what a test may do to it."""
    control_of_stack.reset()
    return control_of_stack


@dataclass(frozen=True)
class SignedIn:
    """An account that can send."""

    alias: str
    address: str


@pytest.fixture
def signed_in_account(control: Control) -> SignedIn:
    """billing@contoso.com, linked through the real flow, without a window."""
    demo.sign_in(control.stack.info, demo.MAILBOX, demo.ALIAS)
    return SignedIn(demo.ALIAS, demo.MAILBOX)


_OPEN = ExitStack()
"""Holds Chromium while tests with a browser run."""


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> None:
    """Close Chromium behind the last test of its folder: Playwright keeps an event loop running, in
    which no test of another folder could run its own. After the fixtures, which still need it."""
    if nextitem is None or not any(nextitem.path.is_relative_to(one) for one in _WITH_BROWSER):
        _chromium.cache_clear()
        _OPEN.close()


@cache
def _chromium() -> Browser:
    return _OPEN.enter_context(chromium())


@pytest.fixture(scope="module")
def browser() -> Browser:
    """Chromium: one for all tests of this folder, each of which has a profile of its own."""
    return _chromium()


@pytest.fixture
def context(browser: Browser, control: Control) -> Iterator[BrowserContext]:
    """A new browser profile."""
    with browser.new_context(
        viewport={"width": 1280, "height": 800}, color_scheme="light", locale="en-GB"
    ) as profile:
        profile.set_default_timeout(PATIENCE)
        yield profile


@pytest.fixture
def watch(context: BrowserContext) -> Iterator[Watch]:
    """What the profile's windows do; the test fails if that is more than it expected."""
    watching = Watch(context)
    yield watching
    assert watching.troubles() == []


@pytest.fixture
def page(context: BrowserContext, watch: Watch) -> Page:
    """An empty window."""
    return context.new_page()


@pytest.fixture
def at_accounts(page: Page, control: Control) -> Page:
    """A window with a session, at /accounts."""
    app = control.stack.app_url
    give_session(page, app, control.stack.function_key)
    page.goto(f"{app}/accounts")
    return page
