"""Problems of a machine that prevent a start of the stack, each with its remedy."""

from __future__ import annotations

import importlib.util
import sys

_PACKAGES = ("azure.functions", "azure.storage.queue", "azure.data.tables", "azure.identity")


class StackError(Exception):
    """What is wrong and what to do, in one sentence."""


def port_taken(port: int, variable: str) -> StackError:
    """`variable` is the Makefile variable that sets another port."""
    return StackError(f"port {port} is in use; free it or run: make run {variable}={port + 10}")


def check_python() -> None:
    if sys.version_info < (3, 11):  # noqa: UP036 - said before anything fails obscurely
        found = f"{sys.version_info[0]}.{sys.version_info[1]}"
        raise StackError(f"Python 3.11 or newer is needed, this is {found}; install one")
    for package in _PACKAGES:
        if not _is_installed(package):
            raise StackError(f"the Python package {package} is missing; run: make install")


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:
        return False
