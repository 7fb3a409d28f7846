"""App settings: what the template sets, what shared/settings.py reads, what docs/settings.md says."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from shared.errors import ConfigurationError
from shared.settings import Settings, load
from tests.infra.tools import DATA, ROOT
from tests.infra.variants import Variant, samples, variants

_SITE = "Microsoft.Web/sites"
_CONFIG = "Microsoft.Web/sites/config"
PAGE = ROOT / "docs" / "settings.md"


@functools.cache
def rules() -> dict[str, dict[str, str]]:
    """Lists of names, each with its reason: data/app_settings.json."""
    found: dict[str, dict[str, str]] = json.loads((DATA / "app_settings.json").read_text())
    return found


def settings_of(variant: Variant) -> dict[str, str]:
    """The function app's settings as the template sets them."""
    found: dict[str, str] = {}
    for resource in variant.resources:
        if resource.template.path.parent.name == "examples":
            continue
        if resource.type == _SITE:
            listed = resource.body()["properties"].get("siteConfig", {}).get("appSettings") or []
            found |= {entry["name"]: entry["value"] for entry in listed}
        elif resource.type == _CONFIG and resource.name.endswith("/appsettings"):
            found |= resource.body()["properties"]
    return found


class _Recording(dict[str, str]):
    def __init__(self, values: Mapping[str, str]) -> None:
        super().__init__(values)
        self.asked: set[str] = set()

    def get(self, key: str, default: Any = None) -> Any:
        self.asked.add(key)
        return super().get(key, default)


def read_by_code() -> set[str]:
    """Every name that `load` asks the environment for."""
    environment = _Recording({"POSTROOM_DEVELOPMENT": "true"})
    try:
        load(environment)
    except ConfigurationError:
        # Nothing is set; all the names have been asked for.
        return environment.asked
    raise AssertionError("settings load from nothing")


def documented(page: str) -> set[str]:
    """The names in the first column of the page's tables of settings."""
    tables = page.partition("\n## ")[2]
    cells = re.findall(r"^\| ([^|]+) \|", tables, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([A-Za-z_]+)`", cell)}


def problems(main: Path, page: str | None = None, read: Iterable[str] | None = None) -> list[str]:
    page = PAGE.read_text(encoding="utf-8") if page is None else page
    code = set(read_by_code() if read is None else read)
    every = [settings_of(variant) for variant in variants(main)]
    in_bicep = {name for settings in every for name in settings}
    in_page = documented(page)
    in_bicep -= set(samples()["*"]["moreSettings"])
    elsewhere, platform = set(rules()["not_in_the_template"]), set(rules()["platform"])
    return [
        *(
            f"{n}: the code reads it and the template never sets it"
            for n in _s(code - in_bicep - elsewhere)
        ),
        *(f"{n}: is said not to be in the template, and is" for n in _s(elsewhere & in_bicep)),
        *(
            f"{n}: the template sets it and nothing reads it"
            for n in _s(in_bicep - code - platform)
        ),
        *(
            f"{n}: listed as the platform's, and the template never sets it"
            for n in _s(platform - in_bicep)
        ),
        *(
            f"{n}: the template sets it and docs/settings.md does not know it"
            for n in _s(in_bicep - in_page)
        ),
        *(
            f"{n}: the code reads it and docs/settings.md does not know it"
            for n in _s(code - in_page)
        ),
        *(
            f"{n} must not be set: {rules()['forbidden'][n]}"
            for n in _s(in_bicep & set(rules()["forbidden"]))
        ),
        *(
            f"{name} is no text"
            for settings in every
            for name, value in settings.items()
            if not isinstance(value, str)
        ),
    ]


def _s(names: set[str]) -> list[str]:
    return sorted(names)


def loaded(variant: Variant) -> Settings:
    """The settings of a deployment as the app would have them: WEBSITE_HOSTNAME is Azure's to add."""
    site = next(r for r in variant.resources if r.type == _SITE)
    host = f"{site.name}.azurewebsites.net"
    return load({**settings_of(variant), "WEBSITE_HOSTNAME": host})
