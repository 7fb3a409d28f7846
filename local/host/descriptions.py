"""What a host says on the console about an app: its functions, what is off, what will surprise in
the cloud."""

from __future__ import annotations

from collections.abc import Iterator

from local.host.application import App
from local.host.protocol import Indexed

NOT_REFUSED = (
    "  Azure would not refuse this: the app starts, answers 404 everywhere, and its log says only "
    '"No job functions found"'
)
_LOGGED = (
    "  Azure would not refuse this: the app starts, answers 404 everywhere, and its log names the "
    "missing module"
)
_ONLY_OFF = (
    "  Azure would not refuse this: the function is off, and everything else answers as if all were "
    "well"
)


def of(app: App, indexed: Indexed) -> Iterator[str]:
    """The functions of the app, one line each, then what is wrong, then warnings."""
    if indexed.problem is not None:
        yield f"error: {indexed.problem}"
        yield _LOGGED if indexed.logged else NOT_REFUSED
    yield from _functions(app)
    for reason in app.off.values():
        yield f"error: {reason}"
        yield _ONLY_OFF
    yield from _warnings(app)


def complaint(app: App, indexed: Indexed) -> str | None:
    """Why a strict host does not start; the reasons themselves are said already."""
    if indexed.problem is not None:
        return "the app has no functions, and this host was started with --strict"
    if app.off:
        names = ", ".join(sorted(app.off))
        return f"functions are off ({names}), and this host was started with --strict"
    return None


def _functions(app: App) -> Iterator[str]:
    for route in app.routes().routes:
        methods = ",".join(sorted(route.methods)) or "any"
        yield f"  {route.function}: [{methods}] {route.template} ({route.auth_level})"
    for each in app.enabled("queueTrigger"):
        yield f"  {each.name}: queue {each.trigger.text('queueName')}"
    for each in app.enabled("timerTrigger"):
        yield f"  {each.name}: timer {each.trigger.text('schedule')} (UTC)"


def _warnings(app: App) -> Iterator[str]:
    for each in app.functions.values():
        if each.retries:
            yield (
                f"warning: function {each.name}: @app.retry has no effect here; on queues it has "
                "none in the cloud either"
            )
    for hidden, by in app.routes().hidden():
        yield (
            f"warning: function {hidden.function} ({hidden.template}) is never reached, because the "
            f"host tries {by.function} ({by.template}) first: functions go by the alphabet; rename "
            "one, or give the parameter a constraint"
        )
