"""What the worker refuses when it indexes an app, in words (azure-functions.md 1.4)."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import azure.functions as func
import pytest

from local.host import application, configuration, descriptions, timers
from local.host.application import App
from local.host.errors import HostError, MissingModule
from local.host.protocol import Indexed
from local.host.worker import indexing, signatures
from local.host.worker.indexing import Loaded

SETTINGS = configuration.Configuration("", configuration.QueueSettings(), None, {})


def of(app: func.FunctionApp, **settings: str) -> App:
    """The app as its host runs it."""
    found = replace(SETTINGS, settings=settings)
    return application.of([each.function for each in check(app)], found)


def check(app: func.FunctionApp) -> list[Loaded]:
    return [signatures.check(each) for each in indexing.describe(app, Path())]


def module_with(**names: Any) -> ModuleType:
    module = ModuleType("function_app")
    for name, value in names.items():
        setattr(module, name, value)
    return module


def on_http(call: Any) -> func.FunctionApp:
    app = func.FunctionApp()
    app.route(route="x")(call)
    return app


def test_a_sound_function_is_described_by_its_trigger_and_outputs() -> None:
    app = func.FunctionApp()

    @app.queue_trigger(arg_name="msg", queue_name="q", connection="S")
    @app.queue_output(arg_name="out", queue_name="o", connection="S")
    def f(msg: func.QueueMessage, out: func.Out[str], context: func.Context) -> None: ...

    (found,) = check(app)

    assert (found.function.name, found.function.trigger.type) == ("f", "queueTrigger")
    assert [output.name for output in found.function.outputs] == ["out"]
    assert found.wants_context


def test_a_parameter_without_a_binding_is_named() -> None:
    def f(request: func.HttpRequest) -> func.HttpResponse:
        raise NotImplementedError

    with pytest.raises(HostError, match=r"function f: parameter request has no binding.*\(req\)"):
        check(on_http(f))


def test_a_binding_without_a_parameter_is_named() -> None:
    def f() -> func.HttpResponse:
        raise NotImplementedError

    with pytest.raises(HostError, match="function f: binding req has no parameter"):
        check(on_http(f))


def test_an_annotation_that_does_not_fit_the_binding_is_named() -> None:
    def f(req: func.QueueMessage) -> func.HttpResponse:
        raise NotImplementedError

    with pytest.raises(HostError, match="the annotation of req does not fit a httpTrigger"):
        check(on_http(f))


def test_a_return_annotation_that_is_not_one_class_is_refused() -> None:
    def f(req: func.HttpRequest) -> func.HttpResponse | str:
        raise NotImplementedError

    with pytest.raises(HostError, match="function f: the return annotation must be one class"):
        check(on_http(f))


def test_a_return_annotation_that_does_not_fit_is_refused() -> None:
    def f(req: func.HttpRequest) -> int:
        raise NotImplementedError

    with pytest.raises(HostError, match="function f: the return annotation does not fit"):
        check(on_http(f))


def test_an_annotation_that_cannot_be_imported_is_refused() -> None:
    def f(req: NowhereDefined) -> func.HttpResponse:  # type: ignore[name-defined]  # noqa: F821
        raise NotImplementedError

    with pytest.raises(HostError, match="an annotation cannot be resolved"):
        check(on_http(f))


def test_an_output_must_be_annotated_as_one() -> None:
    app = func.FunctionApp()

    @app.route(route="x")
    @app.queue_output(arg_name="out", queue_name="o", connection="S")
    def f(req: func.HttpRequest, out: str) -> func.HttpResponse:
        raise NotImplementedError

    with pytest.raises(HostError, match=r"annotate the output out with func\.Out"):
        check(app)


def test_an_input_cannot_be_an_output() -> None:
    def f(req: func.Out[str]) -> func.HttpResponse:
        raise NotImplementedError

    with pytest.raises(HostError, match=r"req is an input; it cannot be func\.Out"):
        check(on_http(f))


def test_two_functions_of_one_name_are_refused() -> None:
    app = func.FunctionApp()
    for route in ("a", "b"):

        @app.function_name("same")
        @app.route(route=route)
        def f(req: func.HttpRequest) -> func.HttpResponse:
            raise NotImplementedError

    with pytest.raises(HostError, match="same does not have a unique function name"):
        check(app)


def test_another_kind_of_trigger_is_off_with_a_way_out() -> None:
    app = func.FunctionApp()

    @app.blob_trigger(arg_name="blob", path="c/{name}", connection="S")
    def f(blob: func.InputStream) -> None: ...

    reason = of(app).off["f"]

    assert "not blobTrigger; disable it with AzureWebJobs.f.Disabled=true" in reason


def test_a_module_holds_exactly_one_app_under_one_name() -> None:
    app = func.FunctionApp()

    assert indexing.find_app(module_with(app=app)) is app
    with pytest.raises(HostError, match="has no function app"):
        indexing.find_app(module_with())
    with pytest.raises(HostError, match=r"more than one function app \(alias, app\)"):
        indexing.find_app(module_with(app=app, alias=app))


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        pytest.param("import os\nos.no_such_thing\n", "AttributeError: .*line 2", id="error"),
        pytest.param("x = (\n", "SyntaxError: .*line 1", id="syntax"),
        pytest.param("import no_such_module\n", "ModuleNotFoundError: .*line 1", id="module"),
    ],
)
def test_an_error_at_the_import_names_the_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, reason: str
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "broken_app.py").write_text(source)

    with pytest.raises(HostError, match=rf"broken_app\.py cannot be imported: {reason}") as caught:
        indexing.import_script(tmp_path, "broken_app.py")
    # The one mistake of these that Azure's log has too.
    assert isinstance(caught.value, MissingModule) == ("no_such_module" in source)


def test_a_time_span_schedule_is_refused_as_outside_app_service_plans() -> None:
    app = func.FunctionApp()

    @app.timer_trigger(arg_name="timer", schedule="00:05:00")
    def f(timer: func.TimerRequest) -> None: ...

    (loaded,) = check(app)
    with pytest.raises(HostError, match="function f: the schedule '00:05:00' is a time span"):
        timers.parse_schedule(loaded.function, SETTINGS)


def test_what_will_surprise_in_the_cloud_is_said_at_the_start() -> None:
    app = func.FunctionApp()

    @app.route(route="mails/{id}")
    def mail(req: func.HttpRequest) -> func.HttpResponse:
        raise NotImplementedError

    @app.route(route="mails/new")
    def mail_new(req: func.HttpRequest) -> func.HttpResponse:
        raise NotImplementedError

    @app.queue_trigger(arg_name="msg", queue_name="q", connection="S")
    @app.retry(strategy="fixed_delay", max_retry_count="3", delay_interval="00:00:01")
    def work(msg: func.QueueMessage) -> None: ...

    lines = list(descriptions.of(of(app, S="UseDevelopmentStorage=true"), Indexed()))

    warnings = [line for line in lines if line.startswith("warning: ")]
    assert "function work: @app.retry has no effect" in warnings[0]
    assert "function mail_new (/mails/new) is never reached" in warnings[1]
