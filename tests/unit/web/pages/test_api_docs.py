"""The page of the API: made from the OpenAPI document, with requests to copy."""

from __future__ import annotations

import ast
import html
import json
import re
import shlex
from pathlib import Path

import pytest

from shared.web.api import openapi
from shared.web.pages import api_docs, samples
from tests.unit.web.browser import ORIGIN, App, Browser, text_of

DOCS = Path(__file__).parents[4] / "docs"
QUEUES = "https://mailroom.queue.core.windows.net"


def shown(queue_service: str | None = QUEUES) -> str:
    app, browser = App(), Browser()
    browser.open_session(app)
    answer = api_docs.show_docs(
        browser.request("GET", "/docs"), app.site, app.sessions, queue_service, "outbox"
    )
    assert answer.status_code == 200
    return text_of(answer)


def test_every_operation_parameter_and_document_is_on_the_page() -> None:
    page, document = shown(), openapi.document()

    operations = [one for path in document["paths"].values() for one in path.values()]
    for one in operations:
        part = page.partition(f'id="{one["operationId"]}"')[2].partition("</details>")[0]
        assert html.escape(one["summary"]) in part
        for parameter in one.get("parameters", ()):
            assert f"<code>{parameter['name']}</code>" in part
    assert page.count('class="method"') == len(operations)
    for name, schema in document["components"]["schemas"].items():
        for field in schema.get("properties", ()):
            assert f"<code>{field}</code>" in page.partition(f'id="{name}"')[2]


def test_every_link_within_the_page_leads_somewhere_and_no_id_is_there_twice() -> None:
    page = shown()
    there = re.findall(r' id="([^"]+)"', page)

    assert len(there) == len(set(there))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(there)


def test_the_page_is_small_and_needs_a_session() -> None:
    assert len(shown().encode()) <= 50 * 1024
    app, browser = App(), Browser()
    away = api_docs.show_docs(
        browser.request("GET", "/docs"), app.site, app.sessions, QUEUES, "outbox"
    )
    assert away.headers["Location"] == "/signin?to=%2Fdocs"


def test_each_request_over_http_has_a_key_of_its_own() -> None:
    codes = [sample.code for sample in samples.over_http(ORIGIN)]
    keys = [re.findall(r"first-[a-z]+-mail", code) for code in codes]

    assert all(len(found) == 1 for found in keys)
    assert len({found[0] for found in keys}) == len(codes)
    assert "sends no second mail" in shown()


def test_requests_name_this_app_and_its_queue_and_hold_no_key() -> None:
    http = samples.over_http(ORIGIN)
    queue = samples.by_queue(QUEUES, "outbox")

    assert [one.language for one in http] == ["curl", "Python", "PowerShell", "C#"]
    assert {"curl", "Python", "PowerShell", "C#"} <= {one.language for one in queue}
    for one in http:
        assert ORIGIN in one.code
        assert "KEY" in one.code
    for one in queue:
        assert QUEUES in one.code or "'mailroom'" in one.code
        assert "outbox" in one.code
    for one in (*http, *queue):
        assert "@" not in one.code.replace("ada@example.com", "").replace("@{", "")


def test_where_storage_is_named_by_a_connection_string_that_is_not_shown() -> None:
    page = shown(None)

    assert "&lt;storage account&gt;" in page
    assert "insert the account&#39;s name" in page or "insert the account's name" in page


@pytest.mark.parametrize(
    "sample", [*samples.over_http(ORIGIN), *samples.by_queue(QUEUES, "outbox")]
)
def test_a_request_reads_as_its_language(sample: samples.Sample) -> None:
    if sample.language == "Python":
        ast.parse(sample.code)
    elif sample.language == "C#":
        assert sample.code.count("(") == sample.code.count(")")
    elif sample.language in ("curl", "Azure CLI"):
        words = shlex.split(sample.code.replace("\\\n", " "))
        for word in words:
            if word.startswith("{"):
                assert json.loads(word)["to"] == "ada@example.com"


def test_powershell_sends_bytes_of_utf_8_over_http() -> None:
    """Windows PowerShell 5.1 sends a text as ISO-8859-1, and JSON deeper than two levels as names."""
    pages = [DOCS / name for name in ("api.md", "clients.md")]
    shown = [sample.code for sample in samples.over_http(ORIGIN) if sample.language == "PowerShell"]
    for page in pages:
        shown += re.findall(r"^```powershell\n(.*?)^```", page.read_text("utf-8"), re.M | re.S)
    sending = [code for code in shown if "/api/send" in code]

    assert len(sending) == 3
    for code in sending:
        assert (
            "[Text.Encoding]::UTF8.GetBytes((ConvertTo-Json -InputObject $mail -Depth 5))" in code
        )
        assert "charset=utf-8" in code
        assert "'Idempotency-Key'" in code


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "string"}, "text"),
        ({"type": "string", "minLength": 1, "maxLength": 9}, "text, 1 to 9"),
        ({"type": "integer", "minimum": 0, "maximum": 60}, "integer, 0 to 60"),
        ({"enum": ["true"]}, "true"),
        ({"type": ["string", "null"]}, "text or null"),
        ({"type": ["string", "null"], "format": "date-time"}, "date-time or null"),
        (
            {"type": ["string", "array", "null"], "items": {"type": "string"}},
            "text or list of text or null",
        ),
        ({"oneOf": [{"$ref": "#/components/schemas/Mail"}, {"type": "null"}]}, "Mail or null"),
        ({"type": "array", "items": {"$ref": "#/components/schemas/Mail"}}, "list of Mail"),
        ({"type": "array", "maxItems": 3}, "list of anything, at most 3"),
        ({}, "anything"),
    ],
)
def test_a_type_is_told_in_words(schema: dict[str, object], words: str) -> None:
    assert api_docs.words_of(schema) == words
