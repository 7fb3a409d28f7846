"""Calls per mail, counted at the wire: storage at a proxy, Microsoft at the simulator."""

from __future__ import annotations

import json
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import azure.functions as func
import requests
from azure.storage.queue import QueueClient

from bench import world
from bench.mails import Sample, samples
from bench.wire import CountingProxy
from local.azurite import Azurite
from local.stack import Stack
from shared.composition.services import Services
from shared.services.delivery.delivery_result import DeliveryResult
from shared.services.intake.outbox_message import OutboxMessage
from shared.web.api import mails

ACCEPT = 3
DELIVER = 3
DELIVER_VERIFIED = 4
WHOLE_LIFE = 8

# Not caused by a mail: looking whether there is one, and the accounts, which each worker reads
# again after 15 seconds. Inside this process the latter is counted, and made to happen before.
_BY_THE_CLOCK = frozenset({"queue poll outbox", "table query accounts"})


@dataclass(frozen=True)
class Calls:
    """What one mail cost, in requests; the worst of several mails."""

    storage: Mapping[str, int]
    microsoft: Mapping[str, int]

    @property
    def storage_total(self) -> int:
        """All storage calls."""
        return sum(self.storage.values())

    def of(self, system: str) -> int:
        """Calls to `graph`, `entra`, `key_vault` or `identity`."""
        return sum(n for name, n in self.microsoft.items() if name.startswith(f"{system}."))


@dataclass(frozen=True)
class Case:
    """One way of a mail, with what it may cost."""

    name: str
    title: str
    calls: Calls
    storage_budget: int
    graph_budget: int
    beyond_row: bool = False
    """The payload does not fit into the ledger's row and takes a blob of its own."""

    @property
    def holds(self) -> bool:
        """Within every budget."""
        return (
            self.calls.storage_total <= self.storage_budget
            and self.calls.of("graph") <= self.graph_budget
            and not any(self.calls.of(name) for name in ("key_vault", "entra", "identity"))
        )


@dataclass
class Bench:
    """A running stack whose storage calls are counted."""

    stack: Stack
    proxy: CountingProxy
    delivered: int = field(default=0)

    def count(self, work: Callable[[], object], *, besides: frozenset[str] = frozenset()) -> Calls:
        """What `work` calls."""
        before = world.simulator_counts(self.stack)
        self.proxy.clear()
        work()
        storage = {name: n for name, n in self.proxy.counts().items() if name not in besides}
        after = Counter(world.simulator_counts(self.stack))
        after.subtract(before)
        return Calls(storage, {name: n for name, n in after.items() if n})

    def worst(
        self,
        work: Callable[[], object],
        mails: int,
        *,
        besides: frozenset[str] = frozenset(),
        before: Callable[[], object] = lambda: None,
    ) -> Calls:
        """The dearest of several."""
        found = []
        for _ in range(mails):
            before()
            found.append(self.count(work, besides=besides))
        return max(found, key=lambda calls: calls.storage_total + sum(calls.microsoft.values()))


@contextmanager
def counted() -> Iterator[Bench]:
    """The stack with a signed-in mailbox, behind the proxy, and its host running."""
    with (
        tempfile.TemporaryDirectory(prefix="postroom-bench-") as directory,
        Azurite(Path(directory) / "azurite.log") as azurite,
        CountingProxy(azurite.ports) as proxy,
        world.signed_in(storage=proxy.connection_string) as stack,
    ):
        yield Bench(stack, proxy)


def measure(*, quick: bool) -> list[Case]:
    """Every way of a mail: whole lives through the host first, then each step by itself."""
    mails = 2 if quick else 10
    with counted() as bench:
        lives = whole_lives(bench, mails)
        with world.services(bench.stack) as services:
            return [*steps(bench, services, mails), *lives]


def steps(bench: Bench, services: Services, mails: int) -> list[Case]:
    """Accepting and delivering, in this process, with everything warm."""
    small, _, large = samples()
    _ready(services)
    deliver_one(services, accept(services, small.document))
    found = []
    for sample in (small, large):
        found += _steps_of(bench, services, sample, mails, blob=sample is large)
    found.append(_verified(bench, services, small, mails))
    found.append(_dropped(bench, services, small, mails))
    return found


def _steps_of(
    bench: Bench, services: Services, sample: Sample, mails: int, *, blob: bool
) -> list[Case]:
    def fresh() -> None:
        _ready(services)

    def case(name: str, title: str, work: Callable[[], object], budget: int, graph: int) -> Case:
        calls = bench.worst(work, mails, before=fresh)
        suffix = "_large" if blob else ""
        return Case(name + suffix, f"{title}, {sample.title}", calls, budget, graph, blob)

    waiting: list[str] = []
    keys: list[str] = []

    def accept_with_key() -> None:
        keys.append(uuid.uuid4().hex)
        accept(services, sample.document, keys[-1])

    def replay_sent() -> None:
        accept(services, sample.document, sent_key, replayed=True)

    sent_key = uuid.uuid4().hex
    deliver_one(services, accept(services, sample.document, sent_key))
    return [
        case(
            "accept",
            "accept by HTTP",
            lambda: waiting.append(accept(services, sample.document)),
            ACCEPT,
            0,
        ),
        case("accept_key", "accept by HTTP with a key", accept_with_key, ACCEPT, 0),
        case(
            "replay_waiting",
            "the same key again while the mail waits",
            lambda: accept(services, sample.document, keys[-1], replayed=True),
            ACCEPT,
            0,
        ),
        case("deliver", "deliver, warm", lambda: deliver_one(services, waiting.pop()), DELIVER, 1),
        case("replay_sent", "the same key again when the mail was sent", replay_sent, ACCEPT, 0),
    ]


def verified_document(sample: Sample) -> bytes:
    """The same mail from the account that may write drafts."""
    return json.dumps({**json.loads(sample.document), "account": world.VERIFIED}).encode()


def _verified(bench: Bench, services: Services, sample: Sample, mails: int) -> Case:
    document = verified_document(sample)
    deliver_one(services, accept(services, document))
    waiting: list[str] = []

    def accept_one() -> None:
        waiting.append(accept(services, document))
        _ready(services)

    calls = bench.worst(lambda: deliver_one(services, waiting.pop()), mails, before=accept_one)
    title = f"deliver as a draft that is looked for if need be, warm, {sample.title}"
    return Case("deliver_verified", title, calls, DELIVER_VERIFIED, 2)


def _dropped(bench: Bench, services: Services, sample: Sample, mails: int) -> Case:
    calls = bench.worst(
        lambda: take_in_one(services, sample.document), mails, before=lambda: _ready(services)
    )
    return Case(
        "queue_take_in",
        f"accept from the queue and deliver, in one go, {sample.title}",
        calls,
        DELIVER,
        1,
    )


def take_in_one(services: Services, document: bytes) -> None:
    """Hear a whole mail, as the queue trigger hands it over; it must go at once."""
    result = services.outbox.handle(OutboxMessage(str(uuid.uuid4()), datetime.now(UTC), document))
    if result is not DeliveryResult.SENT:
        raise RuntimeError(f"the mail was not sent: {result}")


def accept(
    services: Services, document: bytes, key: str | None = None, *, replayed: bool = False
) -> str:
    """`POST /api/send`, in this process. Returns the mail's id."""
    headers = {"Content-Type": "application/json"}
    if key is not None:
        headers["Idempotency-Key"] = key
    request = func.HttpRequest("POST", "http://localhost/api/send", headers=headers, body=document)
    answer = mails.send(request, services.submission, services.ledger, services.limits)
    if answer.status_code != 202 or ("Idempotent-Replayed" in answer.headers) != replayed:
        raise RuntimeError(f"the send was answered {answer.status_code}")
    return str(json.loads(answer.get_body())["id"])


def deliver_one(services: Services, mail_id: str) -> None:
    """Deliver a mail, which must go."""
    result = services.delivery.deliver(mail_id)
    if result is not DeliveryResult.SENT:
        raise RuntimeError(f"the mail was not sent: {result}")


def whole_lives(bench: Bench, mails: int) -> list[Case]:
    """From the request to the end of the queue message, the host's own calls included."""
    small, _, large = samples()
    found = []
    for name, title, work, blob in (
        ("life_http", "by HTTP", lambda: _post(bench, small), False),
        ("life_http_key", "by HTTP with a key", lambda: _post(bench, small, key=True), False),
        ("life_queue", "dropped on the queue", lambda: _drop(bench, small), False),
        ("life_http_large", f"by HTTP, {large.title}", lambda: _post(bench, large), True),
    ):
        bench.count(work)
        calls = bench.worst(work, mails, besides=_BY_THE_CLOCK)
        found.append(Case(name, f"whole life, {title}", calls, WHOLE_LIFE, 1, blob))
    return found


def _post(bench: Bench, sample: Sample, *, key: bool = False) -> None:
    headers = {
        "x-functions-key": bench.stack.function_key,
        "Content-Type": "application/json",
        **({"Idempotency-Key": uuid.uuid4().hex} if key else {}),
    }
    with requests.Session() as session:
        session.trust_env = False
        url = f"{bench.stack.app_url}/api/send"
        answer = session.post(url, data=sample.document, headers=headers, timeout=60)
    if answer.status_code != 202:
        raise RuntimeError(f"the send was answered {answer.status_code}: {answer.text}")
    _wait_for_the_end(bench)


def _drop(bench: Bench, sample: Sample) -> None:
    with QueueClient.from_connection_string(
        bench.stack.info["storage_connection_string"], bench.stack.info["queue_name"]
    ) as queue:
        queue.send_message(sample.document.decode())
    _wait_for_the_end(bench)


def _wait_for_the_end(bench: Bench) -> None:
    """Until the mail has left and the host has deleted its message."""
    bench.delivered += 1
    world.deliveries(bench.stack, bench.delivered)
    until = time.monotonic() + 30
    while "queue delete outbox" not in bench.proxy.counts():
        if time.monotonic() > until:
            raise RuntimeError("the host did not delete its message")
        time.sleep(0.02)


def _ready(services: Services) -> None:
    """The accounts are at hand, as they are on a worker that has just sent something."""
    services.adapters.accounts.all(fresh=True)
