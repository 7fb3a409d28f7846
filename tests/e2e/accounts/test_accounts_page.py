"""docs/accounts.md can be followed on the local stack: each block that is marked as local, by itself."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local.stack import Stack
from tests.e2e.control import Control

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "accounts.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"<!-- local: ([a-z-]+) -->\n```console\n(.*?)```", PAGE, re.DOTALL))


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack of its own, to which accounts of either kind may sign in."""
    settings = {"POSTROOM_MAILS_PER_MINUTE": "0", "POSTROOM_TENANT": "common"}
    state = tmp_path_factory.mktemp("accounts")
    with Stack(state, 0, 0, settings=settings, local_settings=False) as running:
        yield running


@pytest.fixture(scope="module")
def control_of_stack(stack: Stack) -> Iterator[Control]:
    control = Control(stack)
    yield control
    control.close()


def follow(control: Control, block: str) -> None:
    """Type the commands of a block."""
    commands = re.findall(r"^\$ ((?:.*\\\n)*.*)$", block, re.MULTILINE)
    assert commands
    for command in commands:
        typed = command.replace("curl ", "curl --fail-with-body -s ", 1)
        done = subprocess.run(  # noqa: S603 - our own page
            ["bash", "-c", re.sub(r"^python ", '"$PYTHON" ', typed)],  # noqa: S607
            env={
                "PATH": os.environ["PATH"],
                "PYTHON": sys.executable,
                "C": str(control.stack.info["control_url"]),
                "APP": control.stack.app_url,
                "KEY": control.stack.function_key,
                "POSTROOM_STATE_DIR": str(control.stack.state_dir),
            },
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


def scopes(control: Control) -> dict[str, set[str]]:
    return {one["alias"]: set(one["scopes"]) for one in control.accounts()}


def least(control: Control) -> None:
    """Users may consent to sending, whatever the tenant reserves to administrators."""
    assert scopes(control) == {"billing": {"Mail.Send", "User.Read"}}


def work(control: Control) -> None:
    assert "Mail.ReadWrite" not in scopes(control)["billing"]
    assert "Mail.ReadWrite" in scopes(control)["ada"]


def personal(control: Control) -> None:
    assert [one["kind"] for one in control.accounts()] == ["personal"]


def left(control: Control) -> tuple[str, str]:
    """What the one mail that was sent has in From, and whose mailbox it left from."""
    (delivery,) = control.deliveries(1)
    return delivery["from"], delivery["mailbox"]


def other_from(control: Control) -> None:
    assert left(control) == ("info@contoso.com", "billing@contoso.com")


def shared(control: Control) -> None:
    assert left(control) == ("info@contoso.com", "info@contoso.com")


def app_only(control: Control) -> None:
    assert left(control) == ("noreply@contoso.com", "noreply@contoso.com")
    assert control.grants() == []


def checked(control: Control) -> None:
    """What the check that is typed last found is known to everybody."""
    (account,) = control.accounts()
    (known,) = control.api("GET", "health/details").json()["checks"]
    assert (account["state"], account["reason"]) == ("needs-sign-in", "AADSTS50173")
    assert known["result"] == "not_ok"


def disconnected(control: Control) -> None:
    assert control.accounts() == []
    assert control.grants() == []


FOLLOWED: dict[str, Callable[[Control], None]] = {
    "admin-consent": least,
    "work": work,
    "personal": personal,
    "other-from": other_from,
    "shared": shared,
    "app-only": app_only,
    "code": least,
    "check": checked,
    "disconnect": disconnected,
}


def test_each_local_block_of_the_page_is_followed() -> None:
    assert BLOCKS.keys() == FOLLOWED.keys()


@pytest.mark.parametrize("name", list(FOLLOWED))
def test_the_local_equivalent_of_a_section_does_what_the_section_says(
    name: str, control: Control
) -> None:
    follow(control, BLOCKS[name])

    FOLLOWED[name](control)
