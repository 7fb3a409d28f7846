"""Applications that send: by HTTP with and without keys, and by the queue."""

from __future__ import annotations

import base64
import json
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import requests
from azure.core.exceptions import AzureError
from azure.storage.queue import QueueClient

from local.stack import Stack
from tests.faults.comparison import Accepted, Dropped, Mailbox

_PATIENCE = 6.0
"""Seconds that a caller waits for an answer: a frozen worker gives none."""
_RECIPIENT = "ada@contoso.com"


@dataclass
class TokenResponse:
    """What callers know in the end. Written by many threads."""

    accepted: list[Accepted] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)
    refused: int = 0
    gave_up: int = 0
    """Calls of callers without a key whose answer never came: they do not ask twice."""
    repeated: int = 0

    @property
    def count(self) -> int:
        """How many mails Postroom has taken on."""
        return len({answer.mail_id for answer in self.accepted}) + sum(
            drop.certain for drop in self.dropped
        )


class Callers:
    """Some threads that send mail until there are enough of them."""

    def __init__(
        self,
        stack: Stack,
        queue_of: Callable[[], QueueClient],
        mailboxes: Sequence[Mailbox],
        seed: int,
        *,
        threads: int = 6,
    ) -> None:
        self.told = TokenResponse()
        self._stack = stack
        self._queue_of = queue_of
        self._mailboxes = mailboxes
        self._seed = seed
        self._next = 0
        self._lock = threading.Lock()
        self._enough = threading.Event()
        self._threads = [
            threading.Thread(target=self._work, name=f"caller-{n}", daemon=True)
            for n in range(threads)
        ]
        self._pause = 0.0

    def start(self, mails_a_second: float) -> None:
        """Begin, at about this rate."""
        self._pause = len(self._threads) / mails_a_second
        for thread in self._threads:
            thread.start()

    def finish(self, seconds: float) -> None:
        """Begin no other mail, and wait until each has its answer or gave up."""
        self._enough.set()
        until = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.1, until - time.monotonic()))
            assert not thread.is_alive(), "a caller has got no answer at all"

    def _work(self) -> None:
        session = requests.Session()
        session.trust_env = False
        with session, self._queue_of() as queue:
            while not self._enough.is_set():
                with self._lock:
                    number, self._next = self._next, self._next + 1
                # Repeats with the seed; nothing here is a secret.
                dice = random.Random(f"{self._seed}-{number}")  # noqa: S311
                self._one(session, queue, number, dice)
                self._enough.wait(self._pause * dice.uniform(0.5, 1.5))

    def _one(
        self, session: requests.Session, queue: QueueClient, number: int, dice: random.Random
    ) -> None:
        subject = f"mail {number:05d}"
        box = dice.choice(self._mailboxes)
        mail: dict[str, object] = {
            "account": box.alias,
            "to": _RECIPIENT,
            "subject": subject,
            "text": "Good day.",
        }
        if dice.random() < 0.3:
            # Text and html together go as MIME.
            mail["html"] = "<p>Good day.</p>"
        match dice.choices(("keyed", "plain", "drop", "twice"), (50, 20, 22, 8))[0]:
            case "keyed":
                if dice.random() < 0.04:
                    # Does not fit into a ledger row, so it needs a blob.
                    mail["text"] = base64.b64encode(dice.randbytes(600_000)).decode()
                self._keyed(session, mail, subject, repeats=dice.random() < 0.2)
            case "plain":
                self._plain(session, mail, subject)
            case "drop":
                self._drop(queue, mail, subject, times=1)
            case _:
                self._drop(queue, {**mail, "idempotency_key": f"drop {number}"}, subject, times=2)

    def _keyed(
        self, session: requests.Session, mail: dict[str, object], subject: str, *, repeats: bool
    ) -> None:
        """A good client: the same key again until there is an answer, and sometimes once more."""
        until = time.monotonic() + 90.0
        while time.monotonic() < until:
            answer = self._post(session, mail, subject, f"key {subject}")
            if answer is not None and answer.status_code == 202:
                if not repeats:
                    return
                repeats = False
            elif answer is not None and answer.status_code < 500 and answer.status_code != 429:
                return
            self.told.repeated += 1
            time.sleep(0.3)
        raise AssertionError("no answer to a key in 90 seconds")

    def _plain(self, session: requests.Session, mail: dict[str, object], subject: str) -> None:
        if self._post(session, mail, subject, None) is None:
            self.told.gave_up += 1

    def _post(
        self, session: requests.Session, mail: dict[str, object], subject: str, key: str | None
    ) -> requests.Response | None:
        # A new connection each time, as from many places: any worker may take it.
        headers = {"x-functions-key": self._stack.function_key, "Connection": "close"}
        if key is not None:
            headers["Idempotency-Key"] = key
        try:
            answer = session.post(
                f"{self._stack.app_url}/api/send", json=mail, headers=headers, timeout=_PATIENCE
            )
            document = answer.json() if answer.status_code == 202 else {}
        except (requests.RequestException, ValueError):
            return None
        if answer.status_code == 202:
            self.told.accepted.append(Accepted(str(document["id"]), subject, key))
        elif answer.status_code < 500:
            self.told.refused += 1
        return answer

    def _drop(
        self, queue: QueueClient, mail: dict[str, object], subject: str, *, times: int
    ) -> None:
        text = json.dumps(mail)
        if len(text) % 2:
            text = base64.b64encode(text.encode()).decode()
        certain = False
        for _ in range(times):
            try:
                queue.send_message(text)
                certain = True
            except AzureError:
                # Storage is being killed: it may have taken the message or not.
                continue
        self.told.dropped.append(Dropped(subject, certain))
