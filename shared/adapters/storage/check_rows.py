"""The findings of checks, in rows of their own in table `accounts`."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from shared.mail.findings import Check, Finding, Result, Topic
from shared.services.accounts.ports import CheckRecord

if TYPE_CHECKING:
    from shared.adapters.storage.table_answers import Row
    from shared.adapters.storage.table_service import Table

CHECKS = "check"
"""The partition."""
MOST_CHARACTERS = 30_000
"""A text property holds 64 KiB of UTF-16.
https://learn.microsoft.com/rest/api/storageservices/understanding-the-table-service-data-model
"""


class CheckRows:
    """Implements `accounts.ports.Checks`."""

    def __init__(self, table: Callable[[], Table]) -> None:
        self._table = table

    def find(self, account_id: str) -> CheckRecord | None:
        """See `Checks`."""
        row = self._table().get("reading a check", CHECKS, account_id)
        return _record(row) if row else None

    def all(self) -> Sequence[CheckRecord]:
        """See `Checks`."""
        rows = self._table().rows("reading the checks", f"PartitionKey eq '{CHECKS}'")
        return [_record(row) for row in rows]

    def save(self, record: CheckRecord) -> CheckRecord:
        """See `Checks`."""
        etag = self._table().save("writing a check", _row(record), record.etag)
        return CheckRecord(record.check, record.known, etag)

    def remove(self, account_id: str) -> None:
        """See `Checks`."""
        self._table().remove("removing a check", CHECKS, account_id)


def _row(record: CheckRecord) -> dict[str, Any]:
    check = record.check
    return {
        "PartitionKey": CHECKS,
        "RowKey": check.account_id,
        "alias": check.alias,
        "checked_at": check.checked_at.isoformat(),
        "ms": check.ms,
        "findings": _packed(check.findings),
        "known": json.dumps(record.known),
    }


def _packed(findings: Sequence[Finding]) -> str:
    """As many findings as fit. The last ones, about single From addresses, are the least
    important."""
    kept = list(findings)
    while True:
        text = json.dumps([_fields(one) for one in kept], ensure_ascii=False)
        if len(text) <= MOST_CHARACTERS:
            return text
        kept = kept[: len(kept) * MOST_CHARACTERS // len(text)]


def _fields(finding: Finding) -> list[str | None]:
    return [
        finding.topic.value,
        finding.result.value,
        finding.meaning,
        finding.subject,
        finding.code,
        finding.who,
        finding.step,
    ]


def _record(row: Row) -> CheckRecord:
    findings = tuple(
        Finding(Topic(topic), Result(result), *rest)
        for topic, result, *rest in json.loads(row["findings"])
    )
    check = Check(
        account_id=row["RowKey"],
        alias=row["alias"],
        checked_at=datetime.fromisoformat(row["checked_at"]),
        ms=int(row["ms"]),
        findings=findings,
    )
    return CheckRecord(check, tuple(json.loads(row["known"])), row.etag)
