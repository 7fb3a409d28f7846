"""Disconnects an account: by the API, and from the page in two steps."""

from __future__ import annotations

import azure.functions as func

from shared.services.accounts.disconnecting import Disconnected, Disconnecting, PendingMailAction
from shared.web.api import views
from shared.web.api.mails import answer, only
from shared.web.auth.same_origin import require_same_origin
from shared.web.auth.session import Sessions
from shared.web.forms import read_form
from shared.web.pages.guard import explained, to_sign_in
from shared.web.pages.rendering import Site, page, see_other
from shared.web.problem import bad_request


def disconnect(req: func.HttpRequest, disconnecting: Disconnecting) -> func.HttpResponse:
    """`DELETE /api/accounts/{alias}`. The caller must say what happens to waiting mails: there is
    no default that could lose mails."""
    only(req.params, {"waiting", "with_shared"})
    with_shared = req.params.get("with_shared", "false")
    if with_shared not in ("true", "false"):
        raise bad_request("with_shared", "must be true or false")
    done = disconnecting.disconnect(
        _alias(req), _waiting(req.params.get("waiting")), with_shared=with_shared == "true"
    )
    return answer(200 if done.done else 202, views.disconnected_view(done))


@explained
def show_disconnect(
    req: func.HttpRequest, site: Site, sessions: Sessions, disconnecting: Disconnecting
) -> func.HttpResponse:
    """`GET /accounts/{alias}/disconnect`: what disconnecting would do, and the form for it."""
    if not sessions.is_open(req):
        return to_sign_in(req)
    return page(site, "disconnect.html", outlook=disconnecting.outlook(_alias(req)))


@explained
def disconnect_from_page(
    req: func.HttpRequest, site: Site, sessions: Sessions, disconnecting: Disconnecting
) -> func.HttpResponse:
    """`POST /accounts/{alias}/disconnect`: disconnect, and show what was done."""
    require_same_origin(req, site.origin)
    if not sessions.is_open(req):
        return see_other("/signin")
    form = read_form(req)
    done = disconnecting.disconnect(
        _alias(req), _waiting(form.get("waiting")), with_shared=form.get("with_shared") == "yes"
    )
    return page(site, "disconnected.html", done=done, secret=_secret_words(done))


def _secret_words(done: Disconnected) -> str:
    return views.secret_note(done.secret)


def _waiting(text: str | None) -> PendingMailAction:
    try:
        return PendingMailAction(text or "")
    except ValueError as error:
        raise bad_request(
            "waiting",
            "must say what becomes of mails that wait: 'hold' keeps them until the mailbox is "
            "connected again, 'cancel' cancels them",
        ) from error


def _alias(req: func.HttpRequest) -> str:
    alias: str = req.route_params.get("alias", "").lower()
    return alias
