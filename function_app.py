"""Postroom's functions: the routes of `shared/web`, and the triggers of queues and timers.

Each function imports what it calls: an instance serves one group of triggers, and its cold start
loads the modules of that group only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import azure.functions as func

from shared.web.routing import AREAS, register

if TYPE_CHECKING:
    from shared.composition.services import Services

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)

STORAGE = "AzureWebJobsStorage"
OUTBOX = "outbox"
POISON_QUEUE = "outbox-poison"


def services() -> Services:
    """The services of this process, built on first use."""
    from shared.starting import uncollected

    with uncollected():
        from shared import bootstrap

        return bootstrap.services()


functions = register(app, AREAS, lambda: services())
"""The HTTP functions by their names."""


def __getattr__(name: str) -> Any:
    """An HTTP function, by its name."""
    try:
        return functions[name]
    except KeyError:
        raise AttributeError(name) from None


@app.queue_trigger("msg", OUTBOX, STORAGE)
def deliver(msg: func.QueueMessage) -> None:
    """Handle a wake-up, or accept a whole mail that an application put on the queue."""
    from shared.services.intake.outbox_message import read

    services().outbox.handle(read(msg))


@app.queue_trigger("msg", POISON_QUEUE, STORAGE)
@app.queue_output("again", POISON_QUEUE, STORAGE)
def bury(msg: func.QueueMessage, again: func.Out[str]) -> None:
    """Record a message that the host gave up on; put it back until that succeeds."""
    from shared.services.intake.outbox_message import record_poisoned

    record_poisoned(msg, again.set, lambda message: services().outbox.record_poisoned(message))


@app.timer_trigger("timer", "40 17 2 * * *")
def sweep(timer: func.TimerRequest) -> None:
    """Delete what is older than its retention time."""
    services().retention.sweep()


@app.timer_trigger("timer", "20 23 * * * *")
def watch(timer: func.TimerRequest) -> None:
    """Check the accounts that are due, and warn before something expires."""
    services().watch.run()


@app.timer_trigger("timer", "15 * * * * *")
def ring_again(timer: func.TimerRequest) -> None:
    """Put a new wake-up on the queue for mails whose wake-up was lost or whose worker died."""
    services().upkeep.requeue_overdue()


@app.timer_trigger("timer", "25 4 * * * *")
def tally(timer: func.TimerRequest) -> None:
    """Count the mails of the last full hour."""
    services().hourly_stats.count()
