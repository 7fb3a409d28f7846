"""Postroom's functions: what triggers what. Behaviour lives in `shared/`.

Each function imports what it calls: an instance serves one group of triggers, and its cold start
pays for no other's code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import azure.functions as func

from shared.web.problem import answered

if TYPE_CHECKING:
    from shared.bootstrap import Postroom

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)

STORAGE = "AzureWebJobsStorage"
OUTBOX = "outbox"
POISON_QUEUE = "outbox-poison"
ANONYMOUS = func.AuthLevel.ANONYMOUS


def services() -> Postroom:
    """The services of this process, built on first use."""
    from shared.starting import uncollected

    with uncollected():
        from shared.bootstrap import postroom

        return postroom()


@app.route("api/send", methods=["POST"])
def send(req: func.HttpRequest) -> func.HttpResponse:
    """Accept one mail."""
    from shared.web.api import mails

    return answered(
        req, lambda: mails.send(req, services().submission, services().ledger, services().limits)
    )


@app.route("api/send/check", methods=["POST"])
def check_mail(req: func.HttpRequest) -> func.HttpResponse:
    """Check one mail, and send nothing."""
    from shared.web.api import mails

    return answered(req, lambda: mails.check_mail(req, services().submission, services().limits))


@app.route("api/send/batch", methods=["POST"])
def send_batch(req: func.HttpRequest) -> func.HttpResponse:
    """Accept up to a hundred mails."""
    from shared.web.api import batch

    return answered(req, lambda: batch.send_batch(req, services().batch, services().limits))


@app.route("api/mails/{id}", methods=["GET"])
def show_mail(req: func.HttpRequest) -> func.HttpResponse:
    """One mail and its history."""
    from shared.web.api import mails

    return answered(req, lambda: mails.show_mail(req, services().ledger))


@app.route("api/mails/{id}/raw", methods=["GET"])
def show_raw_text(req: func.HttpRequest) -> func.HttpResponse:
    """The text of a queue message that did not become a mail."""
    from shared.web import raw_text

    return answered(req, lambda: raw_text.show(req, services().ledger, services().content))


@app.route("api/mails", methods=["GET"])
def list_mails(req: func.HttpRequest) -> func.HttpResponse:
    """Mails, newest first."""
    from shared.web.api import mails

    return answered(req, lambda: mails.list_mails(req, services().ledger, services().submission))


@app.route("api/mails/{id}", methods=["PATCH"])
def reschedule_mail(req: func.HttpRequest) -> func.HttpResponse:
    """Give a mail that waits another time."""
    from shared.web.api import mail_changes

    return answered(req, lambda: mail_changes.reschedule(req, services().changes, services().clock))


@app.route("api/mails/{id}/cancel", methods=["POST"])
def cancel_mail(req: func.HttpRequest) -> func.HttpResponse:
    """Cancel a mail in time."""
    from shared.web.api import mail_changes

    return answered(req, lambda: mail_changes.cancel(req, services().changes))


@app.route("api/mails/{id}/release", methods=["POST"])
def release_mail(req: func.HttpRequest) -> func.HttpResponse:
    """Let one held mail go."""
    from shared.web.api import mail_changes

    return answered(req, lambda: mail_changes.release(req, services().changes))


@app.route("api/mails/{id}/resolve", methods=["POST"])
def resolve_mail(req: func.HttpRequest) -> func.HttpResponse:
    """Settle a mail of which it is not known whether it was sent."""
    from shared.web.api import mail_changes

    return answered(req, lambda: mail_changes.resolve(req, services().changes))


@app.route("api/mails/{id}/retry", methods=["POST"])
def retry_mail(req: func.HttpRequest) -> func.HttpResponse:
    """Try a mail again, also to other recipients."""
    from shared.web.api import mail_changes

    return answered(req, lambda: mail_changes.retry(req, services().changes))


@app.route("api/accounts/{alias}/release", methods=["POST"])
def release_account(req: func.HttpRequest) -> func.HttpResponse:
    """Let the mails go that wait for an account."""
    from shared.web.api import mail_changes

    return answered(
        req,
        lambda: mail_changes.release_account(
            req, services().accounts, services().upkeep, services().clock
        ),
    )


@app.route("api/accounts/{alias}", methods=["GET"])
def show_account(req: func.HttpRequest) -> func.HttpResponse:
    """One account, with what is set for it."""
    from shared.web.api import accounts

    return answered(req, lambda: accounts.show(req, services().account_changes))


@app.route("api/accounts/{alias}", methods=["PATCH"])
def change_account(req: func.HttpRequest) -> func.HttpResponse:
    """Change what is set for an account."""
    from shared.web.api import accounts

    return answered(req, lambda: accounts.change(req, services().account_changes))


@app.route("api/accounts", methods=["POST"])
def add_account(req: func.HttpRequest) -> func.HttpResponse:
    """Add a mailbox that nobody signs in."""
    from shared.web.pages import adding

    return answered(req, lambda: adding.add_account(req, services().adding))


@app.route("accounts/add", methods=["POST"], auth_level=ANONYMOUS)
def add_from_page(req: func.HttpRequest) -> func.HttpResponse:
    """The same, from the page. Asks for a session and the same origin itself."""
    from shared.web.pages import adding

    page_context = services().page_context
    return answered(
        req,
        lambda: adding.add_from_page(
            req, page_context.site, page_context.sessions, services().accounts, services().adding
        ),
    )


@app.route("api/accounts", methods=["GET"])
def list_accounts(req: func.HttpRequest) -> func.HttpResponse:
    """The mailboxes that are signed in."""
    from shared.web.api import mails

    return answered(req, lambda: mails.list_accounts(req, services().accounts))


@app.route("api/accounts/{alias}/check", methods=["POST"])
def check_account(req: func.HttpRequest) -> func.HttpResponse:
    """Ask Microsoft now whether an account works."""
    from shared.web.pages import checks

    return answered(req, lambda: checks.check(req, services().checking))


@app.route("api/accounts/{alias}", methods=["DELETE"])
def disconnect_account(req: func.HttpRequest) -> func.HttpResponse:
    """Take a mailbox out."""
    from shared.web.pages import disconnecting

    return answered(req, lambda: disconnecting.disconnect(req, services().disconnecting))


@app.route("api/health", methods=["GET"], auth_level=ANONYMOUS)
def show_health(req: func.HttpRequest) -> func.HttpResponse:
    """Alive or not."""
    from shared.web.api import health

    return answered(req, lambda: health.alive(services))


@app.route("api/health/details", methods=["GET"])
def show_health_details(req: func.HttpRequest) -> func.HttpResponse:
    """Each dependency and each account."""
    from shared.web.api import health

    return answered(
        req,
        lambda: health.details(
            services().probes,
            services().accounts,
            services().credential,
            services().checks,
            services().clock,
        ),
    )


@app.route("api/openapi.json", methods=["GET"], auth_level=ANONYMOUS)
def show_openapi(req: func.HttpRequest) -> func.HttpResponse:
    """The API's description."""
    from shared.web.api import openapi

    return answered(req, openapi.show)


@app.route("/", methods=["GET"], auth_level=ANONYMOUS)
def show_home(req: func.HttpRequest) -> func.HttpResponse:
    """On to what is next: set-up, or the mails."""
    from shared.web.pages import setup

    return answered(
        req,
        lambda: setup.show_home(
            req, services().page_context.site, services().page_context.sessions, services().accounts
        ),
    )


@app.route("setup", methods=["GET"], auth_level=ANONYMOUS)
def show_setup(req: func.HttpRequest) -> func.HttpResponse:
    """The checklist of a new installation. Asks for a session itself."""
    from shared.web.pages import setup

    return answered(
        req,
        lambda: setup.show_setup(
            req,
            services().page_context.site,
            services().page_context.sessions,
            services().checklist,
        ),
    )


@app.route("setup", methods=["POST"], auth_level=ANONYMOUS)
def change_setup(req: func.HttpRequest) -> func.HttpResponse:
    """A form of the checklist. Asks for a session and the same origin itself."""
    from shared.web.pages import setup

    return answered(
        req,
        lambda: setup.change_setup(
            req,
            services().page_context.site,
            services().page_context.sessions,
            services().checklist,
        ),
    )


@app.route("static/{name}", methods=["GET"], auth_level=ANONYMOUS)
def show_asset(req: func.HttpRequest) -> func.HttpResponse:
    """The pages' style sheet and script."""
    from shared.web.pages import accounts_page

    return answered(req, lambda: accounts_page.show_asset(req))


@app.route("signin", methods=["GET"], auth_level=ANONYMOUS)
def show_sign_in(req: func.HttpRequest) -> func.HttpResponse:
    """The form for a function key."""
    from shared.web.pages import accounts_page

    return answered(
        req,
        lambda: accounts_page.show_sign_in(
            req, services().page_context.site, services().page_context.sessions
        ),
    )


@app.route("session", methods=["POST"])
def open_session(req: func.HttpRequest) -> func.HttpResponse:
    """A session for whoever has a function key: the host has checked it."""
    from shared.web.pages import accounts_page

    return answered(req, lambda: accounts_page.open_session(req, services().page_context.sessions))


@app.route("signout", methods=["POST"], auth_level=ANONYMOUS)
def close_session(req: func.HttpRequest) -> func.HttpResponse:
    """The end of a session."""
    from shared.web.pages import accounts_page

    return answered(
        req,
        lambda: accounts_page.close_session(
            req, services().page_context.site, services().page_context.sessions
        ),
    )


@app.route("accounts", methods=["GET"], auth_level=ANONYMOUS)
def show_accounts(req: func.HttpRequest) -> func.HttpResponse:
    """The page of accounts. Asks for a session itself."""
    from shared.web.pages import accounts_page

    return answered(
        req,
        lambda: accounts_page.show_accounts(
            req,
            services().page_context.site,
            services().page_context.sessions,
            services().page_context.keys,
            services().accounts,
            services().checks,
            services().watch_memory,
        ),
    )


@app.route("accounts/{alias}", methods=["GET"], auth_level=ANONYMOUS)
def show_account_page(req: func.HttpRequest) -> func.HttpResponse:
    """The page of one account. Asks for a session itself."""
    from shared.web.pages import account_page

    return answered(
        req,
        lambda: account_page.show(
            req,
            services().page_context.site,
            services().page_context.sessions,
            services().account_changes,
            services().checks,
            services().overviews,
        ),
    )


@app.route("accounts/{alias}/disconnect", methods=["GET"], auth_level=ANONYMOUS)
def show_disconnect(req: func.HttpRequest) -> func.HttpResponse:
    """What disconnecting would do. Asks for a session itself."""
    from shared.web.pages import disconnecting

    return answered(
        req,
        lambda: disconnecting.show_disconnect(
            req,
            services().page_context.site,
            services().page_context.sessions,
            services().disconnecting,
        ),
    )


@app.route("accounts/{alias}", methods=["POST"], auth_level=ANONYMOUS)
def change_account_from_page(req: func.HttpRequest) -> func.HttpResponse:
    """Change what is set for an account. Asks for a session and the same origin itself."""
    from shared.web.pages import account_page

    return answered(
        req,
        lambda: account_page.change(
            req,
            services().page_context.site,
            services().page_context.sessions,
            services().account_changes,
            services().checks,
            services().overviews,
        ),
    )


@app.route("accounts/{alias}/disconnect", methods=["POST"], auth_level=ANONYMOUS)
def disconnect_account_from_page(req: func.HttpRequest) -> func.HttpResponse:
    """Take a mailbox out, for the page. Asks for a session and the same origin itself."""
    from shared.web.pages import disconnecting

    return answered(
        req,
        lambda: disconnecting.disconnect_from_page(
            req,
            services().page_context.site,
            services().page_context.sessions,
            services().disconnecting,
        ),
    )


@app.route("accounts/{alias}/check", methods=["POST"], auth_level=ANONYMOUS)
def check_account_from_page(req: func.HttpRequest) -> func.HttpResponse:
    """Check, for the page. Asks for a session and the same origin itself."""
    from shared.web.pages import checks

    return answered(
        req,
        lambda: checks.check_from_page(
            req, services().page_context.site, services().page_context.sessions, services().checking
        ),
    )


@app.route("mails", methods=["GET"], auth_level=ANONYMOUS)
def show_mails(req: func.HttpRequest) -> func.HttpResponse:
    """The page of mails. Asks for a session itself, as each page does."""
    from shared.web.pages import mail_list

    page_context = services().page_context
    return answered(
        req,
        lambda: mail_list.show_mails(
            req,
            page_context.site,
            page_context.sessions,
            page_context.keys,
            services().ledger,
            services().attention,
            services().hourly_stats,
            services().accounts,
            services().submission,
            services().clock,
        ),
    )


@app.route("mails", methods=["POST"], auth_level=ANONYMOUS)
def search_mails(req: func.HttpRequest) -> func.HttpResponse:
    """Off to the mails that are looked for. Asks for a session and the same origin itself."""
    from shared.web.pages import mail_list

    page_context = services().page_context
    return answered(
        req,
        lambda: mail_list.search_mails(
            req, page_context.site, page_context.sessions, page_context.keys
        ),
    )


@app.route("docs", methods=["GET"], auth_level=ANONYMOUS)
def show_docs(req: func.HttpRequest) -> func.HttpResponse:
    """The API as a page. Asks for a session itself."""
    from shared.web.pages import api_docs

    page_context, queues = services().page_context, services().settings.storage.queue_url
    return answered(
        req,
        lambda: api_docs.show_docs(req, page_context.site, page_context.sessions, queues, OUTBOX),
    )


@app.route("changes", methods=["POST"], auth_level=ANONYMOUS)
def change_many_mails(req: func.HttpRequest) -> func.HttpResponse:
    """One button for all mails of a cause."""
    from shared.web.pages import bulk_changes

    page_context = services().page_context
    return answered(
        req,
        lambda: bulk_changes.change_many(
            req, page_context.site, page_context.sessions, services().attention, services().changes
        ),
    )


@app.route("mails/{id}", methods=["GET"], auth_level=ANONYMOUS)
def show_mail_page(req: func.HttpRequest) -> func.HttpResponse:
    """The page of one mail."""
    from shared.web.pages import mail_page

    page_context = services().page_context
    return answered(
        req,
        lambda: mail_page.show_mail(
            req, page_context.site, page_context.sessions, services().ledger, services().content
        ),
    )


@app.route("mails/{id}/html", methods=["GET"], auth_level=ANONYMOUS)
def show_mail_html(req: func.HttpRequest) -> func.HttpResponse:
    """The html of one mail, in a sandbox."""
    from shared.web.pages import mail_page

    page_context = services().page_context
    return answered(
        req,
        lambda: mail_page.show_html(
            req, page_context.site, page_context.sessions, services().ledger, services().content
        ),
    )


@app.route("mails/{id}/raw", methods=["GET"], auth_level=ANONYMOUS)
def save_raw_text(req: func.HttpRequest) -> func.HttpResponse:
    """The same, for the page of the mail. Asks for a session itself."""
    from shared.web import raw_text

    page_context = services().page_context
    return answered(
        req,
        lambda: raw_text.save(
            req, page_context.site, page_context.sessions, services().ledger, services().content
        ),
    )


@app.route("mails/{id}", methods=["POST"], auth_level=ANONYMOUS)
def change_mail_page(req: func.HttpRequest) -> func.HttpResponse:
    """A button on the page of one mail."""
    from shared.web.pages import mail_page

    page_context = services().page_context
    return answered(
        req,
        lambda: mail_page.change_mail(
            req,
            page_context.site,
            page_context.sessions,
            services().ledger,
            services().content,
            services().changes,
        ),
    )


@app.route("auth/login", methods=["POST"], auth_level=ANONYMOUS)
def begin_sign_in(req: func.HttpRequest) -> func.HttpResponse:
    """Off to Microsoft. Asks for a session and the same origin itself."""
    from shared.web.auth import sign_in

    return answered(
        req,
        lambda: sign_in.begin_sign_in(
            req,
            services().page_context.sessions,
            services().consent,
            services().page_context.keys,
            services().page_context.site,
        ),
    )


@app.route("auth/device", methods=["POST"], auth_level=ANONYMOUS)
def begin_device_sign_in(req: func.HttpRequest) -> func.HttpResponse:
    """A code to enter at Microsoft. Asks for a session and the same origin itself."""
    from shared.web.auth import device_code

    return answered(
        req,
        lambda: device_code.begin_device_sign_in(
            req,
            services().page_context.sessions,
            services().device_sign_in,
            services().page_context.keys,
            services().page_context.site,
        ),
    )


@app.route("auth/device/finish", methods=["POST"], auth_level=ANONYMOUS)
def finish_device_sign_in(req: func.HttpRequest) -> func.HttpResponse:
    """Has the code been entered? Asks for a session and the same origin itself."""
    from shared.web.auth import device_code

    return answered(
        req,
        lambda: device_code.finish_device_sign_in(
            req,
            services().page_context.sessions,
            services().device_sign_in,
            services().page_context.keys,
            services().page_context.site,
        ),
    )


@app.route("auth/admin-consent", methods=["POST"], auth_level=ANONYMOUS)
def show_admin_consent(req: func.HttpRequest) -> func.HttpResponse:
    """The link by which an administrator consents. Asks for a session itself."""
    from shared.web.auth import sign_in

    return answered(
        req,
        lambda: sign_in.show_admin_consent(
            req, services().page_context.sessions, services().page_context.site
        ),
    )


# Anonymous, and a test asserts it: the host would take Microsoft's `code` for a function key.
@app.route("api/auth/callback", methods=["GET", "POST"], auth_level=ANONYMOUS)
def finish_sign_in(req: func.HttpRequest) -> func.HttpResponse:
    """Back from Microsoft."""
    from shared.web.auth import sign_in

    return answered(
        req,
        lambda: sign_in.finish_sign_in(
            req, services().consent, services().page_context.keys, services().page_context.site
        ),
    )


@app.queue_trigger("msg", OUTBOX, STORAGE)
def deliver(msg: func.QueueMessage) -> None:
    """Hear a bell, or take in a whole mail that an application dropped."""
    from shared.services.intake.outbox_message import read

    services().outbox.handle(read(msg))


@app.queue_trigger("msg", POISON_QUEUE, STORAGE)
@app.queue_output("again", POISON_QUEUE, STORAGE)
def bury(msg: func.QueueMessage, again: func.Out[str]) -> None:
    """Write down what the host gave up on; the message is put back until that succeeds."""
    from shared.services.intake import poisoned

    poisoned.record_poisoned(
        msg, again.set, lambda message: services().outbox.record_poisoned(message)
    )


@app.timer_trigger("timer", "40 17 2 * * *")
def sweep(timer: func.TimerRequest) -> None:
    """Throw away what is past keeping."""
    services().retention.sweep()


@app.timer_trigger("timer", "20 23 * * * *")
def watch(timer: func.TimerRequest) -> None:
    """Check the accounts that are due, and warn before something expires."""
    services().watch.run()


@app.timer_trigger("timer", "15 * * * * *")
def ring_again(timer: func.TimerRequest) -> None:
    """Enqueue wake-ups for mails whose wake-up was lost or whose worker died."""
    services().upkeep.requeue_overdue()


@app.timer_trigger("timer", "25 4 * * * *")
def tally(timer: func.TimerRequest) -> None:
    """Count the hour that is over."""
    services().hourly_stats.count()
