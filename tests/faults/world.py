"""The running stack, what the suite does to it, and what it asks it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import requests
from azure.data.tables import TableClient, UpdateMode
from azure.storage.queue import QueueClient

from local import demo, ports
from local.azurite import Azurite, AzuritePorts, connection_string
from local.stack import Instance, Stack
from local.stack_files import REPOSITORY
from shared.adapters.storage.mail_rows import id_of
from tests.faults import app
from tests.faults.comparison import Copy, Entry, Mailbox
from tests.faults.relay import Relay

SWEEP = "ring_again"
WRITTEN_SECONDS = 6.5
"""Azurite has written its tables to disk so long after the last change."""
_FUNCTION_APP = "from tests.faults.app import disturbed\n\napp = disturbed()\n"
_COLUMNS = ["RowKey", "status", "account", "subject", "reason", "help"]
_SECONDS = 10


@dataclass(frozen=True)
class Terms:
    """How the stack is set up. Times in seconds."""

    instances: int = 3
    lease: int = 8
    send_timeout: int = 3
    message_lock: int = 15
    skews: Sequence[float] = (0.0, 12.0, -12.0)
    """How far each instance's clock is ahead."""
    strands: float = 0.5
    """How likely a stop leaves a batch locked, as the real host did in 2 of 27 stops."""
    flaw: str = ""
    settings: Mapping[str, str] | None = None


STEADY = Terms(instances=2, skews=(0.0,), message_lock=600, strands=0.0)
"""One time for all, and the host's own lock of ten minutes."""


class World:
    """Azurite behind a wire that can be cut, the simulator, and several instances of the app."""

    def __init__(self, directory: Path, mailboxes: Sequence[Mailbox], terms: Terms) -> None:
        self.mailboxes = mailboxes
        self.terms = terms
        self._directory = directory
        behind = AzuritePorts(*ports.free_ports(3))
        page_context = AzuritePorts(*ports.free_ports(3))
        self._azurite = Azurite(directory / "azurite.log", directory=directory / "data", at=behind)
        self._behind = connection_string(behind)
        self._front = connection_string(page_context)
        self.relay = Relay(
            {
                page_context.blob: behind.blob,
                page_context.queue: behind.queue,
                page_context.table: behind.table,
            }
        )
        self.stack = Stack(
            directory / "stack",
            app_port=0,
            simulator_port=0,
            instances=terms.instances,
            storage=self._front,
            app_dir=self._app_directory(),
            settings=self._settings(),
            local_settings=False,
            host_options=(
                "--shorten-message-lock",
                str(terms.message_lock),
                "--strand-batches-at-stop",
                str(terms.strands),
            ),
        )
        self._http = requests.Session()
        self._http.trust_env = False
        self._frozen: set[Instance] = set()

    def start(self) -> World:
        """Start all of it, with the mailboxes signed in through the real flow."""
        try:
            self._azurite.start()
            self.relay.start()
            self.stack.start()
            for box in self.mailboxes:
                self.control("POST", "mailboxes", {"address": box.address})
                self.sign_in(box)
            if any(box.verified for box in self.mailboxes):
                self._narrow()
            # The SDK builds its classes at the first message, and not for several threads at once.
            with self.queue() as queue:
                queue.send_message(wake_up_for("0199a000-0000-7000-8000-000000000000"))
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End all of it."""
        self.thaw_all()
        self.stack.stop()
        self.relay.stop()
        self._azurite.stop()
        self._http.close()

    def __enter__(self) -> World:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def kill(self, choice: float) -> bool:
        """SIGKILL an instance, host and worker; the platform starts another. False where none was
        there."""
        instance = self._instance(choice)
        if instance is None or not _signal_group(instance, signal.SIGKILL):
            return False
        self._frozen.discard(instance)
        return True

    def kill_host(self, choice: float) -> bool:
        """SIGKILL a host alone: its worker finishes what it does. False where none was there."""
        instance = self._instance(choice, frozen=False)
        return instance is not None and _signal(instance.host, signal.SIGKILL)

    def kill_worker(self, choice: float) -> bool:
        """SIGKILL a Python worker alone: its host starts another. False where none was there."""
        instance = self._instance(choice, frozen=False)
        return instance is not None and _signal(instance.worker, signal.SIGKILL)

    def stop_one(self, choice: float) -> bool:
        """SIGTERM to a host that holds messages. False while none does."""
        held = self.stack.held_messages()
        holding = [each for each in self._instances(frozen=False) if held[each.number] > 0]
        if not holding:
            return False
        return _signal(holding[int(choice * len(holding))].host, signal.SIGTERM)

    def freeze(self, choice: float) -> Instance | None:
        """SIGSTOP an instance, host and worker; None while another one is frozen."""
        instance = None if self._frozen else self._instance(choice, frozen=False)
        if instance is None or not _signal_group(instance, signal.SIGSTOP):
            return None
        self._frozen.add(instance)
        return instance

    def thaw(self, instance: Instance) -> None:
        """SIGCONT an instance, if it is still there."""
        if instance in self._frozen:
            self._frozen.discard(instance)
            _signal_group(instance, signal.SIGCONT)

    def thaw_all(self) -> None:
        """SIGCONT whatever is frozen."""
        for instance in list(self._frozen):
            self.thaw(instance)

    def cut_storage(self) -> None:
        """Every connection to storage breaks, and none can be made."""
        self.relay.disconnect()

    def restart_storage(self) -> None:
        """SIGKILL Azurite, start it on the same data, and let connections through."""
        if self._azurite.pid is not None:
            os.kill(self._azurite.pid, signal.SIGKILL)
        self._azurite.stop()
        self._azurite.start()
        self.relay.connect()

    def control(self, method: str, path: str, document: object = None) -> dict[str, Any]:
        """One call of the simulator's control surface."""
        url = f"{self.stack.info['control_url']}/{path}"
        answer = self._http.request(method, url, json=document, timeout=30)
        assert answer.ok, f"{method} {path}: {answer.text}"
        found: dict[str, Any] = answer.json()
        return found

    def sign_in(self, box: Mailbox) -> None:
        """As an administrator does."""
        demo.sign_in(self.stack.info, box.address, box.alias)

    def _narrow(self) -> None:
        """Take Mail.ReadWrite from the direct accounts: the sign-in asks the same for all."""
        self.stack.stop_host()
        with TableClient.from_connection_string(self._behind, "accounts") as table:
            for row in list(table.list_entities()):
                if any(box.alias == row["RowKey"] and not box.verified for box in self.mailboxes):
                    row["scopes"] = row["scopes"].replace(app.READ_WRITE, "")
                    table.update_entity(row, mode=UpdateMode.REPLACE)
        # Copies in Sent Items are late, and drafts look like drafts until then.
        self.control(
            "POST",
            "options",
            {"graph": {"sent_items_delay_seconds": 1.5, "submitted_draft_visible": True}},
        )
        self.stack.start_host()

    def accounts(self) -> dict[str, str]:
        """The state of each account, by alias. Raises requests' errors."""
        answer = self._http.get(
            f"{self.stack.app_url}/api/accounts",
            headers={"x-functions-key": self.stack.function_key, "Connection": "close"},
            timeout=_SECONDS,
        )
        answer.raise_for_status()
        return {row["alias"]: row["state"] for row in answer.json()["accounts"]}

    def sweep(self) -> bool:
        """Let the timer's function run now, in whichever instance takes the call."""
        try:
            answer = self._http.post(
                f"{self.stack.app_url}/admin/functions/{SWEEP}",
                headers={"x-functions-key": self.stack.master_key, "Connection": "close"},
                json={},
                timeout=3,
            )
        except requests.RequestException:
            return False
        return answer.status_code == 202

    def ledger(self) -> list[Entry]:
        """Every mail, from storage itself."""
        with TableClient.from_connection_string(self._behind, "mails") as table:
            return [
                Entry(
                    mail_id=id_of(row["RowKey"]),
                    status=row["status"],
                    account=row.get("account"),
                    subject=row.get("subject", ""),
                    reason=row.get("reason") or None,
                    help=row.get("help") or None,
                )
                for row in table.list_entities(select=_COLUMNS)
            ]

    def copies(self) -> list[Copy]:
        """Every mail that was handed to transport."""
        return [
            Copy(mail["key"], mail["mailbox"], mail["subject"])
            for mail in self.control("GET", "deliveries")["deliveries"]
        ]

    def queue(self, *, through_the_wire: bool = True) -> QueueClient:
        """The queue, for an application that does not try twice by itself."""
        where = self._front if through_the_wire else self._behind
        return QueueClient.from_connection_string(where, "outbox", retry_total=0)

    def events(self) -> Iterator[dict[str, Any]]:
        """The app's log events so far."""
        log = self.stack.state_dir / "logs" / "host.log"
        for found in re.finditer(r'\{"event":.*\}', log.read_text(errors="replace")):
            with suppress(ValueError):
                yield json.loads(found[0])

    def _instances(self, *, frozen: bool) -> list[Instance]:
        return [each for each in self.stack.instances() if frozen or each not in self._frozen]

    def _instance(self, choice: float, *, frozen: bool = True) -> Instance | None:
        there = [each for each in self._instances(frozen=frozen) if _is_ours(each.host)]
        return there[int(choice * len(there))] if there else None

    def _settings(self) -> dict[str, str]:
        terms = self.terms
        return {
            "POSTROOM_SEND_TIMEOUT_SECONDS": str(terms.send_timeout),
            # Each slot that a killed worker had in hand would cost the run its time.
            "POSTROOM_MAILS_PER_MINUTE": "0",
            app.LEASE: str(terms.lease),
            app.SKEWS: ",".join(map(str, terms.skews)),
            app.FLAW: terms.flaw,
            app.VERIFIED: "true" if any(box.verified for box in self.mailboxes) else "",
            "POSTROOM_LOOK_AFTER_SECONDS": "1,2,3,4,6",
            **(terms.settings or {}),
        }

    def _app_directory(self) -> Path:
        directory = self._directory / "app"
        directory.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / "host.json", directory)
        (directory / "function_app.py").write_text(_FUNCTION_APP, encoding="utf-8")
        return directory


def _signal(pid: int, number: int) -> bool:
    """Whether the process was there."""
    with suppress(ProcessLookupError):
        if _is_ours(pid):
            os.kill(pid, number)
            return True
    return False


def _signal_group(instance: Instance, number: int) -> bool:
    """To a host and its worker, which are one process group."""
    with suppress(ProcessLookupError):
        if _is_ours(instance.host):
            os.killpg(instance.host, number)
            return True
    return False


def _is_ours(pid: int) -> bool:
    """Whether this process is (still) one of ours: numbers are used again."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return b"local.host" in command


def wake_up_for(mail_id: str) -> str:
    """The message that rings for a mail."""
    return json.dumps({"postroom": "bell", "mail_id": mail_id})


def until(seconds: float) -> Iterator[float]:
    """Yields the seconds that have passed, a few times a second, for so long."""
    began = time.monotonic()
    while (passed := time.monotonic() - began) < seconds:
        yield passed
        time.sleep(0.2)
