"""One cold start: `python -m bench.peers.start MODULE` imports and indexes a Functions app and gives
its function `deliver` the queue message of standard input, as the host would.

Prints what that took, in seconds of this process: {"indexed": …, "cpu": …, "modules_indexed": …}.
"""

import sys
import time

began = time.time()


def main(module: str) -> None:
    """Start the app and have it send."""
    import importlib
    import os

    if port := os.environ.get("HTTPS_PORT"):
        from bench.peers import microsoft

        microsoft.lead_to(int(port))
    functions = {
        one.get_function_name(): one for one in importlib.import_module(module).app.get_functions()
    }
    indexed, modules_indexed = time.time(), sorted(sys.modules)

    import asyncio
    import inspect
    import json
    from datetime import UTC, datetime

    from azure.functions.queue import QueueMessage

    message = QueueMessage(  # type: ignore[no-untyped-call]
        id="1", body=sys.stdin.buffer.read(), dequeue_count=1, insertion_time=datetime.now(UTC)
    )
    done = functions["deliver"].get_user_function()(message)
    if inspect.iscoroutine(done):
        asyncio.run(done)
    print(
        json.dumps(
            {
                "cpu": time.process_time(),
                "began": began,
                "indexed": indexed,
                "modules_indexed": modules_indexed,
                "modules": sorted(sys.modules),
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1])
