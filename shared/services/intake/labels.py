"""Labels that callers give a mail for their own use: tags, and metadata."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from shared.errors import FieldProblem
from shared.mail.address import has_control_characters

MAX_TAGS = 10
LONGEST_TAG = 64
MAX_METADATA = 20


class Labels(msgspec.Struct, frozen=True):
    """The labels of one mail."""

    tags: tuple[str, ...] = ()
    metadata: tuple[tuple[str, str], ...] = ()


NONE = Labels()


def check(tags: Sequence[str], metadata: Mapping[str, str], found: list[FieldProblem]) -> None:
    """Add the problems of labels that have the right types to `found`."""
    for index, tag in enumerate(tags):
        # A control character takes six characters in the ledger's row, whose properties have a
        # limit.
        if has_control_characters(tag):
            found.append(FieldProblem(f"tags[{index}]", "must not hold control characters"))
    faults = (_fault(name, value) for name, value in metadata.items())
    first = next((fault for fault in faults if fault is not None), None)
    if first is not None:
        found.append(FieldProblem("metadata", first))


def _fault(name: str, value: str) -> str | None:
    if has_control_characters(name) or has_control_characters(value):
        return "must not hold line breaks or control characters"
    if not 1 <= len(name) <= 64 or len(value) > 512:
        return "takes names of 1 to 64 and values of up to 512 characters"
    return None


def sound_labels(tags: Any, metadata: Any) -> Labels:
    """The valid labels of a rejected document: its sender finds it by them."""
    if isinstance(tags, str):
        tags = [tags]
    if not isinstance(tags, list):
        tags = []
    if not isinstance(metadata, dict):
        metadata = {}
    return Labels(
        tuple(tag for tag in tags if _is_tag(tag))[:MAX_TAGS],
        tuple(
            (name, value)
            for name, value in metadata.items()
            if isinstance(value, str) and _fault(name, value) is None
        )[:MAX_METADATA],
    )


def _is_tag(value: object) -> bool:
    return (
        isinstance(value, str)
        and 1 <= len(value) <= LONGEST_TAG
        and not has_control_characters(value)
    )
