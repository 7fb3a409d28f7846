"""An account's defaults as one property of its row: JSON with only the values that are set."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from msgspec.structs import fields

from shared.mail.address import Address
from shared.mail.defaults import NO_DEFAULTS, USUALLY, Defaults, Overridable


def to_property(defaults: Defaults) -> str | None:
    """The property, or None for an account without defaults."""
    found: dict[str, Any] = {
        field.name: getattr(defaults, field.name)
        for field in fields(Defaults)
        if getattr(defaults, field.name) != getattr(NO_DEFAULTS, field.name)
    }
    if "reply_to" in found:
        found["reply_to"] = [[one.email, one.name] for one in defaults.reply_to]
    if "overridable" in found:
        found["overridable"] = sorted(defaults.overridable)
    return json.dumps(found, ensure_ascii=False) if found else None


def from_property(row: Mapping[str, Any]) -> Defaults:
    """The defaults in a row; a row without the property has none."""
    if "defaults" not in row:
        return NO_DEFAULTS
    found = json.loads(row["defaults"])
    overridable = found.get("overridable")
    return Defaults(
        display_name=found.get("display_name", ""),
        reply_to=tuple(Address(email, name) for email, name in found.get("reply_to", [])),
        signature_text=found.get("signature_text", ""),
        signature_html=found.get("signature_html", ""),
        save_to_sent_items=found.get("save_to_sent_items", True),
        daily_cap=found.get("daily_cap"),
        # A name that only another version of Postroom knows is ignored.
        overridable=USUALLY
        if overridable is None
        else frozenset(one for one in Overridable if one in overridable),
    )
