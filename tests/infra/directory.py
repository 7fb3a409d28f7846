"""Stands in for the Azure CLI where a directory with several registrations, owners and callers matters.

As tests/packaging/fake_az.py, with whole documents and az's own query language instead of one app
and its answers; run by the tools' Python, which has jmespath.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.packaging import fake_az
from tests.packaging.fake_az import Arguments

SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"
ME = fake_az.ADMINISTRATOR
PIPELINE = "50505050-1111-4222-8333-666666666666"
PIPELINE_APP = "60606060-1111-4222-8333-777777777777"

State = dict[str, Any]


def registration(number: int, name: str, owner: str, **more: Any) -> dict[str, Any]:
    """A registration as Microsoft Graph shows it; `owners` is kept beside it."""
    return {
        "appId": f"{number:08d}-0000-4000-8000-000000000000",
        "id": f"{number:08d}-0000-4000-9000-000000000000",
        "displayName": name,
        "createdDateTime": "2025-03-01T08:00:00Z",
        "signInAudience": "AzureADMyOrg",
        "requiredResourceAccess": [],
        "web": {"redirectUris": []},
        "owners": [{"id": owner, "userPrincipalName": f"{owner[:4]}@contoso.com"}],
        "federated": [],
        **more,
    }


def account_show(given: Arguments, state: State) -> Any:
    if not state["signed_in"]:
        return None
    caller = state.get("caller", "user")
    name = "ada@contoso.com" if caller == "user" else PIPELINE_APP
    return {
        "name": "Subscription of Contoso",
        "id": SUBSCRIPTION,
        "tenantId": fake_az.TENANT,
        "user": {"type": caller, "name": name},
    }


def signed_in_user(given: Arguments, state: State) -> Any:
    """/me is refused to service principals."""
    return {"id": ME} if state.get("caller", "user") == "user" else None


def deployment_list(given: Arguments, state: State) -> Any:
    return fake_az.deployments(state)


def deployment_show(given: Arguments, state: State) -> Any:
    found = fake_az.deployments(state)
    return next((one for one in found if one["name"] == given.one("--name")), None)


def app_list(given: Arguments, state: State) -> Any:
    wanted = given.one("--filter").removeprefix("displayName eq '").removesuffix("'")
    return [app for app in state["apps"] if app["displayName"] == wanted.replace("''", "'")]


def app_of(given: Arguments, state: State) -> Any:
    return next((app for app in state["apps"] if app["appId"] == given.one("--id")), None)


def app_create(given: Arguments, state: State) -> Any:
    me = PIPELINE if state.get("caller") == "servicePrincipal" else ME
    app = registration(90 + len(state["apps"]), given.one("--display-name"), me)
    state["apps"].append(app)
    return _write(given, app)


def app_update(given: Arguments, state: State) -> Any:
    app = app_of(given, state)
    return _write(given, app) if app else None


def _write(given: Arguments, app: dict[str, Any]) -> Any:
    """Only what is given, as az does."""
    if "--sign-in-audience" in given.options:
        app["signInAudience"] = given.one("--sign-in-audience")
    if "--required-resource-accesses" in given.options:
        app["requiredResourceAccess"] = given.document("--required-resource-accesses")
    if "--web-redirect-uris" in given.options:
        app["web"]["redirectUris"] = given.options["--web-redirect-uris"]
    return app


def owner_list(given: Arguments, state: State) -> Any:
    app = app_of(given, state)
    return app["owners"] if app else None


def sp_show(given: Arguments, state: State) -> Any:
    if given.one("--id") == PIPELINE_APP:
        return {"id": PIPELINE, "appId": PIPELINE_APP}
    return {"id": "sp"} if state["sp"] else None


def federated_list(given: Arguments, state: State) -> Any:
    return app_of(given, state)["federated"]


def federated_create(given: Arguments, state: State) -> Any:
    known, new = app_of(given, state)["federated"], given.document("--parameters")
    pairs = {(one["issuer"], one["subject"]) for one in known}
    names = {one["name"] for one in known}
    if len(known) >= 20 or new["name"] in names or (new["issuer"], new["subject"]) in pairs:
        return None
    known.append(new)
    return ""


COMMANDS: dict[str, Callable[[Arguments, State], Any]] = {
    "account show": account_show,
    "deployment group list": deployment_list,
    "deployment group show": deployment_show,
    "ad signed-in-user show": signed_in_user,
    "ad app list": app_list,
    "ad app create": app_create,
    "ad app update": app_update,
    "ad app show": app_of,
    "ad app owner list": owner_list,
    "ad sp show": sp_show,
    "ad app federated-credential list": federated_list,
    "ad app federated-credential create": federated_create,
}


def answered(command: Callable[[Arguments, State], Any]) -> fake_az.Answer:
    def answer(given: Arguments, state: State) -> str | None:
        import jmespath  # type: ignore[import-untyped]

        state.setdefault("apps", [])
        found = command(given, state)
        if not found and not isinstance(found, list):
            return None if found is None else ""
        if given.one("--query"):
            found = jmespath.search(given.one("--query"), found)
        return _tsv(found) if given.one("--output") == "tsv" else json.dumps(found)

    return answer


def _tsv(found: Any) -> str:
    if found is None:
        return ""
    lines = found if isinstance(found, list) else [found]
    return "\n".join(
        "\t".join(map(str, line)) if isinstance(line, list) else str(line) for line in lines
    )


def main(arguments: list[str]) -> int:
    """Answer one call. Returns the exit code."""
    fake_az.COMMANDS.update({name: answered(command) for name, command in COMMANDS.items()})
    return fake_az.main(arguments)
