"""The watch: a timer that checks every account once a day, and the app's credential before it
expires.

It runs every hour and checks the accounts that are due, longest unchecked first. A day that it
missed is made up for, and what one run has no time for is done in the next. A check renews the
grant: Microsoft ends a grant that was not used for 90 days.

https://learn.microsoft.com/entra/identity-platform/refresh-tokens#token-lifetime
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from shared.errors import LostRace, PostroomError
from shared.mail.account import DISCONNECTING, Account, AccountState
from shared.mail.expiry import NOT_WRITTEN_DOWN, URGENT_DAYS, Expiry
from shared.mail.findings import Change, Check
from shared.services.accounts.checking import Checking
from shared.services.accounts.ports import Accounts, CheckRecord, Checks
from shared.services.clock import Clock
from shared.services.sign_in.ports import AppCredentialStatus, CredentialVersion
from shared.services.upkeep.operators import Operators
from shared.services.upkeep.ports import WatchMemory
from shared.telemetry import event

MOST_SECONDS = 300.0
"""No check begins later than this in a run. A check whose calls all time out takes some minutes,
and the host ends a run after ten (`functionTimeout` in host.json)."""
CHECK_AFTER = timedelta(hours=23)
"""A little less than a day, so that the hour of the day stays the same."""
ASK_AGAIN_AFTER = timedelta(minutes=50)
"""If the last check left something open."""

EXPIRES = ("secret", "certificate")


class Watch:
    """One run of the timer."""

    def __init__(
        self,
        *,
        accounts: Accounts,
        checks: Checks,
        checking: Checking,
        credential: AppCredentialStatus,
        memory: WatchMemory,
        operators: Operators,
        clock: Clock,
    ) -> None:
        self._accounts = accounts
        self._checks = checks
        self._checking = checking
        self._credential = credential
        self._memory = memory
        self._operators = operators
        self._clock = clock

    def run(self) -> int:
        """Check the credential, then the accounts that are due, as long as the time lasts. Returns
        how many were checked. If one part fails, the others still run."""
        stop = self._clock() + timedelta(seconds=MOST_SECONDS)
        try:
            self._watch_credential()
        except PostroomError as error:
            _failed("credential", error)
        checked = left = 0
        for account in self._due():
            if self._clock() >= stop:
                left += 1
                continue
            try:
                self._checking.examine(account)
                checked += 1
            except PostroomError as error:
                _failed("accounts", error)
        if checked or left:
            event("watched", count=checked, left=left)
        return checked

    def _due(self) -> list[Account]:
        """The accounts to check now, longest unchecked first. The checks of removed accounts are
        deleted."""
        now = self._clock()
        records = {record.check.account_id: record for record in self._checks.all()}
        accounts = self._accounts.all(fresh=True)
        for account_id in records.keys() - {account.account_id for account in accounts}:
            self._checks.remove(account_id)
        due = [one for one in accounts if _is_due(one, records.get(one.account_id), now)]
        return sorted(due, key=lambda one: _last_check(records, one))

    def _watch_credential(self) -> None:
        """Warn once for each threshold; the process that stores it first warns. A notice that no
        account can send now is tried again in each run, until the next threshold's notice replaces
        it."""
        found = newest_expiry(self._credential.describe())
        remembered = self._memory.recall()
        known, now = remembered.credential, self._clock()
        if known is not None and found is not None and known.is_same(found):
            found = replace(found, told=known.told, owed=known.owed)
        threshold = found.to_tell(now) if found is not None else None
        if found is not None and threshold is not None:
            found = replace(found, told=threshold, owed=threshold)
        if found is not None and found.owed is not None and self._mail(found, found.owed):
            found = replace(found, owed=None)
        if found == known:
            return
        try:
            self._memory.remember(replace(remembered, credential=found))
        except LostRace:
            return  # another run was first, and warned
        if found is not None and threshold is not None:
            _say(found, threshold, now)

    def _mail(self, found: Expiry, threshold: int) -> bool:
        key = f"watch/credential/{found.version}/{threshold}"
        return self._operators.tell(key, *_warning(found, threshold))


def newest_expiry(versions: Iterable[CredentialVersion]) -> Expiry | None:
    """The expiry of the newest enabled version of a credential; None if there is none."""
    for one in versions:
        if one.enabled and one.kind in EXPIRES:
            return Expiry(one.kind, one.version, one.expires_at)
    return None


class AccountNews:
    """Notifies operators of accounts that stopped working, or work again: `checking.Announce`."""

    def __init__(self, operators: Operators) -> None:
        self._operators = operators

    def __call__(
        self, account: Account, check: Check, change: Change, since: datetime | None
    ) -> None:
        # Two checks at the same moment begin from the same earlier check, and make the same key.
        what = hashlib.sha256("\n".join(change.broken).encode()).hexdigest()[:16]
        moment = since.isoformat() if since else "first"
        key = f"watch/account/{account.account_id}/{moment}/{what}"
        if change.mended:
            self._operators.tell(
                key,
                f"the account {account.alias} works again",
                f"A check of the account '{account.alias}' found nothing wrong any more.",
            )
            return
        lines = [f"A check of the account '{account.alias}' found what was not known before."]
        for finding in check.findings:
            if finding.trouble in change.broken:
                lines.append(f"\n- {finding.meaning} ({finding.code})")
                if finding.step:
                    lines.append(f"  What to do: {finding.step}")
                if finding.who:
                    lines.append(f"  Who: {finding.who}.")
        self._operators.tell(
            key,
            f"the account {account.alias} has trouble",
            "\n".join(lines),
            broken=account.grant_id,
        )


def _last_check(records: Mapping[str, CheckRecord], account: Account) -> tuple[bool, datetime]:
    record = records.get(account.account_id)
    never = datetime.min.replace(tzinfo=UTC)
    return (record is not None, record.check.checked_at if record else never)


def _is_due(account: Account, record: CheckRecord | None, now: datetime) -> bool:
    if account.reason == DISCONNECTING:
        return False
    if record is None:
        return True
    age = now - record.check.checked_at
    if account.state is AccountState.NEEDS_SIGN_IN and not record.known:
        return True  # it stopped working while mail was sent, and nobody was notified what to do
    return age >= (CHECK_AFTER if record.check.is_settled else ASK_AGAIN_AFTER)


def _warning(found: Expiry, threshold: int) -> tuple[str, str]:
    """Subject and text; the same in each run for one threshold."""
    name = _NAMES[found.kind]
    if found.expires_at is None:
        return (
            f"nobody wrote down when the {name} expires",
            f"The {name} (version {found.version}) has no expiry date in Key Vault, so Postroom "
            "cannot warn before it expires. Set the date that Entra shows (docs/operations.md, "
            "'Before something expires').",
        )
    day = found.expires_at.astimezone(UTC).strftime("%d %b %Y, %H:%M UTC")
    if threshold == 0:
        return (
            f"the {name} has expired",
            f"The {name} (version {found.version}) expired on {day}. No mailbox can send until it "
            "is renewed: docs/operations.md, 'Keys and secrets'. Mail waits meanwhile.",
        )
    return (
        f"the {name} expires on {day}",
        f"The {name} (version {found.version}) expires on {day}. After that no mailbox can send. "
        "Renew it: docs/operations.md, 'Keys and secrets'. The old one goes on working until "
        "then, and no mail is held.",
    )


_NAMES = {"secret": "client secret", "certificate": "certificate"}


def _say(found: Expiry, threshold: int, now: datetime) -> None:
    if threshold == NOT_WRITTEN_DOWN:
        event(
            "credential_expiry_unknown",
            level=logging.WARNING,
            kind=found.kind,
            version=found.version,
        )
        return
    event(
        "credential_expires" if threshold else "credential_expired",
        level=logging.ERROR if threshold <= URGENT_DAYS else logging.WARNING,
        kind=found.kind,
        version=found.version,
        days_left=found.days_left(now),
    )


def _failed(part: str, error: PostroomError) -> None:
    event("watch_part_failed", level=logging.WARNING, operation=part, kind=type(error).__name__)
