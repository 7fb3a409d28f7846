"""No secret in, through or out of a template."""

from __future__ import annotations

import base64

import pytest

from tests.infra.checks import secrets
from tests.infra.conftest import Copy, has
from tests.infra.tools import INFRA

KEY = base64.b64encode(bytes(range(64))).decode()


def test_there_is_no_secret() -> None:
    assert secrets.problems(INFRA) == []


def test_every_exception_has_its_reason() -> None:
    assert all(len(reason) > 20 for reason in secrets.NOT_SECRET.values())


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        pytest.param(
            "var key = listKeys(resourceId('Microsoft.Storage/storageAccounts', 'x'), '1').keys[0]",
            ["listKeys()"],
            id="listKeys",
        ),
        pytest.param(
            "var all = resourceGroup().listSecrets()", ["listSecrets()"], id="listSecrets"
        ),
        pytest.param(f"var key = '{KEY}'", ["base64"], id="key"),
        pytest.param(f"// AccountKey={KEY}", ["connection string"], id="connection string"),
        pytest.param(
            "var url = 'https://x/?sv=1&sig=abcdefghijklmnopqrst'", ["signature"], id="SAS"
        ),
        pytest.param("var token = 'eyJhbGciOiJIUzI1NiJ9.e30'", ["a token"], id="token"),
        pytest.param(f"var s = 'Abc8Q~{'x' * 34}'", ["a client secret"], id="client secret"),
        pytest.param("@secure()\noutput word string = 'a'", ["output word"], id="secure output"),
        pytest.param("output functionKey string = 'a'", ["output functionKey"], id="named output"),
        pytest.param("@secure()\nparam word string = 'a'", ["has a default"], id="secure default"),
        pytest.param("param clientSecret string = ''", ["not @secure()"], id="plain parameter"),
    ],
)
def test_secret_is_reported(copy: Copy, line: str, parts: list[str]) -> None:
    with copy.main.open("a") as file:
        file.write(f"\n{line}\n")

    assert has(secrets.problems(copy.infra), "main.bicep", *parts)


def test_secret_in_a_script_is_reported(copy: Copy) -> None:
    (copy.infra / "more.sh").write_text(f"export KEY={KEY}\n")

    assert has(secrets.problems(copy.infra), "more.sh:1")
