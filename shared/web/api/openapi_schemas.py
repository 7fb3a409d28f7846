"""The documents of the API as named JSON schemas that client generators understand.

They are made from the types that read requests and write answers. Generators have problems with
`anyOf`, with null beside another schema, with defaults and with schemas without a name, so this
module rewrites the schemas that msgspec makes. They describe the form that a generated client
writes. The app accepts more: one value in place of a list of one, and an object as an address.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import inspect

from shared.services.accounts.add_document import AddAccountDocument
from shared.services.accounts.change_document import AccountDocument
from shared.services.intake.batch import BatchDocument
from shared.services.intake.mail_document import MailDocument
from shared.services.mails.change_document import RescheduleDocument, ResolveDocument, RetryDocument
from shared.web.api import documents

Schema = dict[str, Any]

_PREFIX = "#/components/schemas/"
_TYPES = (
    MailDocument,
    documents.Accepted,
    documents.Checked,
    documents.MailView,
    documents.MailList,
    documents.BatchView,
    documents.Released,
    BatchDocument,
    RescheduleDocument,
    RetryDocument,
    ResolveDocument,
    AccountDocument,
    documents.AccountList,
    documents.AddedView,
    AddAccountDocument,
    documents.CheckView,
    documents.DisconnectedView,
    documents.Health,
    documents.HealthDetails,
    documents.Problem,
)

_ENUMS: Mapping[frozenset[str], str] = {
    frozenset({"low", "normal", "high"}): "Importance",
    frozenset({"permissive", "all_or_nothing"}): "BatchMode",
    frozenset({"sent", "send_again"}): "Decision",
    frozenset({"shared", "app"}): "AddedAccountKind",
    frozenset({"display_name", "reply_to", "signature", "save_to_sent_items"}): "OverridableField",
}
"""The name of each choice, by its values. A choice that is missing here is a KeyError in the
tests."""

_DESCRIPTIONS: Mapping[tuple[str, str], str] = {
    (
        "MailDocument",
        "account",
    ): "Alias of the account that sends; without it, the account of 'from'.",
    ("MailDocument", "attachments"): "The files; one object stands for a list of one.",
    ("MailDocument", "tags"): "Words to find the mail by; one text stands for a list of one.",
    ("MailDocument", "metadata"): "Texts for the caller; not sent with the mail.",
    ("MailDocument", "scheduled_at"): "When to send, with a time zone; without it, now.",
    ("MailDocument", "idempotency_key"): "The same as the header Idempotency-Key.",
    ("MailDocument", "dry_run"): "Deprecated: POST /api/send/check checks a mail.",
    ("AttachmentDocument", "content"): "The file in base64. Exactly one of content and blob.",
    ("AttachmentDocument", "blob"): "attachments/NAME: a blob in the container attachments.",
    ("BatchDocument", "mails"): "1 to 100 mails.",
}

_ADDRESS_OBJECT = "AddressObject"
_OPTIONAL_TEXT: Schema = {"type": ["string", "null"]}
_ADDRESSES: Schema = {
    "description": "A list of addresses, or a text with one or several; null is none.",
    "type": ["string", "array", "null"],
    "items": {"type": "string"},
}
"""The text is first: if the list is first, openapi-generator writes Java that does not compile. An
address may also be an object with two fields. This is not described: if an object is one of several
choices, generators write code that does not compile, or that cannot send a text."""


def reference(name: str) -> Schema:
    """A reference to a named schema."""
    return {"$ref": f"{_PREFIX}{name}"}


def schemas() -> dict[str, Schema]:
    """All named schemas."""
    _, components = msgspec.json.schema_components(_TYPES, ref_template=f"{_PREFIX}{{name}}")
    shaping = _Shaping()
    found = {
        struct.cls.__name__: shaping.struct(components[struct.cls.__name__], struct)
        for struct in _structs()
    }
    # A batch reads its mails one by one, so that a fault refuses only one mail.
    found["BatchDocument"]["properties"]["mails"]["items"] = reference("MailDocument")
    del found[_ADDRESS_OBJECT]
    found |= shaping.enums
    found |= {
        "Addresses": _ADDRESSES,
        "MailForm": _FORM,
        "OpenApi": _OPEN_API,
        "WaitingMails": _WAITING_MAILS,
    }
    for (name, field), text in _DESCRIPTIONS.items():
        found[name]["properties"][field]["description"] = text
    found["MailDocument"]["properties"]["dry_run"]["deprecated"] = True
    return dict(sorted(found.items()))


_FORM: Schema = {
    "description": "A part named mail of type application/json, which is a MailDocument, and a part "
    "for each file.",
    "type": "object",
    "additionalProperties": True,
}
"""Without properties: openapi-generator writes code that does not compile for a form that is one of
several content types."""
_WAITING_MAILS: Schema = {"type": "string", "enum": ["cancel", "hold"]}
_OPEN_API: Schema = {
    "description": "This document.",
    "type": "object",
    "properties": {"openapi": {"type": "string"}},
    "required": ["openapi"],
    "additionalProperties": True,
}


def _structs() -> Iterator[inspect.StructType]:
    """Each struct of the documents, once."""
    seen: set[type] = set()
    waiting: list[Any] = list(inspect.multi_type_info(_TYPES))
    while waiting:
        kind = waiting.pop()
        if isinstance(kind, inspect.StructType):
            if kind.cls in seen:
                continue
            seen.add(kind.cls)
            yield kind
            waiting.extend(field.type for field in kind.fields)
        else:
            waiting.extend(_parts(kind))


def _parts(kind: inspect.Type) -> list[inspect.Type]:
    match kind:
        case inspect.UnionType(types=types):
            return list(types)
        case inspect.ListType(item_type=item):
            return [item]
        case inspect.DictType(value_type=value):
            return [value]
        case inspect.Metadata(type=inner):
            return [inner]
        case _:
            return []


def _holds_time(kind: inspect.Type) -> bool:
    return isinstance(kind, inspect.DateTimeType) or any(map(_holds_time, _parts(kind)))


class _Shaping:
    """Rewrites schemas, and collects the choices, which become named schemas."""

    def __init__(self) -> None:
        self.enums: dict[str, Schema] = {}

    def struct(self, schema: Schema, kind: inspect.StructType) -> Schema:
        """The schema of a struct. A type that leaves out fields with their default value never
        writes null for None."""
        config: Any = kind.cls
        writes_null = not config.__struct_config__.omit_defaults
        properties = {}
        for field in kind.fields:
            name = field.encode_name
            null = writes_null or field.required
            properties[name] = self._shaped(schema["properties"][name], null=null)
            if _holds_time(field.type):
                properties[name]["format"] = "date-time"
        shaped = {"description": schema["description"], "type": "object", "properties": properties}
        if schema["required"]:
            shaped["required"] = schema["required"]
        if "additionalProperties" in schema:
            shaped["additionalProperties"] = schema["additionalProperties"]
        return shaped

    def _shaped(self, schema: Schema, *, null: bool = True) -> Schema:
        """`null`: whether null is kept if the type allows it."""
        # Some generators take a property with a default for one that is always present.
        schema = {key: value for key, value in schema.items() if key != "default"}
        if "anyOf" in schema:
            return self._union(schema.pop("anyOf"), null=null)
        if "enum" in schema:
            return self._enum(schema["enum"])
        for inner in ("items", "additionalProperties"):
            if isinstance(schema.get(inner), dict):
                schema[inner] = self._shaped(schema[inner])
        if schema.get("contentEncoding") == "base64":
            schema["format"] = "byte"
        return schema

    def _union(self, options: list[Schema], *, null: bool) -> Schema:
        rest = [option for option in options if option.get("type") != "null"]
        null = null and len(rest) < len(options)
        lists = [option for option in rest if option.get("type") == "array"]
        if any(option == reference(_ADDRESS_OBJECT) for option in rest):
            return reference("Addresses") if lists else dict(_OPTIONAL_TEXT)
        (option,) = lists or rest
        shaped = self._shaped(option)
        if null and "$ref" in shaped:
            return {"oneOf": [shaped, {"type": "null"}]}
        if null:
            shaped["type"] = [shaped["type"], "null"]
        return shaped

    def _enum(self, values: list[str]) -> Schema:
        name = _ENUMS[frozenset(values)]
        self.enums[name] = {"type": "string", "enum": sorted(values)}
        return reference(name)
