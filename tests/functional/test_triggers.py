"""The functions that the queue and the timer call."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import azure.functions as func
import pytest

import function_app
from shared.errors import ConfigurationError, NotSent, RemoteRefused
from shared.mail.status import Status
from shared.services.intake.outbox_message import GOES_ROUND_AT, wake_up_for
from tests.fakes import NOT_REACHED, FakeServices, document_of, queue_message


class Timer:
    """What the timer trigger hands over."""

    past_due = False
    schedule_status = None
    schedule: dict[str, object] = {}  # noqa: RUF012 - the trigger's own shape


class PutBack(func.Out[str]):
    """What an output binding is set to."""

    _value: str | None = None

    def set(self, val: str) -> None:
        self._value = val

    def get(self) -> str | None:  # type: ignore[override]
        return self._value


def test_a_bell_delivers_its_mail(services: FakeServices) -> None:
    mail_id = services.accepted()

    function_app.deliver(queue_message(wake_up_for(mail_id).encode()))

    assert services.status(mail_id) is Status.SENT


@pytest.mark.parametrize("wrapped", [bytes, base64.b64encode])
def test_a_dropped_mail_is_accepted_and_delivered(
    services: FakeServices, wrapped: type[bytes]
) -> None:
    function_app.deliver(queue_message(wrapped(json.dumps(document_of()).encode())))

    assert [mail.status for mail in services.ledger.mails] == [Status.SENT]


def test_a_message_that_comes_twice_is_one_mail(services: FakeServices) -> None:
    for _ in range(2):
        function_app.deliver(queue_message(json.dumps(document_of()).encode(), "same"))

    assert len(services.ledger.mails) == len(services.graph.posts) == 1


def test_noise_is_recorded_and_raises_nothing(services: FakeServices) -> None:
    function_app.deliver(queue_message(b"\xff\xfe"))

    assert [mail.status for mail in services.ledger.mails] == [Status.FAILED]


LABELS = {"tags": ["nightly", "x\n", 7], "metadata": {"order": "7", "n": 7, "": "x"}}


@pytest.mark.parametrize(
    "document",
    [
        pytest.param({"to": "nobody", "text": "x"}, id="a wrong address"),
        pytest.param({"to": "ada@example.com", "text": "x", "subjct": 7}, id="an unknown field"),
        pytest.param(document_of(account="nobody"), id="an unknown account"),
    ],
)
def test_a_dropped_mail_that_is_refused_is_found_by_its_labels(
    services: FakeServices, document: dict[str, object]
) -> None:
    function_app.deliver(queue_message(json.dumps(document | LABELS).encode()))

    (mail,) = services.ledger.mails
    assert mail.status is Status.FAILED
    assert (mail.tags, mail.metadata) == (("nightly",), (("order", "7"),))


@pytest.mark.parametrize("labels", [{"tags": 7, "metadata": []}, {"tags": {}}])
def test_labels_that_cannot_be_read_are_left_out(
    services: FakeServices, labels: dict[str, object]
) -> None:
    function_app.deliver(queue_message(json.dumps(document_of(**labels)).encode()))

    (mail,) = services.ledger.mails
    assert (mail.tags, mail.metadata) == ((), ())


def test_a_ledger_that_is_away_gives_the_message_back_to_the_host(services: FakeServices) -> None:
    services.faults.before("ledger.get", NOT_REACHED)

    with pytest.raises(NotSent):
        function_app.deliver(queue_message(wake_up_for(services.accepted()).encode()))


def test_a_message_without_identity_goes_back_to_the_host(services: FakeServices) -> None:
    with pytest.raises(RemoteRefused):
        function_app.deliver(queue_message(b"{}", None))


def test_a_poisoned_mail_is_written_down_as_failed(services: FakeServices) -> None:
    function_app.bury(queue_message(json.dumps(document_of(tags=["a"])).encode()), PutBack())

    assert [(mail.status, mail.reason, mail.tags) for mail in services.ledger.mails] == [
        (Status.FAILED, "poisoned", ("a",))
    ]
    assert services.graph.posts == []


def test_a_poisoned_message_goes_round_while_it_cannot_be_written_down(
    services: FakeServices,
) -> None:
    """By the host's hand: the settings may be what is wrong."""
    services.faults.always("ledger.insert", NOT_REACHED)
    body, again = json.dumps(document_of()), PutBack()
    for attempt in (1, 2):
        with pytest.raises(NotSent):
            function_app.bury(queue_message(body.encode(), dequeue_count=attempt), again)
    assert again.get() is None

    function_app.bury(queue_message(body.encode(), dequeue_count=3), again)

    assert again.get() == body


def test_a_wrong_setting_puts_a_poisoned_message_back(
    services: FakeServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    def misconfigured() -> FakeServices:
        raise ConfigurationError(["POSTROOM_TENANT is missing"])

    monkeypatch.setattr(function_app, "services", misconfigured)
    again = PutBack()

    function_app.bury(queue_message(b"{}", dequeue_count=5), again)

    assert again.get() == "{}"


def test_a_message_goes_round_before_the_host_gives_up() -> None:
    host = json.loads((Path(function_app.__file__).parent / "host.json").read_text())

    assert host["extensions"]["queues"]["maxDequeueCount"] > GOES_ROUND_AT


def test_the_timer_rings_for_mails_whose_bell_was_lost(services: FakeServices) -> None:
    mail_id = services.accepted()
    services.wake_ups.enqueued.clear()
    services.clock.forward(minutes=3)

    function_app.ring_again(Timer())

    assert [ring.mail_id for ring in services.wake_ups.enqueued] == [mail_id]


def test_the_daily_timer_throws_away_what_is_past_keeping(services: FakeServices) -> None:
    mail_id = services.accepted()
    function_app.deliver(queue_message(wake_up_for(mail_id).encode()))
    services.clock.forward(days=91)

    function_app.sweep(Timer())

    assert services.ledger.mails == []


def test_the_hourly_timer_watches(services: FakeServices) -> None:
    function_app.watch(Timer())

    assert list(services.checks.rows) == ["id-billing"]
