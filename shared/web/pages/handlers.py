"""The handler of each route of the area `pages`, with the services that it needs.

Each function imports its own modules, so that the first call of an instance loads only what it
needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import azure.functions as func

if TYPE_CHECKING:
    from shared.web.routing import GetServices

OUTBOX = "outbox"
"""The queue on which applications may put mails."""


def add_from_page(req: func.HttpRequest, services: GetServices) -> func.HttpResponse:
    """Add a mailbox, from the form of the accounts page."""
    from shared.web.pages import adding

    page_context = services().page_context
    return adding.add_from_page(
        req,
        page_context.site,
        page_context.sessions,
        services().adapters.accounts,
        services().adding,
    )


def show_home(req: func.HttpRequest, services: GetServices) -> func.HttpResponse:
    """Redirect to the checklist, or to the mails."""
    from shared.web.pages import setup

    return setup.show_home(
        req,
        services().page_context.site,
        services().page_context.sessions,
        services().adapters.accounts,
    )


def show_setup(req: func.HttpRequest, services: GetServices) -> func.HttpResponse:
    """The checklist of a new installation."""
    from shared.web.pages import setup

    return setup.show_setup(
        req, services().page_context.site, services().page_context.sessions, services().checklist
    )


def change_setup(req: func.HttpRequest, services: GetServices) -> func.HttpResponse:
    """Handle a form of the checklist."""
    from shared.web.pages import setup

    return setup.change_setup(
        req, services().page_context.site, services().page_context.sessions, services().checklist
    )


def show_asset(req: func.HttpRequest, services: GetServices) -> func.HttpResponse:
    """The pages' style sheet and script."""
    from shared.web.pages import accounts_page

    return accounts_page.show_asset(req)


def show_sign_in(req: func.HttpRequest, services: GetServices) -> func.HttpResponse:
    """The form for a function key."""
    from shared.web.pages import accounts_page

    return accounts_page.show_sign_in(
        req, services().page_context.site, services().page_context.sessions
    )


def open_session(req: func.HttpRequest, services: GetServices) -> func.HttpResponse:
    """Open a session. The host has checked the function key."""
    from shared.web.pages import accounts_page

    return accounts_page.open_session(req, services().page_context.sessions)


def close_session(req: func.HttpRequest, services: GetServices) -> func.HttpResponse:
    """Close the session."""
    from shared.web.pages import accounts_page

    return accounts_page.close_session(
        req, services().page_context.site, services().page_context.sessions
    )


def show_accounts(req: func.HttpRequest, services: GetServices) -> func.HttpResponse:
    """The page of accounts."""
    from shared.web.pages import accounts_page

    return accounts_page.show_accounts(
        req,
        services().page_context.site,
        services().page_context.sessions,
        services().page_context.keys,
        services().adapters.accounts,
        services().adapters.checks,
        services().adapters.watch_memory,
    )


def show_account_page(req: func.HttpRequest, services: GetServices) -> func.HttpResponse:
    """The page of one account."""
    from shared.web.pages import account_page

    return account_page.show(
        req,
        services().page_context.site,
        services().page_context.sessions,
        services().account_changes,
        services().adapters.checks,
        services().overviews,
    )


def show_disconnect(req: func.HttpRequest, services: GetServices) -> func.HttpResponse:
    """Show what disconnecting does, and ask for confirmation."""
    from shared.web.pages import disconnecting

    return disconnecting.show_disconnect(
        req,
        services().page_context.site,
        services().page_context.sessions,
        services().disconnecting,
    )


def change_account_from_page(req: func.HttpRequest, services: GetServices) -> func.HttpResponse:
    """Change the settings of an account."""
    from shared.web.pages import account_page

    return account_page.change(
        req,
        services().page_context.site,
        services().page_context.sessions,
        services().account_changes,
        services().adapters.checks,
        services().overviews,
    )


def disconnect_account_from_page(req: func.HttpRequest, services: GetServices) -> func.HttpResponse:
    """Disconnect a mailbox, from its page."""
    from shared.web.pages import disconnecting

    return disconnecting.disconnect_from_page(
        req,
        services().page_context.site,
        services().page_context.sessions,
        services().disconnecting,
    )


def check_account_from_page(req: func.HttpRequest, services: GetServices) -> func.HttpResponse:
    """Check an account, from its page."""
    from shared.web.pages import checks

    return checks.check_from_page(
        req, services().page_context.site, services().page_context.sessions, services().checking
    )


def show_mails(req: func.HttpRequest, services: GetServices) -> func.HttpResponse:
    """The page of mails."""
    from shared.web.pages import mail_list

    page_context = services().page_context
    return mail_list.show_mails(
        req,
        page_context.site,
        page_context.sessions,
        page_context.keys,
        services().ledger,
        services().adapters.attention,
        services().hourly_stats,
        services().adapters.accounts,
        services().idempotency,
        services().clock,
    )


def search_mails(req: func.HttpRequest, services: GetServices) -> func.HttpResponse:
    """Redirect to the mails that match a search."""
    from shared.web.pages import mail_list

    page_context = services().page_context
    return mail_list.search_mails(req, page_context.site, page_context.sessions, page_context.keys)


def show_docs(req: func.HttpRequest, services: GetServices) -> func.HttpResponse:
    """The description of the API, as a page."""
    from shared.web.pages import api_docs

    page_context, queues = (services().page_context, services().settings.storage.queue_url)
    return api_docs.show_docs(req, page_context.site, page_context.sessions, queues, OUTBOX)


def change_many_mails(req: func.HttpRequest, services: GetServices) -> func.HttpResponse:
    """Change all mails that have one cause."""
    from shared.web.pages import bulk_changes

    page_context = services().page_context
    return bulk_changes.change_many(
        req,
        page_context.site,
        page_context.sessions,
        services().adapters.attention,
        services().changes,
    )


def show_mail_page(req: func.HttpRequest, services: GetServices) -> func.HttpResponse:
    """The page of one mail."""
    from shared.web.pages import mail_page

    page_context = services().page_context
    return mail_page.show_mail(
        req, page_context.site, page_context.sessions, services().ledger, services().content
    )


def show_mail_html(req: func.HttpRequest, services: GetServices) -> func.HttpResponse:
    """The HTML of one mail, in a sandbox."""
    from shared.web.pages import mail_page

    page_context = services().page_context
    return mail_page.show_html(
        req, page_context.site, page_context.sessions, services().ledger, services().content
    )


def save_raw_text(req: func.HttpRequest, services: GetServices) -> func.HttpResponse:
    """Download the text of a queue message that did not become a mail."""
    from shared.web import raw_text

    page_context = services().page_context
    return raw_text.save(
        req, page_context.site, page_context.sessions, services().ledger, services().content
    )


def change_mail_page(req: func.HttpRequest, services: GetServices) -> func.HttpResponse:
    """Handle a button on the page of one mail."""
    from shared.web.pages import mail_page

    page_context = services().page_context
    return mail_page.change_mail(
        req,
        page_context.site,
        page_context.sessions,
        services().ledger,
        services().content,
        services().changes,
    )
