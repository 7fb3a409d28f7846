"""The published schemas of the resource types, trimmed to what the checks compare.

`python -m tests.infra.schemas` asks the command `azmcp` for every type of data/api_versions.json
and writes data/schemas/. azmcp works offline and knows one version of a type; where Postroom uses
a newer one, property names are compared with the version azmcp knows.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.infra import tools
from tests.infra.tools import DATA

SCHEMAS = DATA / "schemas"
SHAPES = DATA / "shapes"
VERSIONS = DATA / "api_versions.json"
# Of a definition without a name of its own.
_PRIMITIVES = {"string", "int", "bool", "any", "null", "object", "true", "false"}


@dataclass(frozen=True)
class Version:
    versions: list[str]
    schema: str
    """azmcp, or shape for a hand-written one in data/shapes."""
    source: str


def versions() -> dict[str, Version]:
    found = json.loads(VERSIONS.read_text())["types"]
    return {kind: Version(**entry) for kind, entry in found.items()}


def file_of(kind: str, folder: Path = SCHEMAS) -> Path:
    return folder / f"{kind.replace('/', '_')}.json"


def schema(kind: str) -> dict[str, Any]:
    """The committed schema of a type, or its hand-written shape."""
    path = file_of(kind)
    found: dict[str, Any] = json.loads(
        (path if path.exists() else file_of(kind, SHAPES)).read_text()
    )
    return found


class Azmcp:
    """azmcp as a server on standard input and output: starting it anew for each type takes longer
    than its answer. https://modelcontextprotocol.io/specification/2024-11-05/basic/transports"""

    def __init__(self) -> None:
        self._number = 0
        self._process = subprocess.Popen(  # noqa: S603 - the checks' own command
            [tools.azmcp(), "server", "start", "--namespace", "bicepschema", "--mode", "all"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "AZURE_MCP_COLLECT_TELEMETRY": "false"},
        )
        client = {"name": "postroom", "version": "1"}
        self._call(
            "initialize",
            {"protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": client},
        )

    def __enter__(self) -> Azmcp:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.communicate(timeout=20)

    def ask(self, kind: str) -> dict[str, Any]:
        """What azmcp knows of a type, trimmed."""
        arguments = {"resource-type": kind}
        found = self._call("tools/call", {"name": "bicepschema_get", "arguments": arguments})
        answer = json.loads(found["content"][0]["text"])
        if answer["status"] != 200:
            raise AssertionError(f"azmcp knows nothing of {kind}: {answer['message']}")
        return trimmed(answer["results"]["BicepSchemaResult"])

    def _call(self, method: str, parameters: dict[str, Any]) -> dict[str, Any]:
        self._number += 1
        call = {"jsonrpc": "2.0", "id": self._number, "method": method, "params": parameters}
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(call) + "\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            answer = json.loads(line)
            if answer.get("id") == self._number:
                result: dict[str, Any] = answer["result"]
                return result
        raise AssertionError("azmcp has ended")


def trimmed(answer: list[dict[str, Any]]) -> dict[str, Any]:
    resource = next(item for item in answer if item["$type"] == "Resource")
    others = {
        item["name"]: item for item in answer if item["$type"] in ("Object", "DiscriminatedObject")
    }
    kind, _, version = resource["name"].partition("@")
    body = _definition(resource["bodyType"])
    definitions: dict[str, Any] = {}
    waiting = list(_references(body))
    while waiting:
        name = waiting.pop()
        if name in others and name not in definitions:
            definitions[name] = _definition(others[name])
            waiting += _references(definitions[name])
    return {
        "type": kind,
        "version": version,
        "body": body,
        "definitions": dict(sorted(definitions.items())),
    }


def _definition(item: dict[str, Any]) -> dict[str, Any]:
    if item["$type"] == "DiscriminatedObject":
        by = item["discriminator"]
        elements = [_definition(element) for element in item["elements"]]
        return {
            "discriminator": by,
            "properties": _properties(item["baseProperties"]),
            "elements": {element["properties"][by]["type"]: element for element in elements},
        }
    found: dict[str, Any] = {"properties": _properties(item["properties"])}
    if "additionalPropertiesType" in item:
        found["additional"] = item["additionalPropertiesType"]
    return found


def _properties(items: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    found = {}
    for item in items:
        flags = item.get("flags", "").split(", ")
        entry: dict[str, Any] = {"type": item["type"]}
        if "Required" in flags:
            entry["required"] = True
        if "ReadOnly" in flags:
            entry["readOnly"] = True
        if "modifiers" in item:
            entry["modifiers"] = item["modifiers"]
        found[item["name"]] = entry
    return found


def _references(definition: dict[str, Any]) -> set[str]:
    """Names of the definitions that a definition uses."""
    kinds = [entry["type"] for entry in definition["properties"].values()]
    for element in definition.get("elements", {}).values():
        kinds += _references(element)
    kinds.append(definition.get("additional", "any"))
    return {part.removesuffix("[]") for kind in kinds for part in kind.split(" | ")} - _PRIMITIVES


def ask_all() -> dict[str, dict[str, Any]]:
    kinds = [kind for kind, version in versions().items() if version.schema == "azmcp"]
    with Azmcp() as azmcp:
        return {kind: azmcp.ask(kind) for kind in kinds}


def text_of(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=1) + "\n"


def main() -> None:
    SCHEMAS.mkdir(exist_ok=True)
    wanted = ask_all()
    for path in SCHEMAS.glob("*.json"):
        if path not in {file_of(kind) for kind in wanted}:
            path.unlink()
    for kind, document in wanted.items():
        file_of(kind).write_text(text_of(document), encoding="utf-8")
    sys.stdout.write(f"{len(wanted)} schemas in {SCHEMAS.relative_to(tools.ROOT)}\n")


if __name__ == "__main__":
    main()
