"""No secret stands in a template, goes through one, or comes out of one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tests.infra.bicep.parser import read
from tests.infra.bicep.syntax import Call, File, Literal
from tests.infra.checks.syntax import bicep_files
from tests.infra.checks.walking import walk

_SUFFIXES = {".bicep", ".bicepparam", ".json", ".sh", ".py", ".yaml", ".yml", ".ps1", ".kql"}

# What may stand in no file. A key of storage is 88 characters of base64; a client secret about 40.
TEXTS = {
    "a key in a connection string": r"(?i)(AccountKey|SharedAccessKey|SharedAccessSignature)=(?!\$)[^;'\"\s]{8,}",
    "a shared access signature": r"[?&]sig=[A-Za-z0-9%+/]{16,}",
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
    "a token": r"\beyJ[A-Za-z0-9_-]{16,}\.",
    "a client secret": r"\b[A-Za-z0-9_~.-]{3}8Q~[A-Za-z0-9_~.-]{31,34}",
    "base64 as long as a key": r"(?<![A-Za-z0-9+/_.-])(?=[A-Za-z0-9+/]*[0-9])(?=[A-Za-z0-9+/]*[A-Z])(?=[A-Za-z0-9+/]*[a-z])[A-Za-z0-9+/]{40,}={0,2}",
}
FUNCTIONS = {
    "listKeys",
    "listSecrets",
    "listAccountSas",
    "listServiceSas",
    "listCallbackUrl",
    "listAdminKeys",
    "listQueryKeys",
    "list",
}
"""They put secrets into the history of deployments, which every reader of the group can see."""

_SECRET_NAME = re.compile(
    r"(?i)(password|secret|connectionstring|accesskey|functionkey|sastoken|credential)$"
)
NOT_SECRET: dict[str, str] = {
    "credential": "which kind of credential the app has: managed-identity or secret",
}
"""Parameters and outputs whose names sound like secrets and are none, each with its reason."""


def problems(infra: Path) -> list[str]:
    found = [p for file in bicep_files(infra) for p in _of_template(read(file))]
    for path in sorted(infra.rglob("*")):
        if path.suffix in _SUFFIXES:
            found += _texts(path)
    return found


def _texts(path: Path) -> Iterator[str]:
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        for what, pattern in TEXTS.items():
            if re.search(pattern, line):
                yield f"{path.name}:{number}: {what}"


def _of_template(file: File) -> Iterator[str]:
    for call in (node for node in walk(file) if isinstance(node, Call)):
        if call.name in FUNCTIONS:
            yield f"{file.path.name}: {call.name}() brings a secret into the deployment"
    for output in file.outputs:
        secure = any(d.name == "secure" for d in output.decorators)
        if secure or (_SECRET_NAME.search(output.name) and output.name not in NOT_SECRET):
            yield f"{file.path.name}:{output.line}: output {output.name} is a secret"
    for parameter in file.parameters.values():
        name, place = parameter.name, f"{file.path.name}:{parameter.line}"
        secure = parameter.decorator("secure") is not None
        if secure and isinstance(parameter.default, Literal) and parameter.default.value:
            yield f"{place}: {name} is secure and has a default for all to read"
        if not secure and _SECRET_NAME.search(name) and name not in NOT_SECRET:
            yield f"{place}: {name} is a secret and not @secure()"
