"""What `$filter` and `$orderby` of message lists may contain (graph-mail.md 3).

[api: user-list-messages]; `endswith`, `in` and conditions on recipients are refused, as Outlook
does.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from local.simulator.graph.errors import InefficientFilter
from local.simulator.graph.filter import (
    Collection,
    Filter,
    Parser,
    Predicate,
    Property,
    Schema,
    invalid,
    ordering,
    parse,
    unquoted,
)
from local.simulator.graph.items import Address, Message, properties_of, property_key
from local.simulator.graph.query_errors import InvalidQueryNodes

EXTENDED = "singleValueExtendedProperties"


def message_filter(text: str) -> Filter:
    """A filter of messages. Raises a GraphError for what Outlook or the simulator does not have."""
    return parse(text, SCHEMA)


def message_order(orderby: str, named: list[str] | None) -> list[tuple[str, Property, bool]]:
    """Sort keys. The same properties must come first in `$filter`, in the same order.

    [api: user-list-messages]; `named` is None if there is no filter.
    """
    keys = ordering(orderby, SCHEMA)
    if named is not None:
        leading = list(dict.fromkeys(named))[: len(keys)]
        if leading != [name for name, _, _ in keys]:
            raise InefficientFilter
    return keys


def _extended_property(parser: Parser) -> Predicate:
    """`Any(ep: ep/id eq '<id>' and ep/value eq '<v>')`: names are case-sensitive, values are
    not."""
    parser.properties.append(EXTENDED)
    parser.expect("Any", "(")
    variable = parser.read("name")
    parser.expect("Any", ":")
    parser.expect("Any", f"{variable}/id")
    parser.expect("Any", "eq")
    wanted_key = property_key(unquoted(parser.read("text")))
    parser.expect("Any", "and")
    wanted = _extended_value(parser, variable)
    parser.expect("Any", ")")
    if wanted_key is None:
        raise invalid()
    return lambda message: any(
        property_key(identifier) == wanted_key and value.casefold() == wanted
        for identifier, value in properties_of(message).items()
    )


def _extended_value(parser: Parser, variable: str) -> str:
    if parser.accept("cast"):
        parser.expect("cast", "(")
        parser.expect("cast", f"{variable}/value")
        parser.expect("cast", ",")
        parser.read("name")
        parser.expect("cast", ")")
    else:
        parser.expect("Any", f"{variable}/value")
    parser.expect("Any", "eq")
    return parser.value_text().casefold()


def _text(read: Callable[[Message], str]) -> Property:
    return Property(str, read)


def _person(read: Callable[[Message], Address | None], part: str) -> Property:
    def value(message: Message) -> str:
        person = read(message)
        return str(getattr(person, part)) if person else ""

    return Property(str, value)


def _time(read: Callable[[Message], datetime]) -> Property:
    return Property(datetime, read)


def _flag(read: Callable[[Message], bool]) -> Property:
    return Property(bool, read)


SCHEMA = Schema(
    name="Microsoft.OutlookServices.Message",
    properties={
        "id": Property(str, lambda m: m.id, exact=True),
        "changeKey": Property(str, lambda m: m.change_key, exact=True),
        "internetMessageId": _text(lambda m: m.internet_message_id),
        "conversationId": Property(str, lambda m: m.conversation_id, exact=True),
        "parentFolderId": Property(str, lambda m: m.folder, exact=True),
        "isDraft": _flag(lambda m: m.is_draft),
        "isRead": _flag(lambda m: m.is_read),
        "hasAttachments": _flag(lambda m: any(not one.is_inline for one in m.attachments)),
        "isReadReceiptRequested": _flag(lambda m: m.read_receipt),
        "subject": _text(lambda m: m.subject),
        "importance": _text(lambda m: m.importance),
        "inferenceClassification": _text(lambda m: m.inference),
        "flag/flagStatus": _text(lambda m: str(m.flag["flagStatus"])),
        "from/emailAddress/address": _person(lambda m: m.from_, "address"),
        "from/emailAddress/name": _person(lambda m: m.from_, "name"),
        "sender/emailAddress/address": _person(lambda m: m.sender, "address"),
        "sender/emailAddress/name": _person(lambda m: m.sender, "name"),
        "createdDateTime": _time(lambda m: m.created),
        "lastModifiedDateTime": _time(lambda m: m.modified),
        "receivedDateTime": _time(lambda m: m.received or m.created),
        "sentDateTime": _time(lambda m: m.sent or m.created),
    },
    collections={
        "categories": Collection(lambda m: m.categories, {"": Property(str, lambda one: one)})
    },
    operators=frozenset(("startswith", "contains", "any")),
    refusal=InvalidQueryNodes,
    not_simulated=frozenset(
        (
            "body",
            "bodyPreview",
            "uniqueBody",
            "conversationIndex",
            "internetMessageHeaders",
            "isDeliveryReceiptRequested",
            "webLink",
            "flag",
            "from",
            "sender",
            "attachments",
            "extensions",
            "multiValueExtendedProperties",
            EXTENDED,
        )
    ),
    refused=frozenset(("toRecipients", "ccRecipients", "bccRecipients", "replyTo")),
    special={f"{EXTENDED.lower()}/any": _extended_property},
)
