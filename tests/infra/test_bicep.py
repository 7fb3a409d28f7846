"""The reader of Bicep: what it makes of expressions and whole files."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.infra.bicep import syntax as s
from tests.infra.bicep.evaluate import Template, deploy
from tests.infra.bicep.functions import resource_group
from tests.infra.bicep.parser import expression, read
from tests.infra.bicep.syntax import BicepError
from tests.infra.checks.walking import walk
from tests.infra.tools import DATA, INFRA
from tests.infra.variants import needed, roots

SAMPLE = DATA / "sample"


@pytest.fixture
def empty(tmp_path: Path) -> Template:
    path = tmp_path / "empty.bicep"
    path.write_text("param unused string = ''\n")
    return Template(path, {}, resource_group())


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 + 2 * 3", 7),
        ("10 / 4 % 2", 0),
        ("-3 + 1", -2),
        ("true || false && false", True),
        ("!empty('a') && 'a' != 'b'", True),
        ("false ? 1 : true ? 2 : 3", 2),
        ("{ a: { b: 4 } }.a.b", 4),
        ("false ? { c: 1 } : { c: 2 }.c", 2),
        ("null ?? 'd'", "d"),
        ("{ a: 1 }.?b ?? 5", 5),
        ("'a${1 + 1}b${'c${3}'}'", "a2bc3"),
        (r"'it\'s \${x}'", "it's ${x}"),
        ("'''two\nlines'''", "two\nlines"),
        ("[1, 2, ...[3]]", [1, 2, 3]),
        ("{ ...{ a: 1 }, b: 2 }", {"a": 1, "b": 2}),
        ("map([1, 2], i => i * 2)", [2, 4]),
        ("reduce([1, 2, 3], 0, (sum, i) => sum + i)", 6),
        ("filter(['a', 'b'], x => x == 'b')[0]", "b"),
        ("[for (x, i) in ['p', 'q']: '${x}${i}']", ["p0", "q1"]),
        ("take(toLower(replace('Ab-C', '-', '')), 2)", "ab"),
        ("union({ a: { x: 1 } }, { a: { y: 2 } })", {"a": {"x": 1, "y": 2}}),
        ("length(uniqueString('a', 'b'))", 13),
        ("cidrSubnet('10.0.0.0/24', 25, 1)", "10.0.0.128/25"),
        ("toObject(['a'], k => k, k => 1)", {"a": 1}),
        ("join(['a', 'b'], '-')", "a-b"),
    ],
)
def test_expression_has_this_value(empty: Template, text: str, value: Any) -> None:
    assert empty.value(expression(text), {}) == value


@pytest.mark.parametrize("text", ["1 +", "'open", "{ a 1 }", "f(1", "[1 2]", "a ? b", "§"])
def test_what_is_no_expression_is_refused(text: str) -> None:
    with pytest.raises(BicepError):
        expression(text)


@pytest.mark.parametrize(
    "text", ["unknown()", "nowhere", "{ a: 1 }.b", "substring('abc', 2, 5)", "resourceId('x', 'y')"]
)
def test_what_has_no_value_is_refused_and_not_guessed(empty: Template, text: str) -> None:
    with pytest.raises(BicepError):
        empty.value(expression(text), {})


def test_sample_is_deployed_with_its_loops_conditions_and_modules() -> None:
    template = deploy(SAMPLE / "main.bicep", {"prefix": "Contoso"})

    found = {
        resource.id.rpartition("/providers/")[2]: resource for resource in template.resources()
    }

    account = "Microsoft.Storage/storageAccounts/stcontoso"
    assert set(found) == {
        account,
        f"{account}/queueServices/default",
        f"{account}/queueServices/default/queues/one",
        f"{account}/queueServices/default/queues/two",
        "Microsoft.Authorization/locks/keep",
        "Microsoft.ManagedIdentity/userAssignedIdentities/id-contoso",
    }
    assert found["Microsoft.Authorization/locks/keep"].scope_id.endswith(account)
    assert found[account].body()["tags"] == {"made-by": "sample"}


def test_outputs_of_a_module_reach_those_of_the_template() -> None:
    outputs = deploy(SAMPLE / "main.bicep", {"prefix": "a"}).outputs()

    assert outputs["queueUrl"] == "https://sta.queue.core.windows.net/one"
    assert len(outputs["clientId"]) == 36


def test_condition_that_does_not_hold_deploys_nothing() -> None:
    template = deploy(SAMPLE / "main.bicep", {"prefix": "a", "keep": False})

    assert not [r for r in template.resources() if r.type.endswith("locks")]


@pytest.mark.parametrize(
    ("parameters", "problem"),
    [
        pytest.param({}, "prefix has no value", id="missing"),
        pytest.param({"prefix": ""}, "@minLength", id="too short"),
        pytest.param({"prefix": "a", "kind": "c"}, "@allowed", id="not allowed"),
        pytest.param({"prefix": "a", "other": 1}, "no parameter other", id="unknown"),
    ],
)
def test_parameter_is_held_to_its_decorators(parameters: dict[str, Any], problem: str) -> None:
    def work_out() -> None:
        for resource in deploy(SAMPLE / "main.bicep", parameters).resources():
            resource.body()

    with pytest.raises(BicepError, match=problem):
        work_out()


def given_by_azd(file: Path, environment: dict[str, str]) -> dict[str, Any]:
    """azd puts its environment where the file says ${NAME}, or ${NAME=default}."""

    def value(found: re.Match[str]) -> str:
        return environment.get(found[1], found[2] or "")

    text = re.sub(r"\$\{(\w+)(?:=([^}]*))?\}", value, file.read_text(encoding="utf-8"))
    return {name: entry["value"] for name, entry in json.loads(text)["parameters"].items()}


@pytest.mark.parametrize("network", ["public", "private"])
def test_parameters_that_azd_gives_work_out(network: str) -> None:
    environment = {"POSTROOM_NETWORK": network, "AZURE_LOCATION": "westeurope"}
    given = given_by_azd(INFRA / "main.parameters.json", environment)

    kinds = {resource.type for resource in deploy(INFRA / "main.bicep", given).resources()}

    assert "Microsoft.Web/sites" in kinds
    assert ("Microsoft.Network/virtualNetworks" in kinds) == (network == "private")


@pytest.mark.parametrize("root", roots(INFRA), ids=lambda path: path.stem)
def test_two_deployments_of_a_template_are_the_same(root: Path) -> None:
    """No value of the moment goes into a resource, so a second deployment changes nothing."""

    def everything() -> list[Any]:
        return [(r.id, r.body()) for r in deploy(root, needed(root)).resources()]

    assert everything() == everything()


@pytest.mark.parametrize("path", sorted(INFRA.rglob("*.bicep")), ids=lambda path: path.stem)
def test_no_template_asks_for_the_time_or_for_chance(path: Path) -> None:
    calls = {node.name for node in walk(read(path)) if isinstance(node, s.Call)}

    assert not calls & {"utcNow", "newGuid"}
