"""A vault with one secret, for what depends on its versions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from shared.errors import RemoteError
from shared.services.sign_in.ports import SecretVersion, StoredSecret

MADE = datetime(2026, 8, 20, 12, 0, tzinfo=UTC)


@dataclass
class Vault:
    """One secret's versions, oldest first; what is asked of it, and what goes wrong."""

    values: list[str]
    disabled: set[str] = field(default_factory=set)
    expiry: dict[str, datetime] = field(default_factory=dict)
    trouble: dict[str, RemoteError] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def get(self, name: str) -> StoredSecret | None:
        self._note("get")
        return self._stored(self.values[-1]) if self.values else None

    def get_version(self, name: str, version: str) -> StoredSecret | None:
        self._note("get_version")
        return self._stored(version.removeprefix("version-of-"))

    def versions(self, name: str) -> Sequence[SecretVersion]:
        self._note("versions")
        return [
            SecretVersion(
                f"version-of-{value}",
                value not in self.disabled,
                MADE + timedelta(days=day),
                self.expiry.get(value),
            )
            for day, value in reversed(list(enumerate(self.values)))
        ]

    def _stored(self, value: str) -> StoredSecret | None:
        if value in self.disabled:
            return None
        return StoredSecret(value, f"version-of-{value}", MADE, self.expiry.get(value))

    def _note(self, call: str) -> None:
        self.asked.append(call)
        if call in self.trouble:
            raise self.trouble[call]
