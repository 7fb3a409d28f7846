"""A secret with its versions, and the limits of a secret.

https://learn.microsoft.com/azure/key-vault/secrets/about-secrets
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from local.simulator.key_vault.errors import BadParameter, SecretNotFound

MAX_VALUE_BYTES = 25_600
MAX_CONTENT_TYPE = 255
MAX_TAGS = 15
# The page about secrets says 512, the general page 256: the smaller one is always accepted.
MAX_TAG = 256
_NAME = re.compile(r"[0-9a-zA-Z-]{1,127}")


@dataclass
class Version:
    """One value that a secret had. Times are epoch seconds."""

    value: str
    created: int
    updated: int
    content_type: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    enabled: bool = True
    nbf: int | None = None
    exp: int | None = None
    identifier: str = field(default_factory=lambda: secrets.token_hex(16))

    def update(self, document: Mapping[str, Any], now: int) -> None:
        """Set the properties in a PATCH; the value cannot be changed by it."""
        check_properties(document)
        if document.get("contentType") is not None:
            self.content_type = document["contentType"]
        if document.get("tags") is not None:
            self.tags = dict(document["tags"])
        attributes = document.get("attributes") or {}
        if attributes.get("enabled") is not None:
            self.enabled = attributes["enabled"]
        self.nbf = attributes.get("nbf", self.nbf)
        self.exp = attributes.get("exp", self.exp)
        self.updated = now


@dataclass
class Secret:
    """A name and its versions, oldest first."""

    name: str
    versions: list[Version] = field(default_factory=list)
    deleted_at: float | None = None
    settles_at: float = 0.0
    """The end of a deletion or a recovery that is under way."""

    def version(self, identifier: str = "") -> Version:
        """The newest version, or the named one. Raises SecretNotFound."""
        if not identifier:
            return self.versions[-1]
        for version in self.versions:
            if version.identifier == identifier.lower():
                return version
        raise SecretNotFound(
            f"A secret with (name/id) {self.name}/{identifier} was not found in this key vault."
        )


def new_version(document: Any, now: int) -> Version:
    """A version from the body of a PUT. Raises BadParameter."""
    if not isinstance(document, dict) or not isinstance(document.get("value"), str):
        raise BadParameter("The request body must be JSON with a string property 'value'.")
    if _size(document["value"]) > MAX_VALUE_BYTES:
        raise BadParameter(f"Secret value is too long: it may have {MAX_VALUE_BYTES} bytes.")
    version = Version(document["value"], created=now, updated=now)
    version.update(document, now)
    return version


def check_name(name: str) -> None:
    """Raises BadParameter for a name that Key Vault does not allow."""
    if not _NAME.fullmatch(name):
        raise BadParameter(f"The request URI contains an invalid name: {name}")


def check_properties(document: Mapping[str, Any]) -> None:
    """Raises BadParameter for properties that are too long, too many or of the wrong type."""
    content_type = document.get("contentType")
    if not isinstance(content_type, str | None):
        raise BadParameter("contentType is a string.")
    if content_type is not None and len(content_type) > MAX_CONTENT_TYPE:
        raise BadParameter(f"contentType is longer than {MAX_CONTENT_TYPE} characters.")
    _check_tags(document.get("tags"))
    _check_attributes(document.get("attributes"))


def _check_tags(tags: Any) -> None:
    if tags is None:
        return
    if not isinstance(tags, dict) or not all(isinstance(value, str) for value in tags.values()):
        raise BadParameter("tags is an object of strings.")
    if len(tags) > MAX_TAGS:
        raise BadParameter(f"A secret has at most {MAX_TAGS} tags.")
    if any(len(text) > MAX_TAG for pair in tags.items() for text in pair):
        raise BadParameter(f"A tag's name and value have at most {MAX_TAG} characters.")


def _check_attributes(attributes: Any) -> None:
    if attributes is None:
        return
    if not isinstance(attributes, dict):
        raise BadParameter("attributes is an object.")
    if not isinstance(attributes.get("enabled"), bool | None):
        raise BadParameter("attributes.enabled is true or false.")
    for name in ("nbf", "exp"):
        seconds = attributes.get(name)
        if isinstance(seconds, bool) or not isinstance(seconds, int | None):
            raise BadParameter(f"attributes.{name} is a number of seconds.")


def _size(text: str) -> int:
    """Bytes. Raises BadParameter for half of a surrogate pair, which JSON can write."""
    try:
        return len(text.encode())
    except UnicodeEncodeError as error:
        raise BadParameter("Secret value is not valid Unicode.") from error
