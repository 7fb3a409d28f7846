"""The mails that need attention, in partition `attention` of table `waiting`.

A row's key is the complemented id of the mail, so that the newest come first, and its status.
Because of the status, closing the item of a held mail does not close the item that was opened when
the mail failed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from shared.adapters.storage.mail_rows import id_of, keys_of
from shared.mail.status import Status
from shared.services.mails.ports import AttentionItem

if TYPE_CHECKING:
    from shared.adapters.storage.table_service import Table

_CASES = "cases"


class AttentionRows:
    """Implements `mails.ports.AttentionIndex`."""

    def __init__(self, table: Callable[[], Table]) -> None:
        self._table = table

    def open(self, case: AttentionItem) -> None:
        """See `AttentionIndex`."""
        row: dict[str, Any] = {
            "PartitionKey": _CASES,
            "RowKey": _key(case.mail_id, case.status),
            "reason": case.reason,
            "account": case.account,
        }
        given = {name: value for name, value in row.items() if value is not None}
        self._table().upsert("noting a mail that needs attention", given)

    def close(self, mail_id: str, status: Status) -> None:
        """See `AttentionIndex`."""
        what = "removing a mail from those that need attention"
        self._table().remove(what, _CASES, _key(mail_id, status))

    def newest(self, most: int) -> Sequence[AttentionItem]:
        """See `AttentionIndex`."""
        what, size = "looking for mails that need attention", min(most, 1000)
        columns = ["RowKey", "reason", "account"]
        rows = self._table().rows(what, f"PartitionKey eq '{_CASES}'", select=columns, size=size)
        return [_case(row) for row in islice(rows, most)]


def _key(mail_id: str, status: Status) -> str:
    # Because of this mark `WaitingTable.mail_ids` does not take the row for a waiting mail.
    return f"!{keys_of(mail_id)[1]}_{status.value}"


def _case(row: Any) -> AttentionItem:
    key, _, status = str(row["RowKey"]).removeprefix("!").partition("_")
    return AttentionItem(id_of(key), Status(status), row.get("reason"), row.get("account"))
