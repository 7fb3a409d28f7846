"""`GET /docs`: the OpenAPI document as a page, with requests that a person can copy."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import azure.functions as func
import msgspec

from shared.web.api import openapi
from shared.web.pages import samples
from shared.web.pages.guard import guarded
from shared.web.pages.rendering import Site, page

_GROUPS = (
    ("Send", ("/api/send",)),
    ("Mails", ("/api/mails",)),
    ("Accounts", ("/api/accounts",)),
    ("Health, and this document", ("/api/health", "/api/openapi.json")),
)
_METHODS = ("get", "post", "patch", "put", "delete")


class Field(msgspec.Struct, frozen=True):
    """A parameter, or a field of a document."""

    name: str
    place: str
    type: str
    required: bool
    text: str


class Answer(msgspec.Struct, frozen=True):
    """One answer of an operation."""

    status: str
    text: str
    document: str | None


class Operation(msgspec.Struct, frozen=True):
    """One operation of the API."""

    name: str
    method: str
    path: str
    summary: str
    needs_key: bool
    parameters: tuple[Field, ...]
    bodies: tuple[tuple[str, str | None], ...]
    """Content types, each with the document in it."""
    answers: tuple[Answer, ...]


class Document(msgspec.Struct, frozen=True):
    """One of the documents in requests and answers."""

    name: str
    text: str
    fields: tuple[Field, ...]


@guarded
def show_docs(
    req: func.HttpRequest, site: Site, queue_service: str | None, queue: str
) -> func.HttpResponse:
    """The page. `queue_service` is the address of the storage account's queues, None in
    development."""
    return page(
        site,
        "docs.html",
        groups=_groups(),
        documents=_documents(),
        http_samples=samples.over_http(site.origin),
        queue_samples=samples.by_queue(queue_service, queue),
        queue=queue,
        knows_queue=queue_service is not None,
    )


@functools.cache
def _groups() -> tuple[tuple[str, tuple[Operation, ...]], ...]:
    paths = openapi.document()["paths"]
    return tuple(
        (
            title,
            tuple(
                _operation(path, method, paths[path][method])
                for path in paths
                if path.startswith(beginnings)
                for method in _METHODS
                if method in paths[path]
            ),
        )
        for title, beginnings in _GROUPS
    )


def _operation(path: str, method: str, found: dict[str, Any]) -> Operation:
    content = found.get("requestBody", {}).get("content", {})
    return Operation(
        name=found["operationId"],
        method=method.upper(),
        path=path,
        summary=found["summary"],
        needs_key=found.get("security") != [],
        parameters=tuple(
            Field(
                one["name"],
                one["in"],
                words_of(one["schema"]),
                one["required"],
                one["description"],
            )
            for one in found.get("parameters", ())
        ),
        bodies=tuple((kind, _referred(body["schema"])) for kind, body in content.items()),
        answers=tuple(_answers(found["responses"])),
    )


def _answers(responses: dict[str, Any]) -> Iterator[Answer]:
    problems = []
    for status, found in responses.items():
        content = found.get("content", {})
        if "application/json" not in content:
            problems.append(status)
            continue
        yield Answer(status, found["description"], _referred(content["application/json"]["schema"]))
    # Their codes are in the OpenAPI document and in errors.md.
    yield Answer(
        ", ".join(problems), "A problem, which says what is wrong and what to do.", "Problem"
    )


@functools.cache
def _documents() -> tuple[Document, ...]:
    schemas = openapi.document()["components"]["schemas"]
    return tuple(
        Document(
            name,
            schema.get("description", ""),
            tuple(
                Field(
                    field,
                    "",
                    words_of(one),
                    field in schema.get("required", ()),
                    one.get("description", ""),
                )
                for field, one in schema.get("properties", {}).items()
            ),
        )
        for name, schema in sorted(schemas.items())
    )


def words_of(schema: dict[str, Any]) -> str:
    """A type in words, with its limits."""
    if "$ref" in schema:
        return _name(schema["$ref"])
    if "oneOf" in schema:
        return " or ".join(map(words_of, schema["oneOf"]))
    if "enum" in schema:
        return " or ".join(map(str, schema["enum"]))
    match schema.get("type"):
        case [*kinds]:
            return " or ".join(words_of({**schema, "type": kind}) for kind in kinds)
        case "null":
            return "null"
        case "array":
            return f"list of {words_of(schema.get('items', {}))}{_limits(schema, 'Items')}"
        case "string":
            return f"{schema.get('format', 'text')}{_limits(schema, 'Length')}"
        case "integer" | "number" as kind:
            return f"{kind}{_limits(schema, 'imum')}"
        case kind:
            return str(kind or "anything")


def _limits(schema: dict[str, Any], what: str) -> str:
    least, most = schema.get(f"min{what}"), schema.get(f"max{what}")
    if most is None:
        return ""
    return f", {least} to {most}" if least is not None else f", at most {most}"


def _referred(schema: dict[str, Any]) -> str | None:
    return _name(schema["$ref"]) if "$ref" in schema else None


def _name(reference: str) -> str:
    return reference.rpartition("/")[2]
