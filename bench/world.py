"""The local stack with a signed-in mailbox, and Postroom's services in this very process."""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import requests

from local import demo
from local.stack import Stack
from shared import bootstrap
from shared.composition.services import Services
from shared.settings import load

AS_DEPLOYED = {"PYTHON_THREADPOOL_THREAD_COUNT": "32"}
"""What infra/ sets and what a worker would otherwise take from the processors of this machine."""

# No timer may run in the middle of measuring; and a hundred mails in a row shall not be spread over
# minutes.
QUIET = {
    **AS_DEPLOYED,
    **{
        f"AzureWebJobs.{name}.Disabled": "true"
        for name in ("ring_again", "bury", "sweep", "watch", "tally")
    },
    "POSTROOM_MAILS_PER_MINUTE": "0",
}

VERIFIED = "verified"
"""The alias of a second mailbox, signed in with Mail.ReadWrite."""
VERIFIED_MAILBOX = "ada@contoso.com"


@contextlib.contextmanager
def signed_in(
    *,
    storage: str | None = None,
    consented: Sequence[str] = (),
    also_called: Sequence[str] = (),
) -> Iterator[Stack]:
    """The whole stack, with the demonstration's mailbox signed in through the real flow, and with
    further rights that its owner has `consented` to. See `Stack` for `also_called`."""
    with (
        tempfile.TemporaryDirectory(prefix="postroom-bench-") as directory,
        Stack(
            Path(directory),
            0,
            0,
            storage=storage,
            settings=QUIET,
            local_settings=False,
            also_called=also_called,
        ) as stack,
    ):
        if consented:
            demo.consent(stack.info, demo.MAILBOX, consented)
        demo.sign_in(stack.info, demo.MAILBOX, demo.ALIAS)
        demo.sign_in(stack.info, VERIFIED_MAILBOX, VERIFIED, verified=True)
        yield stack


@contextlib.contextmanager
def services(stack: Stack, **settings: str) -> Iterator[Services]:
    """Postroom's services in this process, by the composition root of production.

    The host is stopped: what the simulator and storage see from now on comes from here.
    """
    stack.stop_host()
    with _environment({**stack.settings, **settings}), _logging():
        yield bootstrap.connected(load(os.environ))


def change_simulator(stack: Stack, path: str, document: object, *, method: str = "POST") -> None:
    """Tell the simulator's control surface something."""
    with requests.Session() as session:
        session.trust_env = False
        url = f"{stack.info['control_url']}/{path}"
        session.request(method, url, json=document, timeout=30).raise_for_status()


def simulator_counts(stack: Stack) -> dict[str, int]:
    """Requests per operation that the simulator has had, its own control surface left out."""
    with requests.Session() as session:
        session.trust_env = False
        answer = session.get(f"{stack.info['control_url']}/counts", timeout=30)
    answer.raise_for_status()
    counts: dict[str, int] = answer.json()["counts"]
    return {name: count for name, count in counts.items() if not name.startswith("control.")}


def deliveries(stack: Stack, count: int) -> list[dict[str, Any]]:
    """Wait until the simulator has taken `count` mails to transport."""
    return demo.wait_for(stack.info, count)


@contextlib.contextmanager
def _environment(settings: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _logging() -> Iterator[None]:
    """Events are written, as in production, but nowhere."""
    log = logging.getLogger("postroom")
    level, propagates = log.level, log.propagate
    with open(os.devnull, "w", encoding="utf-8") as nowhere:  # noqa: PTH123 - no path of a file
        handler = logging.StreamHandler(nowhere)
        log.addHandler(handler)
        log.setLevel(logging.INFO)
        log.propagate = False
        try:
            yield
        finally:
            log.removeHandler(handler)
            log.setLevel(level)
            log.propagate = propagates
