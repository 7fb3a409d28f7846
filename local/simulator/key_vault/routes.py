"""The paths of Key Vault's secrets API, with the right that each needs."""

from __future__ import annotations

from local.simulator.key_vault import handlers
from local.simulator.key_vault.handlers import Work, guarded
from local.simulator.state import Hooks, SimulatorState
from local.simulator.wire import Route

_TABLE: tuple[tuple[str, str, str, str, Work], ...] = (
    ("set_secret", "PUT", "/secrets/{name}", "set", handlers.set_secret),
    ("list_versions", "GET", "/secrets/{name}/versions", "list", handlers.list_versions),
    ("get_secret", "GET", "/secrets/{name}", "get", handlers.get_secret),
    # The SDK asks for the newest version with an empty segment.
    ("get_secret", "GET", "/secrets/{name}/", "get", handlers.get_secret),
    ("get_secret", "GET", "/secrets/{name}/{version}", "get", handlers.get_secret),
    ("update_secret", "PATCH", "/secrets/{name}", "update", handlers.update_secret),
    ("update_secret", "PATCH", "/secrets/{name}/", "update", handlers.update_secret),
    ("update_secret", "PATCH", "/secrets/{name}/{version}", "update", handlers.update_secret),
    ("list_secrets", "GET", "/secrets", "list", handlers.list_secrets),
    ("delete_secret", "DELETE", "/secrets/{name}", "delete", handlers.delete_secret),
    ("list_deleted", "GET", "/deletedsecrets", "list", handlers.list_deleted),
    ("get_deleted", "GET", "/deletedsecrets/{name}", "list", handlers.get_deleted),
    (
        "recover_secret",
        "POST",
        "/deletedsecrets/{name}/recover",
        "recover",
        handlers.recover_secret,
    ),
    ("purge_secret", "DELETE", "/deletedsecrets/{name}", "purge", handlers.purge_secret),
    ("backup_secret", "POST", "/secrets/{name}/backup", "backup", handlers.backup_secret),
    ("restore_secret", "POST", "/secrets/restore", "restore", handlers.restore_secret),
    ("no_operation", "*", "/<secrets|deletedsecrets><|/{rest:path}>", "get", handlers.no_operation),
    (
        "other_objects",
        "*",
        "/<|deleted><keys|certificates|storage><|/{rest:path}>",
        "get",
        handlers.other_objects,
    ),
)


def routes(state: SimulatorState) -> list[Route]:
    """Operations have names such as `key_vault.get_secret`."""
    state.hooks["key_vault"] = Hooks(error=handlers.fault)
    return [
        # Microsoft's own example of a request begins with an empty segment.
        Route(f"key_vault.{name}", method, f"<|/>{template}", guarded(state.vault, action, work))
        for name, method, template, action, work in _TABLE
    ]
