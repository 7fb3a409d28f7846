"""The stack's files: `stack.json` for scripts and people, local.settings.json for `func start`."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

REPOSITORY = Path(__file__).resolve().parents[1]


def path(state_directory: Path) -> Path:
    return state_directory / "stack.json"


def read(file: Path) -> dict[str, Any] | None:
    """The document; None if the file does not exist yet, or is being written."""
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) else None


def write(file: Path, document: Mapping[str, Any]) -> None:
    """Write the file atomically, readable only by its owner, because it contains keys."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        json.dump(document, stream, indent=2)
        stream.write("\n")
    temporary.replace(file)


def app_settings(
    info: Mapping[str, Any], app_port: int, credential: str = "secret"
) -> dict[str, str]:
    """The app's settings: those of `infra/`, with local addresses."""
    authority = urlsplit(info["authority"])
    # Only a user-assigned identity can be used, so it is named.
    named = (
        {"POSTROOM_IDENTITY_CLIENT_ID": info["identity_client_id"]}
        if credential == "managed-identity"
        else {}
    )
    return {
        **named,
        "POSTROOM_CREDENTIAL": credential,
        "AzureWebJobsStorage": info["storage_connection_string"],
        "FUNCTIONS_WORKER_RUNTIME": "python",
        "PYTHON_THREADPOOL_THREAD_COUNT": "32",
        "POSTROOM_DEVELOPMENT": "true",
        "POSTROOM_TENANT": info["tenant_id"],
        "POSTROOM_CLIENT_ID": info["client_id"],
        "POSTROOM_VAULT_URL": info["vault_url"],
        "POSTROOM_GRAPH_URL": info["graph_url"],
        "POSTROOM_AUTHORITY_HOST": f"{authority.scheme}://{authority.netloc}",
        "POSTROOM_CA_FILE": info["ca_file"],
        "POSTROOM_REDIRECT_URI": f"http://localhost:{app_port}/api/auth/callback",
        "IDENTITY_ENDPOINT": info["identity_endpoint"],
        "IDENTITY_HEADER": info["identity_header"],
    }


def write_local_settings(app_directory: Path, port: int, settings: Mapping[str, str]) -> None:
    """https://learn.microsoft.com/azure/azure-functions/functions-develop-local#local-settings-file"""
    document = {"IsEncrypted": False, "Values": dict(settings), "Host": {"LocalHttpPort": port}}
    write(app_directory / "local.settings.json", document)
