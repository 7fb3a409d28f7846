"""Who imports whom, and what a cold start costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

from shared.web.routing import AREAS, Access

ROOT = Path(__file__).parents[2]

PORTS = {
    f"services.{path.parent.name}.ports" for path in (ROOT / "shared/services").glob("*/ports.py")
}

# Part -> the parts it may import. What lies in `shared` itself is a part of its own.
ALLOWED = {
    "function_app": {"web", "services", "bootstrap", "composition", "starting"},
    "starting": set[str](),
    "composition": {"settings", "mail", "services", "web"},
    "bootstrap": {
        "settings",
        "telemetry",
        "errors",
        "mail",
        "services",
        "adapters",
        "composition",
        "discreet",
    },
    "web": {"services", "mail", "errors", "telemetry", "discreet"},
    "services": {"mail", "errors", "telemetry", "discreet"},
    "adapters": {
        "mail",
        "errors",
        "telemetry",
        "services.clock",
        *PORTS,
        "services.intake.outbox_message",
        "discreet",
    },
    "mail": {"errors", "discreet"},
    "settings": {"errors", "discreet"},
    "telemetry": set[str](),
    "errors": set[str](),
    "discreet": set[str](),
}

# A module that may import one thing more, and why.
EXTRA = {
    "shared/web/routing.py": {"composition"},  # for the type checker alone
    "shared/errors.py": {"mail.problems"},  # for the type checker alone
    "shared/adapters/storage/clients.py": {"settings"},  # takes the storage settings in their type
    "shared/settings.py": {
        "mail.address",
        "mail.address_list",
        "mail.guid",
    },  # settings hold addresses
}

HTTP_AND_SDKS = {
    "azure.core",
    "azure.data",
    "azure.identity",
    "azure.keyvault",
    "azure.storage",
    "http.client",
    "httpx",
    "msal",
    "requests",
    "urllib.request",
    "urllib3",
}

NEVER_AT_A_COLD_START = [
    "azure.core",
    "azure.data.tables",
    "azure.identity",
    "azure.keyvault",
    "azure.storage",
    "cryptography",
    "jinja2",
    "msal",
    "requests",
]


def sources(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


OURS = [ROOT / "function_app.py", *sources("shared")]


def part_of(path: Path) -> str:
    """`shared/mail/ids.py` is of the part `mail`, `shared/errors.py` of `errors`."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return parts[1] if parts[0] == "shared" else parts[0]


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def imported(path: Path, *, at_run_time: bool = False) -> tuple[str, ...]:
    """Every module that a file imports, wherever the statement stands."""
    found: list[str] = []
    for node in statements(tree_of(path), at_run_time=at_run_time):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} imports by a relative name"
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return tuple(found)


def offenders(paths: Iterable[Path], breaks: Callable[[Path], Iterable[str]]) -> dict[str, str]:
    """The files that break a rule, each with what it imports."""
    found = {str(path.relative_to(ROOT)): ", ".join(breaks(path)) for path in paths}
    return {name: names for name, names in found.items() if names}


def within(path: Path, *packages: str) -> list[str]:
    """What a file imports of some packages."""
    return [name for name in imported(path) if any(is_within(name, known) for known in packages)]


def statements(tree: ast.AST, *, at_run_time: bool) -> Iterator[ast.AST]:
    """All nodes; those for the type checker alone only where they are wanted."""
    for node in ast.iter_child_nodes(tree):
        if at_run_time and isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        yield node
        yield from statements(node, at_run_time=at_run_time)


def is_within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def outward(path: Path) -> list[str]:
    part = part_of(path)
    allowed = ALLOWED.get(part, set()) | EXTRA.get(str(path.relative_to(ROOT)), set()) | {part}
    return [
        name
        for name in within(path, "shared")
        if not any(is_within(name, f"shared.{inner}") for inner in allowed)
    ]


def test_imports_point_inward() -> None:
    assert offenders(OURS, outward) == {}


def test_no_two_modules_import_each_other_at_whatever_time() -> None:
    """An import within a function makes a circle as well: it only shows it later."""
    assert circles(ours_by_name()) == []


def ours_by_name() -> dict[str, Path]:
    """The modules of the app and of the local stack."""
    found = {}
    for path in (*OURS, *sources("local")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def circles(modules: Mapping[str, Path]) -> list[list[str]]:
    """Modules that import each other, directly or by others; empty packages join nothing."""
    graph = {name: _imported_of(path, modules) for name, path in modules.items()}
    # What nobody imports, or what imports nothing, is in no circle.
    while leaves := {name for name in graph if not graph[name]}:
        graph = {name: after - leaves for name, after in graph.items() if name not in leaves}
    while roots := graph.keys() - set().union(*graph.values()):
        graph = {name: after for name, after in graph.items() if name not in roots}
    return [sorted(graph)] if graph else []


def _imported_of(path: Path, modules: Mapping[str, Path]) -> set[str]:
    found = set()
    for name in imported(path, at_run_time=True):
        while name and name not in modules:
            name = name.rpartition(".")[0]
        if name and modules[name] != path and modules[name].stat().st_size:
            found.add(name)
    return found


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        ({"a": "import b", "b": "def f():\n    import c", "c": "x = 1"}, []),
        ({"a": "import b", "b": "def f():\n    import c", "c": "import b"}, [["b", "c"]]),
    ],
)
def test_a_circle_is_found(tmp_path: Path, texts: dict[str, str], found: list[list[str]]) -> None:
    for name, text in texts.items():
        (tmp_path / f"{name}.py").write_text(text)

    assert circles({name: tmp_path / f"{name}.py" for name in texts}) == found


def test_the_files_of_the_app_are_looked_at() -> None:
    assert len(OURS) > 100


def test_errors_import_nothing_when_they_run() -> None:
    names = list(imported(ROOT / "shared/errors.py", at_run_time=True))

    assert "dataclasses.dataclass" in names
    assert not any(is_within(name, "shared") for name in names)


def test_values_are_structs_but_for_those_that_are_loaded_with_the_index() -> None:
    """A dataclass is made anew at each cold start, in about a millisecond (decision 0025)."""
    users = {
        str(path.relative_to(ROOT))
        for path in sources("shared")
        if any(is_within(name, "dataclasses") for name in imported(path))
    }

    assert users == {"shared/errors.py", "shared/mail/problems.py"}


def test_every_part_has_a_place_in_the_order() -> None:
    assert {part_of(path) for path in OURS} - {"__init__"} == ALLOWED.keys()


def test_only_the_web_knows_of_azure_functions() -> None:
    others = [path for path in sources("shared") if part_of(path) != "web"]

    assert offenders(others, lambda path: within(path, "azure.functions")) == {}


def test_only_adapters_talk_to_the_outside() -> None:
    others = [path for path in OURS if part_of(path) != "adapters"]

    assert offenders(others, lambda path: within(path, *HTTP_AND_SDKS)) == {}


def test_only_the_composition_root_names_adapters() -> None:
    others = [path for path in OURS if part_of(path) not in ("adapters", "bootstrap")]

    assert offenders(others, lambda path: within(path, "shared.adapters")) == {}


def test_the_environment_is_read_in_one_place() -> None:
    readers = {
        str(path.relative_to(ROOT))
        for path in OURS
        if any(name in ("os.environ", "os.getenv") for name in dotted_names(path))
    }

    assert readers == {"shared/bootstrap.py"}


def dotted_names(path: Path) -> Iterator[str]:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Attribute):
            yield ast.unparse(node)


def test_the_simulator_shares_no_code_with_the_app() -> None:
    shared = {
        str(path.relative_to(ROOT)): name
        for path in sources("local/simulator")
        for name in imported(path)
        if is_within(name, "shared") or is_within(name, "function_app")
    }

    assert sources("local/simulator") != []
    assert shared == {}


def test_no_module_is_called_like_one_of_the_standard_library() -> None:
    """The worker puts the app's root at the end of the module path."""
    top = {path.name for path in ROOT.iterdir() if (path / "__init__.py").exists()}
    top |= {path.stem for path in ROOT.glob("*.py")}

    assert top & set(sys.stdlib_module_names) == set()


COLD_START = """
import sys
import function_app
functions = function_app.app.get_functions()
assert len(functions) > 10, len(functions)
print(*sorted(sys.modules))
"""


def test_a_cold_start_imports_no_sdk_and_no_template_engine() -> None:
    done = subprocess.run(  # noqa: S603 - our own interpreter and text
        [sys.executable, "-c", COLD_START], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = done.stdout.split()

    heavy = [
        name for name in loaded if any(is_within(name, known) for known in NEVER_AT_A_COLD_START)
    ]

    assert "shared.web.problem" in loaded
    assert heavy == []


def apps() -> list[str]:
    import azure.functions as func

    import function_app

    return [
        name for name, value in vars(function_app).items() if isinstance(value, func.FunctionApp)
    ]


def test_there_is_exactly_one_function_app_and_it_is_called_app() -> None:
    assert apps() == ["app"]


# What the host calls without a key.
ANONYMOUS = {
    route.name
    for area in AREAS
    for route in import_module(area).ROUTES
    if route.access is not Access.FUNCTION_KEY
}

PUBLIC = {
    "close_session",
    "finish_sign_in",
    "show_asset",
    "show_health",
    "show_openapi",
    "show_sign_in",
}


def test_a_session_opens_every_page_but_those_that_are_meant_for_strangers() -> None:
    open_to_all = {
        route.name
        for area in AREAS
        for route in import_module(area).ROUTES
        if route.access is not Access.FUNCTION_KEY and not route.access.wants_session
    }

    assert open_to_all == PUBLIC


def test_every_function_wants_a_key_but_those_that_are_meant_for_strangers() -> None:
    import azure.functions as func

    from tests.functional.calling import functions

    levels = {
        function.get_function_name(): function.get_trigger().auth_level
        for function in functions()
        if hasattr(function.get_trigger(), "auth_level")
    }

    assert set(levels.values()) == {func.AuthLevel.ANONYMOUS, func.AuthLevel.FUNCTION}
    assert {
        name for name, level in levels.items() if level is func.AuthLevel.ANONYMOUS
    } == ANONYMOUS


def test_what_reads_or_changes_mails_wants_a_key() -> None:
    assert ANONYMOUS.isdisjoint(
        {"send", "show_mail", "list_mails", "list_accounts", "show_health_details", "open_session"}
    )
