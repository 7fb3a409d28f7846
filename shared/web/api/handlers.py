"""The handler of each route of the area `api`, with the services that it needs.

Each function imports its own modules, so that the first call of an instance loads only what it
needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import azure.functions as func

if TYPE_CHECKING:
    from shared.web.routing import GetServices


def send(req: func.HttpRequest, services: GetServices) -> func.HttpResponse:
    """Accept one mail."""
    from shared.web.api import mails

    return mails.send(req, services().submission, services().ledger, services().limits)


def check_mail(req: func.HttpRequest, services: GetServices) -> func.HttpResponse:
    """Check one mail, and send nothing."""
    from shared.web.api import mails

    return mails.check_mail(req, services().submission, services().limits)


def send_batch(req: func.HttpRequest, services: GetServices) -> func.HttpResponse:
    """Accept up to a hundred mails."""
    from shared.web.api import batch

    return batch.send_batch(req, services().batch, services().limits)


def show_mail(req: func.HttpRequest, services: GetServices) -> func.HttpResponse:
    """One mail and its history."""
    from shared.web.api import mails

    return mails.show_mail(req, services().ledger)


def show_raw_text(req: func.HttpRequest, services: GetServices) -> func.HttpResponse:
    """The text of a queue message that did not become a mail."""
    from shared.web import raw_text

    return raw_text.show(req, services().ledger, services().content)


def list_mails(req: func.HttpRequest, services: GetServices) -> func.HttpResponse:
    """Mails, newest first."""
    from shared.web.api import mails

    return mails.list_mails(req, services().ledger, services().idempotency)


def reschedule_mail(req: func.HttpRequest, services: GetServices) -> func.HttpResponse:
    """Change the time of a mail that waits."""
    from shared.web.api import mail_changes

    return mail_changes.reschedule(req, services().changes, services().clock)


def cancel_mail(req: func.HttpRequest, services: GetServices) -> func.HttpResponse:
    """Cancel a mail that is not sent yet."""
    from shared.web.api import mail_changes

    return mail_changes.cancel(req, services().changes)


def release_mail(req: func.HttpRequest, services: GetServices) -> func.HttpResponse:
    """Queue one held mail again."""
    from shared.web.api import mail_changes

    return mail_changes.release(req, services().changes)


def resolve_mail(req: func.HttpRequest, services: GetServices) -> func.HttpResponse:
    """Record whether an unknown mail was sent."""
    from shared.web.api import mail_changes

    return mail_changes.resolve(req, services().changes)


def retry_mail(req: func.HttpRequest, services: GetServices) -> func.HttpResponse:
    """Try a mail again, also with other recipients."""
    from shared.web.api import mail_changes

    return mail_changes.retry(req, services().changes)


def release_account(req: func.HttpRequest, services: GetServices) -> func.HttpResponse:
    """Queue the held mails of an account again."""
    from shared.web.api import mail_changes

    return mail_changes.release_account(
        req, services().adapters.accounts, services().upkeep, services().clock
    )


def show_account(req: func.HttpRequest, services: GetServices) -> func.HttpResponse:
    """One account and its settings."""
    from shared.web.api import accounts

    return accounts.show(req, services().account_changes)


def change_account(req: func.HttpRequest, services: GetServices) -> func.HttpResponse:
    """Change the settings of an account."""
    from shared.web.api import accounts

    return accounts.change(req, services().account_changes)


def add_account(req: func.HttpRequest, services: GetServices) -> func.HttpResponse:
    """Add a shared or app-only mailbox."""
    from shared.web.pages import adding

    return adding.add_account(req, services().adding)


def list_accounts(req: func.HttpRequest, services: GetServices) -> func.HttpResponse:
    """The connected mailboxes."""
    from shared.web.api import mails

    return mails.list_accounts(req, services().adapters.accounts)


def check_account(req: func.HttpRequest, services: GetServices) -> func.HttpResponse:
    """Ask Microsoft now whether an account works."""
    from shared.web.pages import checks

    return checks.check(req, services().checking)


def disconnect_account(req: func.HttpRequest, services: GetServices) -> func.HttpResponse:
    """Disconnect a mailbox."""
    from shared.web.pages import disconnecting

    return disconnecting.disconnect(req, services().disconnecting)


def show_health(req: func.HttpRequest, services: GetServices) -> func.HttpResponse:
    """Whether the process runs and its settings are valid."""
    from shared.web.api import health

    return health.alive(services)


def show_health_details(req: func.HttpRequest, services: GetServices) -> func.HttpResponse:
    """Each dependency, each area of routes that is missing, and each account."""
    from shared.web import routing
    from shared.web.api import health

    return health.details(
        {**services().adapters.probes, **health.missing_areas(routing.faults)},
        services().adapters.accounts,
        services().adapters.credential,
        services().adapters.checks,
        services().clock,
    )


def show_openapi(req: func.HttpRequest, services: GetServices) -> func.HttpResponse:
    """The API's description."""
    from shared.web.api import openapi

    return openapi.show()
