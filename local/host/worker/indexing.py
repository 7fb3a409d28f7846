"""Loads the app as the Python worker does, and turns its functions into plain descriptions.

The worker imports the script once, accepts exactly one app object in it, and calls
`get_functions()`, which works only once for each app (azure-functions-python-worker `loader.py`).
"""

from __future__ import annotations

import importlib.util
import inspect
import json
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import azure.functions as func

from local.host.errors import HostError, MissingModule
from local.host.functions import Binding, Function


@dataclass(frozen=True)
class Loaded:
    """A function with its code."""

    function: Function
    call: Callable[..., Any]
    directory: Path
    wants_context: bool = False
    # The annotation of the trigger's parameter, if it has one.
    trigger_type: type | None = None

    @property
    def is_async(self) -> bool:
        return inspect.iscoroutinefunction(self.call)

    @property
    def returns_output(self) -> bool:
        return any(output.name == "$return" for output in self.function.outputs)


def import_script(app_directory: Path, script: str) -> ModuleType:
    """Import the script; the app's root goes to the end of the module path, as the worker does."""
    path = app_directory / script
    if not path.exists():
        raise HostError(f"{script} is missing in the app's directory; give it with --app-dir")
    root = str(app_directory)
    sys.path[:] = [*(entry for entry in sys.path if entry not in ("", root)), root]
    name = path.stem
    specification = importlib.util.spec_from_file_location(name, path)
    if specification is None or specification.loader is None:
        raise HostError(f"{script} is not a Python file")
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    try:
        specification.loader.exec_module(module)
    except Exception as error:
        kind = MissingModule if isinstance(error, ModuleNotFoundError) else HostError
        raise kind(
            f"{script} cannot be imported: {type(error).__name__}: {error} "
            f"({_place(error)}); correct it and start again"
        ) from error
    return module


def _place(error: Exception) -> str:
    if isinstance(error, SyntaxError):
        return f"{Path(error.filename or '').name}, line {error.lineno}"
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{Path(frame.filename).name}, line {frame.lineno}"


def find_app(module: ModuleType) -> func.FunctionApp:
    """The one app object; a second name for the same object is refused too, as in the cloud."""
    found = [
        name
        for name in dir(module)
        if isinstance(getattr(module, name, None), func.decorators.function_app.FunctionRegister)
    ]
    if not found:
        raise HostError(
            f"{module.__name__} has no function app; write: app = func.FunctionApp() in it"
        )
    if len(found) > 1:
        raise HostError(
            f"{module.__name__} has more than one function app ({', '.join(found)}); keep one name"
        )
    app: func.FunctionApp = getattr(module, found[0])
    return app


def describe(app: func.FunctionApp, directory: Path) -> list[Loaded]:
    """Descriptions of all functions, not yet checked against their signatures."""
    try:
        functions = app.get_functions()
    except ValueError as error:
        raise HostError(f"the app cannot be indexed: {error}") from error
    return [_describe_one(function, directory) for function in functions]


def _describe_one(function: func.Function, directory: Path) -> Loaded:
    name = str(function.get_function_name())
    bindings = [_binding(raw) for raw in function.get_raw_bindings()]
    trigger = _trigger(name, bindings)
    outputs = tuple(binding for binding in bindings if binding is not trigger)
    retries = bool(function.get_settings_dict("retry_policy"))
    return Loaded(
        function=Function(name, trigger, outputs, retries),
        call=function.get_user_function(),
        directory=directory,
    )


def _trigger(function: str, bindings: Sequence[Binding]) -> Binding:
    for binding in bindings:
        if binding.type.lower().endswith("trigger"):
            return binding
    raise HostError(f"function {function} has no trigger; decorate it with one")


def _binding(raw: str) -> Binding:
    document = json.loads(raw)
    return Binding(
        name=document["name"],
        type=document["type"],
        is_output=document["direction"] == "OUT",
        properties=document,
    )
