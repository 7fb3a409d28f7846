"""Checks each function's parameters as the worker does when it loads a function.

azure-functions-python-worker, `functions.py`: names equal bindings, directions agree with
`func.Out`, and annotations agree with the binding's converter.
"""

from __future__ import annotations

import inspect
import typing
from dataclasses import replace
from typing import Any

import azure.functions as func
from azure.functions import meta

from local.host.errors import HostError
from local.host.functions import Binding
from local.host.worker.indexing import Loaded


def check(loaded: Loaded) -> Loaded:
    """The same function with the facts of its signature. Raises HostError, which names the
    remedy."""
    hints = _hints(loaded)
    trigger = loaded.function.trigger
    parameters = set(inspect.signature(loaded.call).parameters)
    bound = {trigger.name: trigger}
    bound.update({out.name: out for out in loaded.function.outputs if out.name != "$return"})
    wants_context = "context" in parameters and "context" not in bound
    if wants_context:
        parameters.discard("context")
        _check_context(loaded, hints)
    _check_names(loaded, parameters, set(bound))
    for binding in bound.values():
        if binding.name in hints:
            _check_annotation(loaded, binding, hints[binding.name])
    _check_return(loaded, hints)
    trigger_type = hints.get(trigger.name)
    return replace(loaded, wants_context=wants_context, trigger_type=trigger_type)


def _hints(loaded: Loaded) -> dict[str, Any]:
    try:
        return typing.get_type_hints(loaded.call)
    except Exception as error:
        raise _error(
            loaded,
            f"an annotation cannot be resolved ({error}); "
            "import what it names at the module's top level, not under TYPE_CHECKING",
        ) from error


def _check_context(loaded: Loaded, hints: dict[str, Any]) -> None:
    annotation = hints.get("context", func.Context)
    if not isinstance(annotation, type) or annotation.__name__ != "Context":
        raise _error(loaded, "annotate the parameter context with func.Context")


def _check_names(loaded: Loaded, parameters: set[str], bound: set[str]) -> None:
    if extra := parameters - bound:
        raise _error(
            loaded,
            f"parameter {', '.join(sorted(extra))} has no binding; "
            f"name it like a binding ({', '.join(sorted(bound))}) or remove it",
        )
    if missing := bound - parameters:
        raise _error(
            loaded, f"binding {', '.join(sorted(missing))} has no parameter of that name; add it"
        )


def _check_annotation(loaded: Loaded, binding: Binding, annotation: Any) -> None:
    is_out = (typing.get_origin(annotation) or annotation) is func.Out
    if binding.is_output and not is_out:
        raise _error(loaded, f"annotate the output {binding.name} with func.Out[...]")
    if is_out and not binding.is_output:
        raise _error(loaded, f"{binding.name} is an input; it cannot be func.Out")
    inner = annotation
    if is_out:
        arguments = typing.get_args(annotation)
        if len(arguments) != 1:
            raise _error(loaded, f"give func.Out of {binding.name} one type")
        inner = arguments[0]
    if not isinstance(inner, type) and typing.get_origin(inner) is None:
        raise _error(loaded, f"the annotation of {binding.name} is not a type")
    # str and bytes go through the generic converter, which takes every binding.
    if inner not in (str, bytes) and not _fits(binding, inner):
        raise _error(
            loaded, f"the annotation of {binding.name} does not fit a {binding.type} binding"
        )


def _check_return(loaded: Loaded, hints: dict[str, Any]) -> None:
    output = next((out for out in loaded.function.outputs if out.name == "$return"), None)
    if output is None or "return" not in hints:
        return
    annotation = hints["return"]
    if not isinstance(annotation, type):
        raise _error(loaded, "the return annotation must be one class, such as func.HttpResponse")
    if annotation not in (str, bytes) and not _fits(output, annotation):
        raise _error(loaded, f"the return annotation does not fit a {output.type} binding")


def _fits(binding: Binding, annotation: Any) -> bool:
    registry: Any = meta.get_binding_registry()  # type: ignore[no-untyped-call]
    converter = registry.get(binding.type)
    if converter is None:
        return True
    check = (
        converter.check_output_type_annotation
        if binding.is_output
        else converter.check_input_type_annotation
    )
    try:
        return bool(check(annotation))
    except TypeError:
        # issubclass() of something that is not a class
        return False


def _error(loaded: Loaded, reason: str) -> HostError:
    return HostError(f"function {loaded.function.name}: {reason}")
