"""Who the app is: a mail arrives with each kind of credential, and while one is renewed none is lost."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from local import demo
from local.provision import CLIENT_SECRET_NAME
from local.stack import CREDENTIALS, Stack
from tests.canary import leaks_in
from tests.e2e.control import Control
from tests.unit.sign_in_fakes import events_in

TOKEN_SECONDS = 4
"""Tokens of ten minutes or less are used for half their life: each worker refreshes every 2 s."""
WORKERS = 3
NEW_SECRET = "SIMSECRET~renewed.under-load"


@pytest.mark.parametrize("kind", CREDENTIALS)
def test_a_mail_arrives_with_each_kind_of_credential(tmp_path: Path, kind: str) -> None:
    with Stack(tmp_path, 0, 0, local_settings=False, credential=kind) as stack:
        demo.sign_in(stack.info, demo.MAILBOX, demo.ALIAS)
        demo.send_by_http(stack.info, "By its own credential")
        (arrived,) = demo.wait_for(stack.info, 1)
        said = demo.proven_by(stack.info)

        assert arrived["subject"] == "By its own credential"
        assert said.split(",")[0] == kind
        assert leaks_in(tmp_path / "logs" / "host.log") == []


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[Control]:
    """A stack of several workers whose tokens live for seconds, with a mailbox that may send."""
    settings = {"POSTROOM_MAILS_PER_MINUTE": "0"}
    with Stack(tmp_path, 0, 0, WORKERS, settings=settings, local_settings=False) as stack:
        control = Control(stack)
        control.options(access_token_seconds=TOKEN_SECONDS)
        demo.sign_in(stack.info, demo.MAILBOX, demo.ALIAS)
        yield control
        control.close()


def send_for(control: Control, seconds: float, who: str) -> list[str]:
    """Send one mail after another; the ids of those that were accepted, which all have to be."""
    until = time.monotonic() + seconds
    ids: list[str] = []
    while time.monotonic() < until:
        mail = control.send(to="ada@contoso.com", subject=f"{who}-{len(ids)}", text="x")
        ids.append(str(mail["id"]))
        time.sleep(0.05)
    return ids


def said_by(control: Control, name: str) -> list[dict[str, Any]]:
    """The app's log events of one name, from all workers."""
    log = (control.stack.state_dir / "logs" / "host.log").read_text().splitlines()
    found = events_in([line[line.index("{") :] for line in log if '{"event"' in line])
    return [one for one in found if one["event"] == name]


@pytest.mark.parametrize("order", ["stored first", "expired first"])
def test_renewing_the_client_secret_under_load_loses_fails_and_doubles_no_mail(
    busy: Control, order: str
) -> None:
    old = str(busy.stack.info["client_secret"])
    with ThreadPoolExecutor(2) as callers:
        sending = [callers.submit(send_for, busy, 12.0, who) for who in ("a", "b")]
        time.sleep(4)
        busy.ask("POST", "client-secrets", {"add": NEW_SECRET})
        if order == "stored first":
            busy.store(CLIENT_SECRET_NAME, NEW_SECRET)
            time.sleep(2)
            busy.ask("POST", "client-secrets", {"expire": old})
        else:
            busy.ask("POST", "client-secrets", {"expire": old})
            busy.store(CLIENT_SECRET_NAME, NEW_SECRET)
        accepted = [mail_id for caller in sending for mail_id in caller.result()]

    arrived = Counter(mail["subject"] for mail in busy.deliveries(len(accepted), seconds=60))

    assert set(arrived.values()) == {1}
    assert len(arrived) == len(accepted) > 50
    stories = [busy.api("GET", f"mails/{mail_id}").json() for mail_id in accepted]
    assert {history["status"] for history in stories} == {"sent"}
    passed = {event["status"] for history in stories for event in history["events"]}
    assert not {"held", "failed", "unknown"} & passed
    assert busy.accounts()[0]["state"] == "ready"
    answers = said_by(busy, "app_credential_answers")
    assert len({one["version"] for one in answers}) == 2, answers
    assert busy.ask("GET", "counts")["counts"]["entra.token"] > 2 * WORKERS
