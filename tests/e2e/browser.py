"""Chromium for tests: which one, and what it must never be seen to do."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    Response,
    expect,
    sync_playwright,
)

from local.prerequisites import BROWSERS
from local.prerequisites import browser as missing_browser

PATIENCE = 30_000
"""Milliseconds that Playwright waits for what is expected, on a busy machine."""
_HERE = frozenset({"localhost", "127.0.0.1"})
_WITHOUT = (
    # A process for each frame and site costs more than the pages themselves.
    "IsolateSandboxedIframes",
    # The list under the address bar is two pages of Chromium's own in each window, which nobody sees
    # here: they take more processor time than the page that is tested.
    "WebUIOmniboxPopup",
    "WebUIOmniboxAimPopup",
    "WebUIOmniboxFullPopup",
)
"""Features of Chromium that no test needs."""


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
        f"--disable-features={','.join(_WITHOUT)}",
        "--disable-site-isolation-trials",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
    ]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=next(path for path in found if path),
            args=arguments,
            # Chromium's sandbox refuses to work for root, as in a container.
            chromium_sandbox=os.geteuid() != 0,
        )
        expect.set_options(timeout=PATIENCE)
        try:
            yield browser
        finally:
            browser.close()


class Watch:
    """Notes what no page of ours may do: fail, complain, break its own policy, or call outside."""

    def __init__(self, context: BrowserContext) -> None:
        self.seen: list[str] = []
        self.requests: list[str] = []
        self._expected: list[str] = []
        self._outside: list[Request] = []
        context.on("console", self._console)
        context.on("weberror", lambda error: self.seen.append(f"script error: {error.error}"))
        context.on("request", self._request)
        context.on("requestfailed", self._failed)
        context.on("response", self._response)

    def expect(self, words: str) -> None:
        """Leave out what contains these words: this test provokes it."""
        self._expected.append(words)

    def troubles(self) -> list[str]:
        """What was seen and not expected."""
        outside = [f"request to elsewhere: {request.url}" for request in self._outside]
        return [
            trouble
            for trouble in (*self.seen, *outside)
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
            self._outside.append(request)

    def _failed(self, request: Request) -> None:
        # A page's policy kept it from being sent at all.
        if "csp" in (request.failure or "").lower() and request in self._outside:
            self._outside.remove(request)

    def _response(self, response: Response) -> None:
        if response.status >= 400 and response.request.resource_type != "document":
            self.seen.append(f"{response.status} for {urlsplit(response.url).path}")


def picture(page: Page, name: str) -> None:
    """Keep what the window shows, where POSTROOM_IMAGES names a folder for it."""
    folder = os.environ.get("POSTROOM_IMAGES")
    if folder:
        page.screenshot(path=Path(folder) / f"{name}.png", animations="disabled", caret="hide")


# A person's steps


def give_session(page: Page, app_url: str, key: str) -> None:
    """A session for the window's profile, without the form."""
    answer = page.request.post(f"{app_url}/session", headers={"x-functions-key": key})
    assert answer.status == 204


def type_key(page: Page, app_url: str, key: str) -> None:
    """Type a function key at /signin, right or wrong."""
    page.goto(f"{app_url}/signin")
    page.get_by_label("Function key").fill(key)
    page.get_by_role("button", name="Open").click()


def open_session(page: Page, app_url: str, key: str) -> None:
    """Open a session by the right function key. The next page is awaited: a test that went elsewhere
    at once would abort its loading."""
    type_key(page, app_url, key)
    page.wait_for_url(lambda url: "/signin" not in url)


def begin_sign_in(
    page: Page, alias: str, address: str = "", *, replace: bool = False, verified: bool = False
) -> None:
    """Fill in the form of /accounts and press its button. Ends at Microsoft."""
    page.get_by_label("Alias", exact=True).fill(alias)
    page.get_by_label("Expected address").fill(address)
    page.get_by_label("Put another mailbox").set_checked(replace)
    page.locator("#verified").set_checked(verified)
    page.get_by_role("button", name="Sign in at Microsoft").click()


def choose(page: Page, address: str) -> None:
    """Pick an account on Microsoft's page."""
    page.locator(f'button[name="username"][value="{address}"]').click()


def accept(page: Page) -> None:
    """Agree on Microsoft's consent page."""
    page.locator("#accept").click()


# What a page looks like

TOO_WIDE = """() => {
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= width) return [];
  const found = [...document.querySelectorAll("body *")]
    .filter((element) => element.getBoundingClientRect().right > width + 0.5)
    .map((element) => element.outerHTML.slice(0, 90).replace(/\\s+/g, " "));
  return found.length ? found : ["a text that leaves its element"];
}"""
"""Elements that make the page scroll sideways."""

CLIPPED = """() => [...document.querySelectorAll("body *")]
  .filter((element) => {
    const style = getComputedStyle(element);
    const shown = style.visibility === "visible" && element.getClientRects().length > 0;
    const hides = style.overflowX === "hidden" && style.textOverflow !== "ellipsis";
    return shown && hides && style.clipPath === "none"
      && element.scrollWidth > element.clientWidth + 1;
  })
  .map((element) => element.outerHTML.slice(0, 90).replace(/\\s+/g, " "))"""
"""Elements that cut their text off without saying so."""

FAINT = """() => {
  const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => {
    const [r, g, b] = colour.slice(0, 3)
      .map((value) => value / 255)
      .map((value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = channels(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return matchMedia("(prefers-color-scheme: dark)").matches ? [18, 18, 18] : [255, 255, 255];
  };
  const found = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    const shown = texts.currentNode.data.trim() && element.getClientRects().length > 0;
    if (!shown || getComputedStyle(element).clipPath !== "none") continue;
    const pair = [light(channels(getComputedStyle(element).color)), light(ground(element))];
    const contrast = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
    if (contrast < 4.5) found.push(`${contrast.toFixed(2)}: ${element.outerHTML.slice(0, 90).replace(/\\s+/g, " ")}`);
  }
  return found;
}"""
"""Texts whose contrast is below WCAG's 4.5:1 (https://www.w3.org/TR/WCAG22/#contrast-minimum)."""

_CONTROLS = """() => {
  const all = "a[href], button, input, select, textarea, summary, [tabindex='0']";
  return [...document.querySelectorAll(all)]
    .filter((element) => element.type !== "hidden" && !element.disabled && element.checkVisibility())
    .filter((element) => element.type !== "radio" || element.checked)
    .map((element, at) => {
      element.dataset.control = String(at);
      const box = element.getBoundingClientRect();
      // What shows with the focus alone stands nowhere before.
      const stands = getComputedStyle(element).position !== "absolute" && box.width > 1;
      return {
        html: element.outerHTML.slice(0, 90).replace(/\\s+/g, " "),
        box: stands ? [box.left, box.top, box.right, box.bottom] : null,
      };
    });
}"""

_FROM_THE_TOP = """() => {
  scrollTo(0, 0);
  document.body.tabIndex = -1;
  document.body.focus();
  document.body.removeAttribute("tabindex");
}"""

_FOCUSED = """() => {
  const element = document.activeElement;
  const box = element.getBoundingClientRect();
  return {
    control: element.dataset.control ?? null,
    end: element === document.body,
    outlined: [null, "::after"].map((part) => getComputedStyle(element, part))
      .some((style) => style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2),
    inside: box.width > 0 && box.height > 0 && box.left >= 0 && box.left < innerWidth
      && box.bottom > 0 && box.top < innerHeight,
  };
}"""


def _goes_back(box: list[float] | None, after: list[float] | None) -> bool:
    """Whether what comes after stands above, in the same column or one to the left."""
    return box is not None and after is not None and after[3] <= box[1] and after[0] < box[2]


def unreachable_by_tab(page: Page) -> list[str]:
    """Controls that Tab does not reach in their turn, or whose focus cannot be seen; and those
    that stand above what comes before them."""
    page.evaluate(_FROM_THE_TOP)
    controls = page.evaluate(_CONTROLS)
    found = [
        f"stands before what comes before it: {after['html']}"
        for one, after in pairwise(controls)
        if _goes_back(one["box"], after["box"])
    ]
    reached: list[int] = []
    # A field for a date is several stops.
    for _ in range(2 * len(controls) + 15):
        page.keyboard.press("Tab")
        for _ in range(20):
            focused = page.evaluate(_FOCUSED)
            seen = focused["outlined"] and focused["inside"]
            if focused["end"] or not focused["control"] or seen:
                break
            # On a busy computer the page is still scrolling there.
            page.wait_for_timeout(50)
        # After the last one comes the browser's own window, or at once the first again.
        if focused["end"] or (reached[1:] and focused["control"] == str(reached[0])):
            break
        if focused["control"] and seen:
            reached.append(int(focused["control"]))
    else:
        found.append("Tab does not come to the end of the page")
    found += [one["html"] for at, one in enumerate(controls) if at not in reached]
    found += [
        f"comes too late: {controls[after]['html']}"
        for at, after in pairwise(reached)
        if after < at
    ]
    return found
