"""Queues, tables and containers: those of the template are those of the code."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from shared.adapters.storage import clients
from tests.infra.variants import Variant, variants

_ACCOUNT = "Microsoft.Storage/storageAccounts"


def of_code() -> dict[str, set[str]]:
    """By the ends of the constants' names in shared/adapters/storage/clients.py."""

    def ending(suffix: str) -> set[str]:
        return {
            str(value)
            for name, value in vars(clients).items()
            if name.endswith(suffix) and name.isupper() and isinstance(value, str)
        }

    return {
        "queueServices/queues": ending("_QUEUE"),
        "tableServices/tables": ending("_TABLE"),
        "blobServices/containers": ending("_CONTAINER"),
    }


def problems(main: Path) -> list[str]:
    return sorted({problem for variant in variants(main) for problem in _of(variant)})


def _of(variant: Variant) -> Iterator[str]:
    package = deployment_container(variant)
    if package is None:
        yield f"{variant.root.name}: no container for the package"
    for kind, wanted in of_code().items():
        made = {
            r.name.rpartition("/")[2] for r in variant.resources if r.type == f"{_ACCOUNT}/{kind}"
        }
        if kind.endswith("containers"):
            if package not in made:
                yield f"the package goes to a container that is not made: {package}"
            made -= {package or ""}
        for name in sorted(wanted - made):
            yield f"{kind}: the code uses {name}, and the template does not make it"
        for name in sorted(made - wanted):
            yield f"{kind}: the template makes {name}, and the code does not use it"


def deployment_container(variant: Variant) -> str | None:
    """Where the package of the app is put: functionAppConfig.deployment.storage.value."""
    for resource in variant.resources:
        if resource.type == "Microsoft.Web/sites":
            config = resource.body()["properties"].get("functionAppConfig", {})
            value = config.get("deployment", {}).get("storage", {}).get("value", "")
            return str(value).rpartition("/")[2] or None
    return None
