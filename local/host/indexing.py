"""Loads the app as the Python worker does, and turns its functions into plain descriptions.

The worker imports the script once, accepts exactly one app object in it, and calls
`get_functions()`, which works only once for each app (azure-functions-python-worker `loader.py`).
"""

from __future__ import annotations

import importlib.util
import inspect
import json
import re
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import azure.functions as func

from local.host.errors import HostError

# https://github.com/Azure/azure-webjobs-sdk: FunctionNameAttribute.FunctionNameValidationRegex
_NAME = re.compile(r"^[a-z][a-z0-9_\-]{0,127}$", re.IGNORECASE)
TRIGGERS = ("httpTrigger", "queueTrigger", "timerTrigger")
OUTPUTS = ("http", "queue")


@dataclass(frozen=True)
class Binding:
    """One binding as the host gets it. Property names are those of host.json, in camelCase."""

    name: str
    type: str
    is_output: bool
    properties: Mapping[str, Any]

    def text(self, name: str) -> str:
        return str(self.properties.get(name) or "")


@dataclass(frozen=True)
class IndexedFunction:
    name: str
    call: Callable[..., Any]
    trigger: Binding
    outputs: tuple[Binding, ...]
    directory: Path
    wants_context: bool = False
    # The annotation of the trigger's parameter, if it has one.
    trigger_type: type | None = None
    retry_policy: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_async(self) -> bool:
        return inspect.iscoroutinefunction(self.call)

    @property
    def returns_output(self) -> bool:
        return any(output.name == "$return" for output in self.outputs)


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
        frame = traceback.extract_tb(error.__traceback__)[-1]
        raise HostError(
            f"{script} cannot be imported: {type(error).__name__}: {error} "
            f"({Path(frame.filename).name}, line {frame.lineno}); correct it and start again"
        ) from error
    return module


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


def describe(app: func.FunctionApp, directory: Path) -> list[IndexedFunction]:
    """Descriptions of all functions, not yet checked against their signatures."""
    try:
        functions = app.get_functions()
    except ValueError as error:
        raise HostError(f"the app cannot be indexed: {error}") from error
    return [_describe_one(function, directory) for function in functions]


def _describe_one(function: func.Function, directory: Path) -> IndexedFunction:
    name = str(function.get_function_name())
    if _NAME.match(name) is None:
        raise HostError(
            f"function {name}: a name starts with a letter and has letters, digits, - and _ only"
        )
    bindings = [_binding(raw) for raw in function.get_raw_bindings()]
    trigger = _trigger(name, bindings)
    outputs = tuple(binding for binding in bindings if binding is not trigger)
    for output in outputs:
        if not output.is_output or output.type not in OUTPUTS:
            raise HostError(
                f"function {name}: this host has no {output.type} binding; use an SDK client"
            )
    return IndexedFunction(
        name=name,
        call=function.get_user_function(),
        trigger=trigger,
        outputs=outputs,
        directory=directory,
        retry_policy=function.get_settings_dict("retry_policy") or {},
    )


def _trigger(function: str, bindings: Sequence[Binding]) -> Binding:
    for binding in bindings:
        if binding.type.lower().endswith("trigger"):
            if binding.type not in TRIGGERS:
                raise HostError(
                    f"function {function}: this host runs http, queue and timer triggers, "
                    f"not {binding.type}; disable it with AzureWebJobs.{function}.Disabled=true"
                )
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
