"""checkov, once over the templates and a broken copy of them: it takes seconds to start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.infra.checks import scanner
from tests.infra.conftest import Copy, has

ACCOUNT = """param name string = '{name}'

resource account 'Microsoft.Storage/storageAccounts@2025-01-01' = {{
  name: name
  location: 'westeurope'
  kind: 'StorageV2'
  sku: {{
    name: 'Standard_GRS'
  }}
}}
"""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    both = tmp_path_factory.mktemp("scan")
    whole, broken = Copy(both / "whole"), Copy(both / "broken")
    broken.change("httpsOnly: true", "httpsOnly: false")
    broken.change(r"(checkov:skip=CKV_AZURE_35):.*", r"\1")
    (broken.infra / "modules" / "new.bicep").write_text("func f(x string) string => '${x}!'\n")
    for file, name in (("good", "mailroom"), ("bad", "Mail-Room")):
        (broken.infra / "modules" / f"{file}.bicep").write_text(ACCOUNT.format(name=name))
    for path in broken.infra.rglob("*.bicep"):
        as_it_was = whole.infra / path.relative_to(broken.infra)
        if as_it_was.exists() and as_it_was.read_bytes() == path.read_bytes():
            path.unlink()
    return whole.infra, broken.infra


@pytest.fixture(scope="module")
def report(folders: tuple[Path, Path]) -> dict[str, Any]:
    return scanner.scan(folders[0].parents[1])


def test_checkov_finds_nothing(report: dict[str, Any], folders: tuple[Path, Path]) -> None:
    assert scanner.problems(report, folders[0]) == []


def test_checkov_looked_at_every_kind_of_resource(report: dict[str, Any]) -> None:
    looked_at = {
        entry["resource"].rpartition(".")[0] for entry in report["results"]["passed_checks"]
    }

    assert {"Microsoft.Storage/storageAccounts", "Microsoft.KeyVault/vaults"} <= looked_at
    assert "Microsoft.Web/sites" in looked_at


def test_parameter_is_worked_out_with_its_own_files_default(
    report: dict[str, Any], folders: tuple[Path, Path]
) -> None:
    """Whatever the hash seed: scanned together, both files would pass, or both would fail."""
    found = scanner.problems(report, folders[1])

    assert has(found, "bad.bicep", "CKV_AZURE_43")
    assert not has(found, "good.bicep", "CKV_AZURE_43")


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param(["CKV_AZURE_14"], id="failed check"),
        pytest.param(["CKV_AZURE_35 is skipped for no reason"], id="skip without a reason"),
        pytest.param(["new.bicep: checkov cannot read it"], id="file it cannot read"),
    ],
)
def test_broken_template_is_reported(
    report: dict[str, Any], folders: tuple[Path, Path], parts: list[str]
) -> None:
    assert has(scanner.problems(report, folders[1]), *parts)


def test_exceptions_have_their_reasons() -> None:
    for reasons in (scanner.NOT_SCANNED, scanner.WRONG, scanner.CRASHES):
        assert all(len(reason) > 20 for reason in reasons.values())
