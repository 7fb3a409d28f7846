"""Runs programs of other people's clients of Graph against the simulator, each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.contract.simulator.graph_client import ALL_SCOPES, BILLING, GraphClient

HERE = Path(__file__).parent
PACKAGES = HERE.parents[2] / ".local" / "sdk-clients"
PATIENCE = 120
"""Seconds for one program: msgraph-sdk has thousands of modules to import."""
PYTHON = str(PACKAGES / "python" / "bin" / "python")
MSGRAPH = (PYTHON, str(HERE / "msgraph_sdk_client.py"))
O365 = (PYTHON, str(HERE / "o365_client.py"))
NODE = ("node", str(HERE / "graph_client.mjs"))


def run(graph: GraphClient, program: tuple[str, str], flow: str) -> Mapping[str, Any]:
    """What a program prints. Fails the test with all that it wrote where it fails."""
    stack = graph.simulator.stack()
    process = subprocess.run(  # noqa: S603 - our own programs
        [*program, flow],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(graph.simulator.ca_file.parent),
            "GRAPH_URL": stack["graph_url"],
            "CA_FILE": stack["ca_file"],
            "NODE_EXTRA_CA_CERTS": stack["ca_file"],
            "NODE_PACKAGES": str(PACKAGES / "node" / "node_modules"),
            "TENANT": stack["tenant_id"],
            "MAILBOX": BILLING,
            "ACCESS_TOKEN": graph.issue(scopes=ALL_SCOPES),
        },
        cwd=graph.simulator.ca_file.parent,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert process.returncode == 0, f"{process.stdout}\n{process.stderr}"
    found: Mapping[str, Any] = json.loads(process.stdout.strip().splitlines()[-1])
    return found
