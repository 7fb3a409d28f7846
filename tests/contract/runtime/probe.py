"""Runs the real Functions worker library over the app, in a process of its own, and prints what it
found as one JSON line.

The library (`azure-functions-runtime`) is what Azure's Python worker runs from 3.13 on. The
protocol's message classes are injected into it, so plain stand-ins with the same attributes do.

    python probe.py <folder of the library> <folder of the app>
"""

from __future__ import annotations

import asyncio
import json
import sys
from types import SimpleNamespace
from typing import Any


class Message(SimpleNamespace):
    """Any protocol message: keeps what it is made with."""

    Success = "success"
    Failure = "failure"


class BindingInfo(Message):
    """Directions and data types as the protocol numbers them."""

    undefined = 0
    out = 1
    inout = 2


class Protos:
    """Hands out message classes by name."""

    BindingInfo = BindingInfo

    def __getattr__(self, name: str) -> type[Message]:
        return Message


async def main(app_folder: str) -> dict[str, Any]:
    """Index the app, then call two of its functions."""
    import azure_functions_runtime as runtime  # type: ignore[import-not-found, unused-ignore]
    from azure_functions_runtime.bindings.datumdef import (  # type: ignore[import-not-found, unused-ignore]
        Datum,
    )
    from azure_functions_runtime.native_invocation import (  # type: ignore[import-not-found, unused-ignore]
        invocation_request_native,
    )

    init = Message(capabilities={}, function_app_directory=app_folder)
    request = Message(
        request=Message(worker_init_request=init), properties={"host": "", "protos": Protos()}
    )
    answer = await runtime.worker_init_request(request)
    if answer.result.status != Message.Success:
        return {"failure": answer.result.exception.message}
    metadata = await runtime.functions_metadata_request(Message(request=Message()))
    found = {f.name: f for f in metadata.function_metadata_results}
    runtime.start_threadpool_executor()

    async def get(name: str, path: str) -> dict[str, Any]:
        call = Datum(
            {
                "method": Datum("GET", "string"),
                "url": Datum(f"http://localhost{path}", "string"),
                "headers": {"accept": Datum("*/*", "string")},
                "params": {},
                "query": {},
                "body": Datum(b"", "bytes"),
            },
            "http",
        )
        ok, returned, _, error, _ = await invocation_request_native(
            "invocation", found[name].function_id, [("req", call)], {}
        )
        if not ok:
            return {"error": error}
        return {
            "status": returned.value["status_code"].value,
            "body": bytes(returned.value["body"].value).decode()[:400],
        }

    answers = {
        "health": await get("show_health", "/api/health"),
        "openapi": await get("show_openapi", "/api/openapi.json"),
        "home": await get("show_home", "/"),
    }
    runtime.stop_threadpool_executor()
    return {
        "functions": {
            name: [json.loads(binding) for binding in f.raw_bindings] for name, f in found.items()
        },
        "answers": answers,
    }


if __name__ == "__main__":
    library, app = sys.argv[1:3]
    # The worker appends the app's folder; the library must not shadow the app's own packages.
    sys.path += [app, library]
    sys.stdout.write(json.dumps(asyncio.run(main(app))) + "\n")
