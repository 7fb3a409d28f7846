"""Whether Postroom works, and the state of each service that it needs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import azure.functions as func

from shared.errors import ConfigurationError, PostroomError
from shared.mail.account import Account, AccountState
from shared.services.accounts.ports import Accounts, CheckRecord, Checks
from shared.services.clock import Clock
from shared.services.sign_in.ports import AppCredentialStatus
from shared.web.api import documents, views
from shared.web.problem import RETRY_SECONDS

Probe = Callable[[], object]


def alive(check_settings: Callable[[], object]) -> func.HttpResponse:
    """`GET /api/health`: the process runs and its settings are valid. No other service is asked."""
    try:
        check_settings()
    except ConfigurationError:
        return _answer(503, documents.Health("misconfigured"))
    return _answer(200, documents.Health("ok"))


def details(
    probes: Mapping[str, Probe],
    accounts: Accounts,
    credential: AppCredentialStatus,
    checks: Checks,
    clock: Clock,
) -> func.HttpResponse:
    """`GET /api/health/details`: asks each dependency now, and shows each account's state."""
    found = [_asked(name, probe) for name, probe in probes.items()]
    rows: Sequence[Account] = ()
    records: Sequence[CheckRecord] = ()
    if all(dependency.ok for dependency in found):
        rows, records = accounts.all(fresh=True), checks.all()
    well = all(d.ok for d in found) and all(row.state is AccountState.READY for row in rows)
    return _answer(
        200 if well else 503,
        documents.HealthDetails(
            "ok" if well else "degraded",
            found,
            _versions(credential, clock()),
            [views.account_view(row) for row in sorted(rows, key=lambda row: row.alias)],
            views.check_lines(rows, records),
        ),
    )


def missing_areas(faults: Mapping[str, str]) -> dict[str, Probe]:
    """A probe for each area of routes that this process could not register."""
    return {f"routes:{area.split('.')[-2]}": _failing(kind) for area, kind in faults.items()}


def _failing(kind: str) -> Probe:
    def probe() -> None:
        raise PostroomError(f"not registered: {kind}; the log event area_not_registered says where")

    return probe


def _versions(credential: AppCredentialStatus, now: datetime) -> list[documents.CredentialView]:
    """Empty if the vault cannot be read; the dependency `key_vault` then shows the fault."""
    try:
        return [views.credential_view(version, now) for version in credential.describe()]
    except PostroomError:
        return []


def _asked(name: str, probe: Probe) -> documents.Dependency:
    start = time.perf_counter()
    problem = None
    try:
        probe()
    except PostroomError as error:
        problem = f"{type(error).__name__}: {error}"
    elapsed = round((time.perf_counter() - start) * 1000)
    return documents.Dependency(name, problem is None, elapsed, problem)


def _answer(status: int, document: documents.Health | documents.HealthDetails) -> func.HttpResponse:
    retry = {"Retry-After": f"{RETRY_SECONDS:.0f}"} if status == 503 else {}
    return func.HttpResponse(
        views.encoded(document),
        status_code=status,
        headers={"Cache-Control": "no-store", **retry},
        mimetype="application/json",
    )
