"""The life of an account on the whole stack: signed in, checked, revoked, signed in again, disconnected,
connected again."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from local import demo
from tests.e2e.conftest import SignedIn
from tests.e2e.control import Control


def check(control: Control) -> dict[str, Any]:
    answer = control.api("POST", f"accounts/{demo.ALIAS}/check")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def disconnect(control: Control) -> dict[str, Any]:
    answer = control.api("DELETE", f"accounts/{demo.ALIAS}?waiting=hold")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


class Log:
    """What the app has logged since."""

    def __init__(self, control: Control) -> None:
        self._file = control.stack.state_dir / "logs" / "host.log"
        self._start = self._file.stat().st_size

    def count(self, name: str) -> int:
        with self._file.open("rb") as file:
            file.seek(self._start)
            return file.read().decode().count(json.dumps({"event": name})[1:-1].replace(": ", ":"))


def test_an_account_is_checked_revoked_signed_in_disconnected_and_connected_again(
    control: Control, signed_in_account: SignedIn
) -> None:
    log = Log(control)
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    waiting = control.send(
        to="ada@example.com", subject="Later", text="Hello", scheduled_at=tomorrow
    )["id"]
    assert check(control)["result"] == "ok"

    control.ask("POST", "revoke", {"mailbox": demo.MAILBOX, "access_tokens": True})
    revoked = [check(control) for _ in range(2)]

    for found in revoked:
        (grant,) = found["findings"]
        assert (grant["what"], grant["result"], grant["code"]) == ("grant", "not_ok", "AADSTS50173")
        assert grant["step"]
    assert [one["state"] for one in control.accounts()] == ["needs-sign-in"]
    assert log.count("account_needs_sign_in") == 1
    assert log.count("account_trouble_found") == 0

    demo.sign_in(control.stack.info, demo.MAILBOX, demo.ALIAS)
    assert check(control)["result"] == "ok"

    (name,) = control.grants()
    gone = disconnect(control)
    assert (gone["done"], gone["secret_purged"]) == (True, True)
    assert control.accounts() == []
    assert control.readable_versions(name) == []
    assert disconnect(control)["done"]

    demo.sign_in(control.stack.info, demo.MAILBOX, demo.ALIAS)
    (again,) = control.grants()
    assert again != name
    now = control.api("PATCH", f"mails/{waiting}", {"scheduled_at": None})
    assert now.status_code == 200, now.text
    assert [one["subject"] for one in control.deliveries(1)] == ["Later"]


def test_a_vault_with_purge_protection_keeps_a_secret_that_nobody_can_read(
    control: Control, signed_in_account: SignedIn
) -> None:
    control.options(vault_purge_protection=True)
    (name,) = control.grants()
    gone = disconnect(control)

    assert (gone["done"], gone["secret_purged"]) == (True, False)
    assert gone["secret_gone_at"]
    assert control.readable_versions(name) == []

    demo.sign_in(control.stack.info, demo.MAILBOX, demo.ALIAS)
    control.send(wait=10, to="ada@example.com", subject="Again", text="Hello")
    assert [one["subject"] for one in control.deliveries(1)] == ["Again"]
