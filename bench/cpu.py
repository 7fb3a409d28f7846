"""Processor time per delivered mail, against a bare `requests.Session` posting the same body.

The simulated Graph and Azurite are processes of their own, so that this process's time is the
client's alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import cast

import requests
from msgspec.structs import replace

from bench import world
from bench.mails import Sample, samples
from bench.memory import (
    MemoryAccounts,
    MemoryKeys,
    MemoryLedger,
    MemoryPayloads,
    MemoryTimetables,
    NoFiles,
    SilentWakeUps,
)
from bench.paired import Pair, alternate, cpu_of
from bench.parts import parts_of
from local.stack import Stack
from shared.composition.services import Services
from shared.mail.account import Account
from shared.mail.account_list import AccountList
from shared.mail.choice import choose
from shared.mail.graph_payload import send_request
from shared.services.adapters import Adapters
from shared.services.clock import utc_now
from shared.services.delivery.delivery import Delivery
from shared.services.delivery.delivery_result import DeliveryResult
from shared.services.intake.mail_document import Order, read_json
from shared.services.mails.ports import Files

BUDGET = 2.0
NO_LIMITS = {"requests_per_window": 10**9, "upload_bytes_per_window": 10**12}


@dataclass(frozen=True)
class Measured:
    """One kind of mail."""

    sample: Sample
    request_bytes: int
    sender: Pair
    sender_default: Pair
    """Against a session as it comes, which reads the environment at each request."""
    whole: Pair
    parts: Mapping[str, float]
    """Milliseconds of processor time of one whole delivery, by part."""


def measure(*, quick: bool) -> list[Measured]:
    """All kinds of mail, one after the other."""
    found = []
    with world.signed_in() as stack, world.services(stack) as services:
        world.change_simulator(stack, "options", {"graph": NO_LIMITS})
        for sample in samples():
            large = len(sample.document) > 1_000_000
            runs = (6 if large else 20) if quick else (40 if large else 300)
            found.append(_measure(stack, services, sample, runs))
    return found


def _measure(stack: Stack, services: Services, sample: Sample, runs: int) -> Measured:
    order = read_json(sample.document, datetime.now(UTC))
    account = services.adapters.accounts.all()[0]
    body, content_type = _request(order, account)
    token = services.tokens.access_token(account)
    with (
        _bare(stack, token, content_type, body) as post,
        _bare(stack, token, content_type, body, trust_env=True) as default,
    ):
        sender = Sender(services, account)

        def send_one() -> float:
            return sender.send(order)

        def accept() -> str:
            return services.submission.accept(order).mail.mail_id

        def deliver(mail_id: str) -> float:
            return _timed(services.delivery, mail_id)

        def whole_one() -> float:
            return deliver(accept())

        return Measured(
            sample=sample,
            request_bytes=len(body),
            sender=alternate(send_one, lambda: cpu_of(post), runs),
            sender_default=alternate(send_one, lambda: cpu_of(default), runs // 2),
            whole=alternate(whole_one, lambda: cpu_of(post), runs),
            parts=parts_of(accept, deliver, max(10, runs // 4)),
        )


def _request(order: Order, account: Account) -> tuple[bytes, str]:
    _, sender = choose(AccountList([account]), order.account, order.message.sender)
    request = send_request(order.message, sender, "0" * 36, datetime.now(UTC))
    return request.body, request.content_type


@contextmanager
def _bare(
    stack: Stack, token: str, content_type: str, body: bytes, *, trust_env: bool = False
) -> Iterator[Callable[[], None]]:
    """The yardstick: a script that has the body and the token already.

    Reading the environment for proxies is left out: that depends on the machine.
    """
    url = f"{stack.info['graph_url']}/me/sendMail"
    headers = {"Authorization": f"Bearer {token}", "Content-Type": content_type}
    ca_file = stack.info["ca_file"]
    with requests.Session() as session:
        session.trust_env = trust_env

        def post() -> None:
            answer = session.post(url, data=body, headers=headers, timeout=100, verify=ca_file)
            if answer.status_code != 202:
                raise RuntimeError(f"the simulated Graph answered {answer.status_code}")

        yield post


class Sender:
    """The services with the real Graph adapter and the token's hot path, and storage in memory."""

    def __init__(self, services: Services, account: Account, files: Files | None = None) -> None:
        self._ledger = MemoryLedger()
        real = services.adapters
        adapters = SimpleNamespace(
            mails=self._ledger,
            attention=real.attention,
            waiting=real.waiting,
            wake_ups=SilentWakeUps(),
            payloads=MemoryPayloads(),
            files=files or NoFiles(),
            keys=MemoryKeys(),
            accounts=MemoryAccounts([account]),
            timetables=MemoryTimetables(),
            graph=real.graph,
            drafts=real.drafts,
        )
        settings = replace(services.settings, mails_per_minute=0)
        own = Services(cast(Adapters, adapters), settings, clock=utc_now)
        own.tokens = services.tokens
        self._submission, self._delivery = own.submission, own.delivery

    def send(self, order: Order) -> float:
        """Processor seconds of delivering one mail; accepting it is not counted."""
        mail_id = self.accept(order)
        try:
            return _timed(self._delivery, mail_id)
        finally:
            self._ledger.clear()

    def accept(self, order: Order) -> str:
        """The id of a mail that now waits for `deliver`."""
        return self._submission.accept(order).mail.mail_id

    def deliver(self, mail_id: str) -> None:
        """Deliver one mail, which must go."""
        _timed(self._delivery, mail_id)
        self._ledger.clear()


def _timed(delivery: Delivery, mail_id: str) -> float:
    began = time.process_time()
    result = delivery.deliver(mail_id)
    took = time.process_time() - began
    if result is not DeliveryResult.SENT:
        raise RuntimeError(f"the mail was not sent: {result}")
    return took
