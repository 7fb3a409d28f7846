"""The documents say what the code does."""

from __future__ import annotations

import ast
import functools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from local.docs import ERRORS, OWN_REASONS, anchor, errors_page
from local.simulator import control, faults
from local.simulator.state import SimulatorState
from shared.errors import ConfigurationError
from shared.mail import limits, problems
from shared.mail.graph_payload import MAX_MIME_BYTES, MAX_REQUEST_BYTES
from shared.mail.known_errors import app, entra, graph, oauth
from shared.mail.status import Status, may_follow
from shared.services.intake.mail_document import MailDocument, read_json
from shared.settings import Settings, load
from shared.web.api import openapi

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
NOW = datetime(2026, 11, 22, tzinfo=UTC)
PAGES = [
    *sorted(DOCS.rglob("*.md")),
    ROOT / "CHANGELOG.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "infra" / "README.md",
]


def text_of(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def section(page: str, title: str) -> str:
    """What stands under a heading, up to the next of its rank or higher."""
    found = re.search(rf"^(#+) {re.escape(title)}$", page, re.MULTILINE)
    assert found, f"no heading {title}"
    rest = page[found.end() :]
    following = re.search(rf"^#{{1,{len(found[1])}}} ", rest, re.MULTILINE)
    return rest[: following.start()] if following else rest


def rows(page: str) -> list[list[str]]:
    """The cells of all table rows, without heads."""
    prose = re.sub(r"^```.*?^```$", "", page, flags=re.MULTILINE | re.DOTALL)
    lines = [line for line in prose.splitlines() if line.startswith("|")]
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    heads = [index - 1 for index, cells in enumerate(table) if set("".join(cells)) <= {"-"}]
    return [
        cells for index, cells in enumerate(table) if index not in {*heads, *(h + 1 for h in heads)}
    ]


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


# --- errors.md


def test_errors_page_is_what_the_catalogues_make() -> None:
    """Mended by `python -m local.docs`."""
    assert ERRORS.read_text(encoding="utf-8") == errors_page()


def test_every_reason_that_the_services_write_is_in_the_errors_page() -> None:
    written = {
        node.value
        for path in (
            "services/mails/changes.py",
            "services/delivery/delivery.py",
            "services/delivery/sending.py",
            "services/mails/stored_files.py",
            "services/delivery/verified_sending.py",
            "mail/search_plan.py",
        )
        for node in ast.walk(parsed(ROOT / "shared" / path))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.fullmatch(r"[a-z]+(_[a-z]+)+", node.value)
    }

    reasons = written - events_in_code()

    assert reasons
    assert reasons <= OWN_REASONS.keys()


def test_every_code_of_the_catalogues_has_one_anchor_in_the_errors_page() -> None:
    anchors = re.findall(r'<a id="([^"]+)"></a>', ERRORS.read_text(encoding="utf-8"))
    codes = {
        *(code for part in (entra, oauth, graph, app) for code in part.ROWS),
        *OWN_REASONS,
        *(f"answer-{kind.code}" for kind in problems.CATALOGUE),
    }

    assert len(anchors) == len(set(anchors))
    assert set(anchors) == {anchor(code) for code in codes}


# --- settings.md


class Recording(dict[str, str]):
    """An environment that remembers what was asked of it."""

    def __init__(self, values: Mapping[str, str]) -> None:
        super().__init__(values)
        self.asked: set[str] = set()

    def get(self, key: str, default: Any = None) -> Any:
        self.asked.add(key)
        return super().get(key, default)


LEAST = {
    "POSTROOM_TENANT": "contoso.com",
    "POSTROOM_CLIENT_ID": "1c0ffee5-70d4-4b6a-8d5f-2e9a7b3c6d48",
    "POSTROOM_VAULT_URL": "https://kv.vault.azure.net",
    "WEBSITE_HOSTNAME": "func.azurewebsites.net",
    "AzureWebJobsStorage": "UseDevelopmentStorage=true",
    "POSTROOM_SEND_TIMEOUT_SECONDS": "1",
    "POSTROOM_LEASE_SECONDS": "3600",
}
OURS = {
    names(cells[0])[0]: cells
    for cells in rows(section(text_of("settings.md"), "Postroom's settings"))
}
PLATFORM = {
    names(cells[0])[0]: cells
    for cells in rows(
        section(text_of("settings.md"), "Settings of the platform that Postroom reads")
    )
}
BOUNDED = {
    name: tuple(map(int, found.groups()))
    for name, cells in OURS.items()
    if (found := re.fullmatch(r"(\d+) to (\d+)", cells[3]))
}


def loaded(**changes: str) -> Settings:
    return load(LEAST | changes)


def test_settings_page_names_what_is_read_from_the_environment() -> None:
    environment = Recording(LEAST | {"POSTROOM_DEVELOPMENT": "true"})
    load(environment)

    assert environment.asked == OURS.keys() | PLATFORM.keys()


@pytest.mark.parametrize("name", [n for n, cells in OURS.items() if names(cells[2])])
def test_documented_default_is_what_holds_without_the_setting(name: str) -> None:
    default = names(OURS[name][2])[0]
    if default == "WEBSITE_HOSTNAME":
        default = "https://func.azurewebsites.net/api/auth/callback"
    bare = {key: value for key, value in LEAST.items() if key != name}

    assert load(bare) == load(bare | {name: default})


@pytest.mark.parametrize("name", [n for n, cells in OURS.items() if cells[2] == "needed"])
def test_setting_without_default_is_missed_by_name(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{name} is missing"):
        load({key: value for key, value in LEAST.items() if key != name})


@pytest.mark.parametrize("name", BOUNDED)
def test_documented_bounds_are_those_that_are_checked(name: str) -> None:
    least, most = BOUNDED[name]
    for within in (least, most):
        loaded(**{name: str(within)})
    for beyond in (least - 1, most + 1):
        with pytest.raises(ConfigurationError, match=f"{name} must be a whole number"):
            loaded(**{name: str(beyond)})


@pytest.mark.parametrize("name", [*OURS, *PLATFORM])
def test_example_of_a_setting_is_accepted(name: str) -> None:
    example = names((OURS.get(name) or PLATFORM[name])[-1])[0]

    loaded(**{name: example})


def test_secrets_in_key_vault_are_named_in_the_settings_page() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "shared").rglob("*.py"))
    kept = set(re.findall(r'"(postroom-[a-z-]+?)-?(?:\{|")', sources))

    described = {
        name.removesuffix("-<id>")
        for name in re.findall(r"`(postroom-[^`]+)`", text_of("settings.md"))
    }

    assert {"postroom-client-secret", "postroom-session-key", "postroom-grant"} <= kept
    assert described <= kept


# --- operations.md


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@functools.cache
def events_in_code() -> frozenset[str]:
    return frozenset(logged())


def logged() -> Iterator[str]:
    for path in (ROOT / "shared").rglob("*.py"):
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in (
                "event",
                "telemetry.event",
            ):
                yield from event_names(node.args[0])


def event_names(argument: ast.expr) -> Iterator[str]:
    """The names that the first argument of `event(…)` can be."""
    match argument:
        case ast.Constant(value=str(name)):
            yield name
        case ast.IfExp(body=body, orelse=orelse):
            yield from event_names(body)
            yield from event_names(orelse)
        case ast.JoinedStr() if ast.unparse(argument) == "f'mail_{mail.status.value}'":
            # What an attempt can end in; `queued` has a name of its own.
            for status in Status:
                if may_follow(Status.SENDING, status) and status is not Status.QUEUED:
                    yield f"mail_{status.value}"
        case _:
            raise AssertionError(f"an event's name is not to be read: {ast.unparse(argument)}")


def test_operations_page_explains_each_log_event_and_no_other() -> None:
    explained = [
        names(cells[0])[0] for cells in rows(section(text_of("operations.md"), "Log events"))
    ]

    assert sorted(explained) == sorted(events_in_code())


def test_operations_page_explains_each_status_and_no_other() -> None:
    title = "What each status means, and what to do"
    page = section(text_of("operations.md"), title).partition("### ")[0]

    assert [names(cells[0])[0] for cells in rows(page)] == [status.value for status in Status]


def leaves(document: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    for key, value in document.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{path}{key}.")
        else:
            text = str(value).lower() if isinstance(value, bool) else str(value)
            yield f"{path}{key}", text


def test_operations_page_has_each_value_of_host_json() -> None:
    described = {
        names(cells[0])[0]: "" if cells[1] == "empty" else names(cells[1])[0]
        for cells in rows(section(text_of("operations.md"), "host.json"))
    }

    assert described == dict(leaves(json.loads((ROOT / "host.json").read_text())))


# --- api.md

API = text_of("api.md")
EXAMPLES = re.findall(r"<!-- (\w+) -->\n```json\n(.*?)```", API, re.DOTALL)
REQUESTS = re.findall(r"-X (\w+) \"\$APP(/api/[^\"]+)\"[^`]*?-d '(\{.*?\})'", API, re.DOTALL)
BODIES = [
    *(body for _, path, body in REQUESTS if path in ("/api/send", "/api/send/check")),
    *re.findall(r"--content '(\{.*?\})'", API, re.DOTALL),
    *re.findall(r"-F 'mail=(\{.*?\});type", API),
]


def strict(schema: Any) -> Any:
    """The schema, with objects that allow no further fields: an example shows what there is."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: strict(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and "type" in schema:
        found.setdefault("additionalProperties", False)
    return found


SCHEMAS = strict(openapi.document()["components"]["schemas"])


def test_every_json_block_of_the_api_page_is_named() -> None:
    assert len(EXAMPLES) == API.count("```json")


@pytest.mark.parametrize(("schema", "example"), EXAMPLES)
def test_example_fits_the_schema_that_the_app_publishes(schema: str, example: str) -> None:
    document = {"$ref": f"#/components/schemas/{schema}", "components": {"schemas": SCHEMAS}}

    jsonschema.Draft202012Validator(document).validate(json.loads(example))


@pytest.mark.parametrize(
    "body", [*BODIES, *(example for name, example in EXAMPLES if name == "MailDocument")]
)
def test_example_of_a_mail_is_accepted(body: str) -> None:
    read_json(body.encode(), NOW)


@pytest.mark.parametrize(("method", "path", "body"), REQUESTS)
def test_example_of_a_body_fits_the_call_it_stands_at(method: str, path: str, body: str) -> None:
    call = openapi.document()["paths"][
        path.replace("$ID", "{id}").replace("accounts/billing", "accounts/{alias}")
    ][method.lower()]
    schema = call["requestBody"]["content"]["application/json"]["schema"]

    jsonschema.Draft202012Validator({**schema, "components": {"schemas": SCHEMAS}}).validate(
        json.loads(body)
    )


@pytest.mark.parametrize("example", [e for name, e in EXAMPLES if name == "Problem"])
def test_example_of_a_problem_is_one_of_the_catalogue(example: str) -> None:
    shown = json.loads(example)
    kind = next(kind for kind in problems.CATALOGUE if kind.code == shown["code"])

    assert (shown["status"], shown["title"], shown["help"]) == (kind.status, kind.title, kind.help)
    assert shown["type"] == f"urn:postroom:problem:{kind.code}"


def test_no_two_examples_share_an_idempotency_key() -> None:
    """Or whoever follows the pages meets a 409."""
    pages = API + (ROOT / "README.md").read_text(encoding="utf-8")
    keys = re.findall(r"""[Ii]dempotency[-_][Kk]ey['"]?(?::| =|,) ['"]?([\w-]+\d)""", pages)

    assert len(keys) >= 8
    assert len(keys) == len(set(keys))


def test_example_of_health_names_each_dependency() -> None:
    example = next(json.loads(text) for name, text in EXAMPLES if name == "HealthDetails")
    source = parsed(ROOT / "shared" / "bootstrap.py")
    method = next(
        node
        for node in ast.walk(source)
        if isinstance(node, ast.FunctionDef) and node.name == "probes"
    )
    probes = next(node for node in ast.walk(method) if isinstance(node, ast.Dict))

    assert [one["name"] for one in example["dependencies"]] == [
        ast.literal_eval(key) for key in probes.keys if key is not None
    ]


def test_api_page_names_each_field_of_a_mail() -> None:
    table = rows(section(API, "The mail document"))

    described = [name for cells in table for name in names(cells[0])]

    assert sorted(described) == sorted(MailDocument.__struct_encode_fields__)


def test_api_page_names_each_call() -> None:
    called = [
        f"{method.upper()} {path}"
        for path, methods in openapi.document()["paths"].items()
        for method in methods
    ]

    described = [names(cells[0])[0] for cells in rows(API.partition("\n## ")[0])]

    assert sorted(described) == sorted(called)


def test_api_page_names_each_parameter_of_the_list() -> None:
    parameters = openapi.document()["paths"]["/api/mails"]["get"]["parameters"]

    described = [name for cells in rows(section(API, "Mails")) for name in names(cells[0])]

    assert described == [parameter["name"] for parameter in parameters]


def test_api_page_has_the_limits_of_size() -> None:
    page = section(API, "How large a mail may be")
    numbers = [int(cells[1].replace(",", "")) for cells in rows(page)]

    assert numbers == [
        loaded().max_request_bytes,
        64 * 1024,
        loaded().max_mail_bytes,
        limits.MAX_FILE_BYTES,
        limits.MAX_PERSONAL_BYTES,
        MAX_REQUEST_BYTES,
        MAX_MIME_BYTES,
    ]


# --- local-stack.md


def test_local_stack_page_names_each_call_of_the_control_surface() -> None:
    table = rows(section(text_of("local-stack.md"), "The control surface").partition("### ")[0])

    described = [names(cells[0])[0] for cells in table]

    assert described == [f"{r.method} {r.template}" for r in control.routes(SimulatorState())]


def test_local_stack_page_names_each_field_of_a_fault_with_its_default() -> None:
    table = rows(section(text_of("local-stack.md"), "Faults are data"))

    assert [names(cells[0])[0] for cells in table] == [
        field.name for field in fields(faults.Fault) if field.name != "fired"
    ]
    fault = faults.Fault("graph.*")
    for cells in table:
        for default in names(cells[1]):
            assert default == str(getattr(fault, names(cells[0])[0]))


def test_local_stack_page_names_each_action_of_a_fault() -> None:
    page = section(text_of("local-stack.md"), "Faults are data")
    listed = page.partition("\nActions: ")[2].partition("\n\n")[0]

    assert tuple(re.findall(r"`(\w+)` \(", listed)) == faults.ACTIONS


@pytest.mark.parametrize(
    "fault", re.findall(r"\$C/faults .*?-d '(.*?)'", text_of("local-stack.md"))
)
def test_example_of_a_fault_is_accepted(fault: str) -> None:
    faults.Fault.parse(json.loads(fault))


# --- all pages


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?://)([^)\s]+)\)", text):
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_files_that_a_page_names_are_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for name in re.findall(r"`((?:shared|local|tests|docs|infra|bench)/[\w/.-]+)`", text):
        assert (ROOT / name).exists(), name


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a page, and those that it sets itself."""
    text = page.read_text(encoding="utf-8")
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    of_headings = {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}
    return of_headings | set(re.findall(r'<a id="([^"]+)"></a>', text))


def test_every_unconfirmed_point_is_on_the_page_of_them() -> None:
    """In both directions: a file that says so is named there, and a file that is named says so."""
    marked = {
        str(path.relative_to(ROOT))
        for folder in ("shared", "local", "infra")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".bicep", ".sh", ".json") and "UNCONFIRMED" in path.read_text()
    }
    page = (ROOT / "docs" / "unconfirmed.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:shared|local|infra)/[^`]+)`", page))

    assert marked - named == set()
    assert named - marked == set()
