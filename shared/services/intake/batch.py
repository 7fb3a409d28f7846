"""Accepting several mails in one request.

An accepted mail cannot be taken back, so a batch can be repeated safely: each mail has a key, its
own or one made from the batch's key, and a repeated batch finds the mails that exist already.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec.structs import replace

from shared.errors import FieldProblem, PostroomError, RemoteError, RequestRejected
from shared.mail import limits, problems
from shared.services.clock import Clock
from shared.services.intake.document_size import refuse_crumbs
from shared.services.intake.idempotency import key_conflict
from shared.services.intake.mail_document import (
    KEY_FORM,
    MailDocument,
    Order,
    internal_key,
    is_key,
    read_json,
)
from shared.services.intake.order_checks import CheckedOrder
from shared.services.intake.submission import Receipt, Submission
from shared.services.json_reading import (
    MAX_TOLD,
    MOST_PARTS,
    decode,
    no_json,
    parts_in,
    repeated_name,
)
from shared.telemetry import event, where

MOST_MAILS = 100
MOST_TEXTS = 300_000
"""The most names and texts in a batch. A hundred mails with 500 recipients in two fields each have
200,000."""

MOST_PARTS_TOLD = 200_000
"""The most commas, brackets and braces of rejected mails in which every mistake is looked for. For
the mails after that only the first mistake is reported."""

LONGEST_ENVELOPE = 65_536
"""The most bytes of a batch without its mails. Its fields have fewer than 100."""

AT_ONCE = 8
"""How many mails are stored at the same time. This limits what one request adds to the load of the
others."""

BYTES_AT_ONCE = 8 * 1024 * 1024
"""The most bytes of the documents of these mails: each takes several times its size in memory while
it is stored."""

MOST_FAILURES = 3
"""After storage has failed for so many mails, the rest is not tried: each try may take a minute."""

LONGEST_SECONDS = 120.0
"""Seconds after which no further mail is begun: the platform ends the request at 230 seconds."""


_NOT_STORED = "Postroom itself failed on this mail, and did not store it."
_MAY_BE_STORED = "Postroom itself failed on this mail while it stored it."


class BatchDocument(msgspec.Struct, forbid_unknown_fields=True):
    """Up to 100 mails. `permissive` accepts each mail that is correct; `all_or_nothing` accepts no
    mail if one of them is wrong."""

    mails: (
        Annotated[list[MailDocument], msgspec.Meta(min_length=1, max_length=MOST_MAILS)]
        | MailDocument
    )
    mode: Literal["permissive", "all_or_nothing"] | None = "permissive"


class BatchEnvelope(msgspec.Struct, forbid_unknown_fields=True):
    """A batch as it is read. Each mail is read separately, so a mistake in one rejects only that
    one."""

    mails: msgspec.Raw
    mode: Literal["permissive", "all_or_nothing"] | None = "permissive"


class Item(msgspec.Struct):
    """One mail of a batch, and its result: at the end a receipt or a rejection."""

    index: int
    order: Order | None = None
    checked: CheckedOrder | None = None
    """Its order, if everything is checked before anything is stored."""
    receipt: Receipt | None = None
    refusal: RequestRejected | None = None
    size: int = 0
    """The size of its document in bytes."""


class BatchReceipt(msgspec.Struct, frozen=True):
    """The result of a batch: one entry for each mail, in the order of the request."""

    items: Sequence[Item]
    all_or_nothing: bool

    @property
    def accepted(self) -> int:
        """How many of its mails are in the ledger."""
        return sum(item.receipt is not None for item in self.items)


_decoder = msgspec.json.Decoder(BatchEnvelope)
_members_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
# This type has one place for each mail, so it rejects a longer list at the first mail too many. A
# list type would read the list to its end first.
_list_decoder = msgspec.json.Decoder(
    msgspec.defstruct(
        "Mails",
        [(f"mail_{index}", msgspec.Raw, msgspec.Raw()) for index in range(MOST_MAILS)],
        array_like=True,
        forbid_unknown_fields=True,
    )
)


class Batch:
    """Accepts batches."""

    def __init__(
        self,
        submission: Submission,
        clock: Clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._submission = submission
        self._clock = clock
        self._monotonic = monotonic

    def accept(self, raw: bytes, key: str | None) -> BatchReceipt:
        """Accept the mails of a batch. `key` is the batch's own idempotency key. Raises
        RequestRejected if the batch itself cannot be read; then nothing was stored."""
        document = _decoded(raw)
        items = _read(document, key, self._clock())
        strict = document.mode == "all_or_nothing"
        if strict:
            self._check_all(items)
        if not (strict and any(item.refusal is not None for item in items)):
            self._store(items)
        found = BatchReceipt(items, strict)
        event("batch_accepted", count=found.accepted)
        return found

    def _check_all(self, items: Sequence[Item]) -> None:
        """Check everything that could reject one of the mails, before anything is stored."""

        def check(item: Item) -> None:
            if item.order is None:
                return
            try:
                item.checked = self._submission.check(item.order)
            except RequestRejected as refused:
                item.refusal = _without_frames(refused)

        _all_at_once(lambda item: _guarded(check, item, _NOT_STORED), items)

    def _store(self, items: Sequence[Item]) -> None:
        """Accept the mails that were not rejected. Of several mails with one key the first is
        accepted first."""
        until = self._monotonic() + LONGEST_SECONDS
        failures: list[PostroomError] = []

        def store(item: Item) -> None:
            if item.order is None or item.refusal is not None:
                return
            if len(failures) >= MOST_FAILURES or self._monotonic() > until:
                item.refusal = _unavailable(failures[0] if failures else None, tried=False)
                return
            try:
                item.receipt = (
                    self._submission.accept_checked(item.checked)
                    if item.checked is not None
                    else self._submission.accept(item.order)
                )
            except RequestRejected as refused:
                item.refusal = _without_frames(refused)
            except PostroomError as error:
                failures.append(error)
                item.refusal = _unavailable(error, tried=True)

        def guarded(item: Item) -> None:
            _guarded(store, item, _MAY_BE_STORED)

        repeated = _repeated(items)
        _all_at_once(guarded, [item for item in items if item.index not in repeated])
        for index in sorted(repeated):
            guarded(items[index])


def _repeated(items: Sequence[Item]) -> set[int]:
    """The places of mails whose key an earlier mail of the batch has. With the same document it is
    the same mail; with another document it is rejected."""
    firsts: dict[str, Order] = {}
    repeated: set[int] = set()
    for item in items:
        if item.order is None or item.order.claimed_key is None:
            continue
        first = firsts.setdefault(item.order.claimed_key, item.order)
        if first is item.order:
            continue
        repeated.add(item.index)
        if first.document_hash != item.order.document_hash:
            item.refusal = item.refusal or key_conflict()
    return repeated


def _all_at_once(work: Callable[[Item], None], items: Sequence[Item]) -> None:
    largest = max((item.size for item in items), default=0)
    with ThreadPoolExecutor(min(AT_ONCE, BYTES_AT_ONCE // (largest + 1) + 1)) as pool:
        # Reading each result raises the errors of checks that storage did not answer.
        list(pool.map(work, items))


def _guarded(work: Callable[[Item], None], item: Item, detail: str) -> None:
    """Do the work on one mail. A fault of Postroom becomes the problem of that mail alone. If it
    ended the whole request, a caller without keys would repeat the batch and send the other mails
    twice."""
    try:
        work(item)
    except PostroomError:
        raise
    except Exception as error:  # noqa: BLE001 - logged and told in the answer
        item.refusal = _failed(error, detail)


def _failed(error: Exception, detail: str) -> RequestRejected:
    event("internal_error", level=logging.ERROR, kind=type(error).__name__, where=where(error))
    return RequestRejected(problems.INTERNAL, detail)


def _decoded(raw: bytes) -> BatchEnvelope:
    refuse_crumbs(raw, MOST_TEXTS)
    envelope, mails = _apart(raw)
    found: list[FieldProblem] = []
    document = decode(envelope, _decoder, "a batch", found)
    if document is None or found:
        raise RequestRejected(
            problems.INVALID_REQUEST,
            "The batch has a field that is not understood.",
            found[:MAX_TOLD],
        )
    twice = repeated_name(envelope)
    if twice is not None:
        raise _twice(twice)
    return replace(document, mails=mails or document.mails)


def _apart(raw: bytes) -> tuple[bytes, msgspec.Raw | None]:
    """The batch with a number in place of its mails, and the mails. The mails are not read here,
    because each has its own limits. Raises RequestRejected if it is not a JSON object, or has too
    much beside its mails."""
    try:
        members = _members_decoder.decode(raw)
    except msgspec.ValidationError:
        raise _refused("body", "must be an object with 'mails', a list") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise no_json(raw, error) from error
    mails = members.pop("mails", None)
    if len(raw) - (0 if mails is None else len(memoryview(mails))) > LONGEST_ENVELOPE:
        if mails is not None and sum(map(_length, members.items())) <= LONGEST_ENVELOPE // 2:
            raise _twice("mails")
        raise _refused("body", f"has more than {LONGEST_ENVELOPE} bytes beside 'mails': send less")
    if mails is None:
        return raw, None
    at = raw.find(mails)
    return raw[:at] + b"0" + raw[at + len(memoryview(mails)) :], mails


def _length(member: tuple[str, msgspec.Raw]) -> int:
    return len(member[0]) + len(memoryview(member[1]))


def _twice(name: str) -> RequestRejected:
    return RequestRejected(
        problems.INVALID_REQUEST,
        "The batch has a field twice.",
        [FieldProblem(name, "is given more than once: keep one")],
    )


def _mails_in(document: BatchEnvelope) -> list[msgspec.Raw]:
    """The mails, neither read nor copied. One mail without a list is a list of one. Raises
    RequestRejected."""
    first = bytes(memoryview(document.mails)[:1])
    if first == b"{":
        return [document.mails]
    if first != b"[":
        raise _refused("mails", "must be a list of mails, or one mail")
    try:
        given = msgspec.structs.astuple(_list_decoder.decode(document.mails))
    except msgspec.ValidationError:
        given = ()
    mails = [mail for mail in given if len(memoryview(mail))]
    if not mails:
        raise _refused("mails", f"must have 1 to {MOST_MAILS} entries")
    return mails


def _refused(field: str, message: str) -> RequestRejected:
    return RequestRejected(
        problems.INVALID_REQUEST,
        "The batch cannot be read.",
        [FieldProblem(field, message)],
    )


def _read(document: BatchEnvelope, key: str | None, now: datetime) -> list[Item]:
    if key is not None and not is_key(key):
        raise RequestRejected(
            problems.INVALID_REQUEST,
            "The batch's Idempotency-Key cannot be taken.",
            [FieldProblem("Idempotency-Key", KEY_FORM)],
        )
    items: list[Item] = []
    left = MOST_PARTS_TOLD
    for index, mail in enumerate(_mails_in(document)):
        raw = bytes(mail)
        items.append(_item(index, raw, key, now, min(left, MOST_PARTS)))
        items[-1].size = len(raw)
        if items[-1].refusal is not None:
            left = max(0, left - parts_in(raw))
    _refuse_tags(items)
    _repeated(items)
    return items


def _refuse_tags(items: Sequence[Item]) -> None:
    """Reject the mails after which the batch has more tags than one request may have."""
    tags = 0
    for item in items:
        if item.order is None:
            continue
        tags += limits.tags_of(item.order.message)
        if tags > limits.MAX_BATCH_TAGS:
            item.refusal = RequestRejected(
                problems.MAIL_TOO_LARGE,
                f"The mails of a batch may have {limits.MAX_BATCH_TAGS} tags of html together; with "
                "this mail they have more.",
                [FieldProblem("html", "has too many tags beside those of the mails before it")],
                help="Send this mail and those behind it in another request.",
            )


def _item(index: int, raw: bytes, key: str | None, now: datetime, most_parts: int) -> Item:
    try:
        order = read_json(raw, now, most_parts=most_parts)
        if order.dry_run:
            raise RequestRejected(
                problems.INVALID_MAIL,
                "A batch is no dry run.",
                [FieldProblem("dry_run", "is not for a batch: use POST /api/send/check")],
            )
    except RequestRejected as refused:
        return Item(index, refusal=_without_frames(refused))
    except Exception as error:  # noqa: BLE001 - logged and told in the answer
        return Item(index, refusal=_failed(error, _NOT_STORED))
    if order.idempotency_key is None and key is not None:
        order = replace(order, idempotency_key=f"{key}/{index}", place=internal_key(key, index))
    return Item(index, order)


def _without_frames(refused: RequestRejected) -> RequestRejected:
    """The rejection without its traceback: the traceback would keep the mail, and everything read
    from it, in memory until the whole batch is answered."""
    refused.__cause__ = refused.__context__ = None
    return refused.with_traceback(None)


def _unavailable(error: PostroomError | None, *, tried: bool) -> RequestRejected:
    if not tried:
        return RequestRejected(
            problems.UNAVAILABLE, "The mail was not tried: storage failed on others before it."
        )
    wait = error.retry_after if isinstance(error, RemoteError) else None
    return RequestRejected(
        problems.UNAVAILABLE, "Storage did not do its part for this mail.", retry_after=wait
    )
