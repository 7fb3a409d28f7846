"""`make run`: runs the whole of Postroom on this machine and sends two mails through it.

It starts the local stack, signs a mailbox in through the real flow, sends one mail by HTTP and one
by the queue, shows that both arrived, prints the addresses of the pages, and runs until Ctrl-C.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import requests
from azure.storage.queue import QueueClient

from local.browser import Browser, BrowserError
from local.console import Console
from local.stack import CREDENTIALS, Stack
from local.stack_errors import StackError
from local.stack_files import REPOSITORY
from shared.mail.character_references import decoded

MAILBOX = "billing@contoso.com"
ALIAS = "billing"
ARRIVAL_SECONDS = 30


class DemoError(Exception):
    """A step of the demonstration failed."""


def main() -> int:
    """Run the demonstration. Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=7071, help="the app's port")
    parser.add_argument("--simulator-port", type=int, default=7072, help="the simulator's port")
    parser.add_argument("--instances", type=int, default=1, help="instances of the app")
    parser.add_argument(
        "--credential", choices=CREDENTIALS, default="secret", help="the credential of the app"
    )
    parser.add_argument("--once", action="store_true", help="stop after both mails arrived")
    options = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGINT):
        # A shell that starts a program in the background makes it ignore Ctrl-C.
        signal.signal(number, signal.default_int_handler)
    console = Console()
    try:
        with Stack(
            Path(os.environ.get("POSTROOM_STATE_DIR", REPOSITORY / ".local")),
            app_port=options.port,
            simulator_port=options.simulator_port,
            instances=options.instances,
            console=console,
            credential=options.credential,
        ) as stack:
            show(stack.info, console)
            if options.once:
                return 0
            _stay(stack.info)
    except (StackError, DemoError, BrowserError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.")
    return 0


def show(info: dict[str, Any], console: Console) -> None:
    """Sign in, send both mails, wait until they arrived."""
    with console.step(f"sign in {MAILBOX} through the real flow"):
        sign_in(info, MAILBOX, ALIAS)
    with console.step("send one mail by HTTP"):
        mail_id = send_by_http(info, "First mail, by HTTP")
    with console.step("put one mail on the queue"):
        send_by_queue(info, "Second mail, by the queue")
    with console.step("both arrived"):
        arrived = wait_for(info, 2)
    for delivery in arrived:
        print(f"    {delivery['mailbox']} → {', '.join(delivery['to'])}: {delivery['subject']}")
    print("    the history of the first mail:")
    print(
        f"    curl {info['app_url']}/api/mails/{mail_id} -H 'x-functions-key: {info['function_key']}'"
    )
    print(f"    the app's credential: {proven_by(info)}")


def sign_in(
    info: dict[str, Any],
    mailbox: str,
    alias: str,
    *,
    replace: bool = False,
    verified: bool = False,
    shared: bool = False,
    personal: bool = False,
    by_code: bool = False,
) -> None:
    """Connect a mailbox as an administrator would: session, login, Microsoft's pages, callback.

    `verified` also grants Mail.ReadWrite, `shared` also Mail.Send.Shared. `personal` chooses that
    kind on the form. `by_code` signs in by a code instead of the callback.
    """
    browser = Browser()
    try:
        browser.open(f"{info['app_url']}/signin")
        status = browser.fetch(
            f"{info['app_url']}/session", {"x-functions-key": info["function_key"]}
        )
        if status != 204:
            raise DemoError(f"the session was not opened: {status}")
        browser.open(f"{info['app_url']}/accounts")
        sign_in_request = {"alias": alias, "expected_address": mailbox}
        ticked = {"replace": replace, "verified": verified, "shared": shared}
        sign_in_request |= {name: "yes" for name, wanted in ticked.items() if wanted}
        sign_in_request |= {"kind": "personal"} if personal else {}
        if by_code:
            _enter_code(browser, info, sign_in_request, mailbox)
        else:
            browser.submit(sign_in_request, action="/auth/login", having="expected_address")
            _through_microsoft(browser, mailbox)
    finally:
        browser.close()
    if "/accounts" not in browser.url or mailbox not in browser.text:
        raise DemoError(f"{mailbox} was not linked: {told(browser.text, browser.status)}")


def told(page: str, status: int) -> str:
    """The text of a page on which a sign-in ended without success: Postroom's notice or Microsoft's
    page."""
    found = [
        one
        for part in (
            r'<p class="what">(.*?)</p>',
            r'id="help">(.*?)</dd>',
            r'id="code">(.*?)</code>',
        )
        if (one := re.search(part, page, re.DOTALL))
    ]
    if not found:
        whole = re.search(r"<main.*?</main>", page, re.DOTALL)
        found = [whole] if whole else []
    words = " ".join(re.sub("<[^>]*>", " ", one[1] if one.re.groups else one[0]) for one in found)
    words = " ".join(decoded(words).split())
    return words or f"the page says nothing ({status})"


def _enter_code(
    browser: Browser, info: dict[str, Any], sign_in_request: dict[str, str], mailbox: str
) -> None:
    """Ask for a code, type it at Microsoft in another browser, and come back."""
    browser.submit(sign_in_request, having="expected_address", to="/auth/device")
    found = re.search(r'id="user-code"[^>]*>([A-Z0-9-]+)<', browser.text)
    if found is None:
        raise DemoError(f"there is no code ({browser.status})")
    elsewhere = Browser()
    try:
        elsewhere.open(f"{info['control_url'].removesuffix('/control')}/devicelogin")
        elsewhere.submit({"otc": found[1]}, action="/devicelogin")
        _through_microsoft(elsewhere, mailbox)
    finally:
        elsewhere.close()
    browser.submit(action="/auth/device/finish")


def _through_microsoft(browser: Browser, mailbox: str) -> None:
    """Choose an account, accept, and follow the redirects."""
    for _ in range(5):
        buttons = [button for form in browser.forms() for button in form.buttons]
        if ("username", mailbox) in buttons:
            browser.submit(button=("username", mailbox))
        elif ("answer", "verify") in buttons:
            browser.submit({"code": "123456"}, button=("answer", "verify"))
        elif ("answer", "next") in buttons:
            browser.submit({"username": mailbox}, button=("answer", "next"))
        elif ("answer", "accept") in buttons:
            browser.submit(button=("answer", "accept"))
        elif any(form.action.endswith("/api/auth/callback") for form in browser.forms()):
            browser.submit(action="/api/auth/callback")
        else:
            break


def consent(info: dict[str, Any], mailbox: str, permissions: Sequence[str]) -> None:
    """Let the owner of a mailbox consent to further permissions of the app. Every later token has
    the permissions that were granted once, so the mailbox is signed in with them from then on."""
    asked = urlencode(
        {
            "client_id": info["client_id"],
            "response_type": "code",
            "response_mode": "form_post",
            "redirect_uri": f"{info['app_url']}/api/auth/callback",
            "scope": " ".join(f"https://graph.microsoft.com/{name}" for name in permissions),
            # The page that would post the code to the app is not submitted, so nobody redeems the
            # code.
            "code_challenge": "0" * 43,
            "code_challenge_method": "S256",
        }
    )
    base = info["control_url"].removesuffix("/control")
    browser = Browser()
    try:
        browser.open(f"{base}/{info['tenant_id']}/oauth2/v2.0/authorize?{asked}")
        browser.submit({"username": mailbox}, button=("answer", "next"))
        browser.submit(button=("answer", "accept"))
    finally:
        browser.close()


def proven_by(info: dict[str, Any]) -> str:
    """The kind and the version of the credential that the app says it used."""
    answer = requests.get(
        f"{info['app_url']}/api/health/details",
        headers={"x-functions-key": info["function_key"]},
        timeout=60,
    )
    used = [one for one in answer.json().get("credential", []) if one["in_use"]]
    if not used:
        raise DemoError("the app does not say which credential it used")
    version = used[0]["version"]
    return f"{used[0]['kind']}, version {version} in the vault" if version else used[0]["kind"]


def send_by_http(info: dict[str, Any], subject: str) -> str:
    """`POST /api/send`. Returns the mail's id."""
    answer = requests.post(
        f"{info['app_url']}/api/send",
        headers={"x-functions-key": info["function_key"]},
        json={
            "to": "Ada <ada@contoso.com>",
            "subject": subject,
            "text": "Sent with one POST to /api/send.",
        },
        timeout=30,
    )
    if answer.status_code != 202:
        raise DemoError(f"the send was answered {answer.status_code}: {answer.text}")
    return str(answer.json()["id"])


def send_by_queue(info: dict[str, Any], subject: str) -> None:
    """Put a mail on the queue, as an application with its own storage client does."""
    document = {
        "to": ["ada@contoso.com"],
        "subject": subject,
        "html": "<p>Put on the storage queue <code>outbox</code>.</p>",
    }
    with QueueClient.from_connection_string(
        info["storage_connection_string"], info["queue_name"]
    ) as queue:
        queue.send_message(json.dumps(document))


def wait_for(info: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """Wait until the simulator has handed `count` mails to transport."""
    until = time.monotonic() + ARRIVAL_SECONDS
    while time.monotonic() < until:
        answer = requests.get(
            f"{info['control_url']}/deliveries", params={"count": count, "wait": 5}, timeout=30
        )
        answer.raise_for_status()
        deliveries: list[dict[str, Any]] = answer.json()["deliveries"]
        if len(deliveries) >= count:
            return deliveries
    raise DemoError(f"not all {count} mails arrived within {ARRIVAL_SECONDS} s; see .local/logs")


def _stay(info: dict[str, Any]) -> None:
    print(
        f"""
Postroom is running; nothing leaves this machine.

  the pages  {info["app_url"]}/   (function key: {info["function_key"]})
             /mails, /accounts, /docs, and /setup, which says what is done and what is missing
  inbox      {info["inbox_url"]}

Send a mail:

  curl -X POST {info["app_url"]}/api/send \\
    -H "x-functions-key: {info["function_key"]}" -H "Content-Type: application/json" \\
    -d '{{"to": "ada@contoso.com", "subject": "Hello", "text": "From my terminal."}}'

For the examples of docs/api.md:

  export APP={info["app_url"]} KEY={info["function_key"]}

Ctrl-C stops all of it."""
    )
    sys.stdout.flush()
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    sys.exit(main())
