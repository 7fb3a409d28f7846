"""Stands in for the Azure CLI: records each call, keeps what it was told to make, answers as az does.

Only what the scripts of infra/ use. State and record are files in the folder `FAKE_AZ`; a file
`fail` there holds the beginning of a command that is to fail. Standard library only.
"""

from __future__ import annotations

import io
import json
import os
import re
import socket
import sys
import threading
import traceback
import zipfile
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

SECRET = "Vx~8Q-never-to-be-shown-anywhere"
CLIENT_ID = "1c0ffee5-70d4-4b6a-8d5f-2e9a7b3c6d48"
TENANT = "3f2a8c14-5d6b-4c7e-9a10-b2c3d4e5f607"
ADMINISTRATOR = "0f0f0f0f-1111-4222-8333-444444444444"
PRINCIPAL = "7d1f0c52-2f4b-4f0e-8f55-0c9b6a1d2e33"


def home() -> Path:
    """The folder of state and record."""
    return Path(os.environ.get("FAKE_AZ", "."))


class Arguments:
    """`az a b --x 1 2 --y` as the words `a b` and the options."""

    def __init__(self, given: list[str]) -> None:
        self.words: list[str] = []
        self.options: dict[str, list[str]] = {}
        latest: list[str] | None = None
        for argument in given:
            if argument.startswith("--"):
                latest = self.options.setdefault(argument, [])
            elif latest is None:
                self.words.append(argument)
            else:
                latest.append(argument)

    def one(self, name: str) -> str:
        return (self.options.get(name) or [""])[0]

    def document(self, name: str) -> Any:
        """What `@file` holds."""
        value = self.one(name)
        assert value.startswith("@"), f"{name} must come from a file"
        return json.loads(Path(value[1:]).read_text(encoding="utf-8"))


def start() -> dict[str, Any]:
    """An empty subscription."""
    return {"signed_in": True, "groups": [], "app": None, "sp": False, "secrets": {}, "keys": {}}


def account_show(given: Arguments, state: dict[str, Any]) -> str | None:
    if not state["signed_in"]:
        return None
    if given.one("--query") == "tenantId":
        return TENANT
    subscription = "11111111-2222-3333-4444-555555555555"
    if given.one("--query") == "id":
        return subscription
    return json.dumps(["Subscription of Contoso", subscription, TENANT])


def cloud_show(given: Arguments, state: dict[str, Any]) -> str:
    query = given.one("--query")
    return "AzureCloud" if query == "name" else "https://login.microsoftonline.com"


def group_exists(given: Arguments, state: dict[str, Any]) -> str:
    return "true" if given.one("--name") in state["groups"] else "false"


def group_create(given: Arguments, state: dict[str, Any]) -> str:
    state["groups"].append(given.one("--name"))
    return ""


def what_if(given: Arguments, state: dict[str, Any]) -> str | None:
    known = given.one("--resource-group") in state["groups"]
    return "Resource changes: 12 to create." if known else None


def deployment_create(given: Arguments, state: dict[str, Any]) -> str:
    kept: dict[str, Any] = {}
    for parameter in given.options["--parameters"]:
        if parameter.startswith("@"):
            file = json.loads(Path(parameter[1:]).read_text(encoding="utf-8"))["parameters"]
            kept |= {name: entry["value"] for name, entry in file.items()}
        else:
            name, value = parameter.split("=", 1)
            kept[name] = value
    state["parameters"] = kept
    deployments = state.setdefault("deployments", {})
    deployments[given.one("--name")] = {"made": len(state.setdefault("made", [])), "given": kept}
    state["made"].append(given.one("--name"))
    return ""


def deployments(state: dict[str, Any]) -> list[dict[str, Any]]:
    """As Azure Resource Manager shows them; one that failed has no outputs."""
    return [
        {
            "name": name,
            "properties": {
                "timestamp": f"2026-11-20T08:00:{kept['made']:02}Z",
                "parameters": {
                    name: {"type": "String", "value": value}
                    for name, value in kept["given"].items()
                },
                "outputs": None if kept.get("failed") else outputs(),
            },
        }
        for name, kept in state.get("deployments", {}).items()
    ]


def deployment_list(given: Arguments, state: dict[str, Any]) -> str:
    found = deployments(state)
    return json.dumps([{"name": one["name"], **one["properties"]} for one in found])


def deployment_show(given: Arguments, state: dict[str, Any]) -> str | None:
    found = [one for one in deployments(state) if one["name"] == given.one("--name")]
    return json.dumps(found[0]["properties"]["outputs"]) if found else None


def outputs() -> dict[str, Any]:
    app = os.environ.get("FAKE_APP_URL", "https://func-postroom.example.net")
    values = {
        "sendUrl": f"{app}/api/send",
        "queueUrl": "https://stpostroom.queue.core.windows.net/outbox",
        "redirectUri": "https://func-postroom.example.net/api/auth/callback",
        "signInUrl": "https://func-postroom.example.net/signin",
        "vaultName": "kv-postroom",
        "identityClientId": "aaaaaaaa-0000-4000-8000-000000000001",
        "identityPrincipalId": PRINCIPAL,
        "functionAppName": "func-postroom",
        "storageAccountName": "stpostroom",
        "deploymentContainer": "packages",
    }
    return {name: {"type": "String", "value": value} for name, value in values.items()}


def config_zip(given: Arguments, state: dict[str, Any]) -> str:
    with zipfile.ZipFile(given.one("--src")) as package:
        state["published"] = sorted(package.namelist())
    return ""


def app_list(given: Arguments, state: dict[str, Any]) -> str:
    app = state["app"]
    found = re.fullmatch(r"displayName eq '(.*)'", given.one("--filter"))
    wanted = found[1].replace("''", "'") if found else None
    shown = f"{CLIENT_ID}\t2026-11-01T08:00:00Z"
    return "\n".join([shown] * app.get("copies", 1)) if app and app["name"] == wanted else ""


def owner_list(given: Arguments, state: dict[str, Any]) -> str:
    if given.one("--output") == "json":
        return json.dumps([{"id": ADMINISTRATOR, "userPrincipalName": "ada@contoso.com"}])
    return f"{ADMINISTRATOR}\tada@contoso.com"


def app_create(given: Arguments, state: dict[str, Any]) -> str:
    state["app"] = {"name": given.one("--display-name"), "uris": [], "federated": None}
    app_update(given, state)
    return CLIENT_ID


def app_update(given: Arguments, state: dict[str, Any]) -> str:
    app = state["app"]
    if "--sign-in-audience" in given.options:
        app["audience"] = given.one("--sign-in-audience")
    if "--required-resource-accesses" in given.options:
        app["permissions"] = given.document("--required-resource-accesses")
    app["uris"] = given.options.get("--web-redirect-uris", app["uris"])
    return ""


def app_show(given: Arguments, state: dict[str, Any]) -> str | None:
    app = state["app"]
    return app and json.dumps(
        {
            "appId": CLIENT_ID,
            "signInAudience": app.get("audience"),
            "requiredResourceAccess": app.get("permissions", []),
            "web": {"redirectUris": app["uris"]},
            "passwordCredentials": [{"displayName": name} for name in state["keys"].values()],
        }
    )


def signed_in_user(given: Arguments, state: dict[str, Any]) -> str:
    return ADMINISTRATOR


def sp_show(given: Arguments, state: dict[str, Any]) -> str | None:
    return "" if state["sp"] else None


def sp_create(given: Arguments, state: dict[str, Any]) -> str:
    state["sp"] = True
    return ""


def credential_reset(given: Arguments, state: dict[str, Any]) -> str:
    assert "--append" in given.options, "the other secrets would be removed"
    state["keys"][f"key-{len(state['keys'])}"] = given.one("--display-name")
    sys.stderr.write("WARNING: The output includes credentials that you must protect.\n")
    return SECRET


def credential_list(given: Arguments, state: dict[str, Any]) -> str:
    return "\n".join(key for key, name in state["keys"].items() if name in given.one("--query"))


def credential_delete(given: Arguments, state: dict[str, Any]) -> str:
    del state["keys"][given.one("--key-id")]
    return ""


def secret_show(given: Arguments, state: dict[str, Any]) -> str | None:
    name = given.one("--name")
    vault = f"https://{given.one('--vault-name')}.vault.azure.net"
    return f"{vault}/secrets/{name}/1" if name in state["secrets"] else None


def secret_set(given: Arguments, state: dict[str, Any]) -> str:
    value = Path(given.one("--file")).read_text(encoding="utf-8")
    state["secrets"][given.one("--name")] = {"value": value, "expires": given.one("--expires")}
    # As az does, unless it is told not to.
    return "" if given.one("--output") == "none" else json.dumps({"value": value})


def federated_list(given: Arguments, state: dict[str, Any]) -> str:
    federated = state["app"]["federated"]
    return json.dumps([federated] if federated else [])


def federated_write(given: Arguments, state: dict[str, Any]) -> str:
    state["app"]["federated"] = given.document("--parameters")
    return ""


def nothing(given: Arguments, state: dict[str, Any]) -> str:
    return ""


Answer = Callable[[Arguments, dict[str, Any]], "str | None"]
COMMANDS: dict[str, Answer] = {
    "version": lambda given, state: str(state.get("version", "2.80.0")),
    "bicep version": lambda given, state: f"Bicep CLI version {state.get('bicep', '0.38.5')} (1)",
    "account show": account_show,
    "cloud show": cloud_show,
    "group exists": group_exists,
    "group create": group_create,
    "deployment group what-if": what_if,
    "deployment group create": deployment_create,
    "deployment group list": deployment_list,
    "deployment group show": deployment_show,
    "functionapp deployment source config-zip": config_zip,
    "ad app list": app_list,
    "ad app create": app_create,
    "ad app update": app_update,
    "ad app show": app_show,
    "ad app owner list": owner_list,
    "ad signed-in-user show": signed_in_user,
    "ad sp show": sp_show,
    "ad sp create": sp_create,
    "ad app credential reset": credential_reset,
    "ad app credential list": credential_list,
    "ad app credential delete": credential_delete,
    "ad app federated-credential list": federated_list,
    "ad app federated-credential create": federated_write,
    "ad app permission admin-consent": nothing,
    "keyvault secret show": secret_show,
    "keyvault secret set": secret_set,
}


def main(arguments: list[str]) -> int:
    """Answer one call. Returns the exit code."""
    given = Arguments(arguments)
    command = " ".join(given.words)
    with (home() / "calls.jsonl").open("a", encoding="utf-8") as record:
        record.write(json.dumps(arguments) + "\n")
    failing = (home() / "fail").read_text("utf-8") if (home() / "fail").exists() else None
    if failing is not None and command.startswith(failing):
        sys.stderr.write("ERROR: (Refused) as the test asked for\n")
        return 1
    if command not in COMMANDS:
        sys.stderr.write(f"ERROR: '{command}' is misspelled or not recognized by the system.\n")
        return 2
    file = home() / "state.json"
    state = json.loads(file.read_text("utf-8")) if file.exists() else start()
    answer = COMMANDS[command](given, state)
    file.write_text(json.dumps(state), encoding="utf-8")
    if answer is None:
        sys.stderr.write("ERROR: not found\n")
        return 3
    if answer and given.one("--output") != "none":
        sys.stdout.write(answer + "\n")
    return 0


def serve(answer: Callable[[list[str]], int]) -> None:
    """Answer calls one after another, until standard input ends; the port is the first line that is
    written. See `az_server.py` for what is asked and answered."""
    threading.Thread(target=_end_with_standard_input, daemon=True).start()
    with socket.create_server(("127.0.0.1", 0)) as server:
        sys.stdout.write(f"{server.getsockname()[1]}\n")
        sys.stdout.flush()
        while True:
            connection, _ = server.accept()
            with connection, connection.makefile("rwb") as stream:
                words = [_word(stream) for _ in range(int(_word(stream)) + 2)]
                stream.write("\0".join([*_answered(words, answer), ""]).encode())


def _answered(words: list[str], answer: Callable[[list[str]], int]) -> tuple[str, str, str]:
    """Output, errors and exit code of one call."""
    os.environ["FAKE_AZ"], os.environ["FAKE_APP_URL"], *arguments = words
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            code = answer(arguments)
        except Exception:  # noqa: BLE001 - as a process would end
            traceback.print_exc()
            code = 1
    return out.getvalue(), err.getvalue(), str(code)


def _word(stream: io.BufferedRWPair) -> str:
    found = bytearray()
    while (byte := stream.read(1)) not in (b"", b"\0"):
        found += byte
    return found.decode()


def _end_with_standard_input() -> None:
    sys.stdin.read()
    os._exit(0)
