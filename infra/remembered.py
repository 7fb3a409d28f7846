"""What a resource group remembers of a Postroom: under which name it was deployed last, and with what.

Reads on standard input what `az deployment group list` says, so that a run of `deploy.sh` with fewer
options opens nothing that an earlier one closed. Into the folder it writes

- `name`: the deployment's name, this time;
- `by`: the last deployment's name, if other hands than `deploy.sh` made it, such as azd;
- `parameters.json`: what it was given, as a parameter file, without what the template no longer has;
- `outputs.json`: the newest outputs there are; those of a deployment that failed are empty.

Exit code 4: there are several Postrooms, whose prefixes are on standard output, and none was named.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from pathlib import Path
from typing import Any

SEVERAL = 4
FIRST = "postroom"
_OURS = ("prefix", "clientId", "authorityTenant")
_SCHEMA = "https://schema.management.azure.com/schemas/2019-04-01/deploymentParameters.json#"


def prefix_of(deployment: dict[str, Any]) -> str:
    """As the names of resources are computed from it: letter case does not count."""
    given = deployment["parameters"]["prefix"].get("value") or FIRST
    return str(given).lower()


def name_for(prefix: str, taken: set[str]) -> str:
    """A record of its own for each prefix: `a-b` and `ab` differ by the hash."""
    if FIRST not in taken:
        return FIRST
    letters = re.sub("[^a-z0-9]", "", prefix)[:32]
    return f"{FIRST}.{letters}-{hashlib.sha256(prefix.encode()).hexdigest()[:8]}"


def main(template: str, prefix: str, folder: str) -> int:
    """Returns the exit code."""
    found = [one for one in json.load(sys.stdin) if set(_OURS) <= (one["parameters"] or {}).keys()]
    found.sort(key=lambda one: one["timestamp"] or "")
    prefixes = sorted({prefix_of(one) for one in found})
    if not prefix and len(prefixes) > 1:
        sys.stdout.write(", ".join(prefixes))
        return SEVERAL
    wanted = prefix.lower() or next(iter(prefixes), FIRST)
    mine = [one for one in found if prefix_of(one) == wanted]
    ours = [one["name"] for one in mine if re.fullmatch(rf"{FIRST}(\..*)?", one["name"])]
    last = mine[-1] if mine else {"name": "", "parameters": {}}
    text = Path(template).read_text(encoding="utf-8")
    known = set(re.findall(r"^param (\w+) ", text, re.MULTILINE))
    kept = {
        name: {"value": given["value"]}
        for name, given in last["parameters"].items()
        if name in known and given.get("value") is not None
    }
    document = {"$schema": _SCHEMA, "contentVersion": "1.0.0.0", "parameters": kept}
    outputs = next((one["outputs"] for one in reversed(mine) if one["outputs"]), {})
    name = ours[-1] if ours else name_for(wanted, {one["name"] for one in found})
    for file, content in {
        "name": name,
        "by": last["name"] if last["name"] not in ours else "",
        "parameters.json": json.dumps(document),
        "outputs.json": json.dumps(outputs),
    }.items():
        Path(folder, file).write_text(content, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
