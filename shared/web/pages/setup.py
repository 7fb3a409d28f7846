"""`/setup`: the progress of a new installation, the next step, and the test mail at the end."""

from __future__ import annotations

import azure.functions as func

from shared.errors import PostroomError, RequestRejected
from shared.mail import permissions, problems
from shared.mail.account import AccountState
from shared.services.accounts.ports import Accounts
from shared.services.setup.checklist import Checklist, redirect_check_url
from shared.services.setup.steps import StepState, is_followed, stages
from shared.web.forms import read_form
from shared.web.pages import wording
from shared.web.pages.guard import guarded
from shared.web.pages.rendering import Site, page, see_other

_STATES = {
    StepState.DONE: "Done",
    StepState.OPEN: "To do",
    StepState.UNSURE: "Not known yet",
}
_LOOKS = {StepState.DONE: "ok", StepState.OPEN: "not_ok", StepState.UNSURE: "unsure"}
_SAID = {
    "vault": "Postroom may write into Key Vault: a test secret was written.",
    "secret": "The client secret is in Key Vault. It is not shown again.",
    "redirect": "Entra sent you back here: it accepts the redirect URI.",
}
_PERMISSIONS = (
    (permissions.SEND, "to send mail", "people themselves, where the directory lets them"),
    (permissions.KNOW, "to know whose mailbox it is", "people themselves"),
    (permissions.DRAFTS, "for verified sending and large attachments", "an administrator"),
    (permissions.SEND_SHARED, "for shared mailboxes", "people themselves, as for Mail.Send"),
    (permissions.DRAFTS_SHARED, "for both of these together", "an administrator"),
)


@guarded
def show_home(req: func.HttpRequest, site: Site, accounts: Accounts) -> func.HttpResponse:
    """`GET /`: redirect to the checklist if there is no account yet, else to the mails."""
    return see_other("/mails" if accounts.all(fresh=True) else "/setup")


@guarded
def show_setup(req: func.HttpRequest, site: Site, checklist: Checklist) -> func.HttpResponse:
    """`GET /setup`"""
    return _page(site, checklist, said=_SAID.get(req.params.get("said", "")))


@guarded
def change_setup(req: func.HttpRequest, site: Site, checklist: Checklist) -> func.HttpResponse:
    """`POST /setup`: handle one of the forms. The answer never contains a secret that was typed."""
    form = read_form(req)
    try:
        match form.get("action"):
            case "vault":
                checklist.try_vault()
                return see_other("/setup?said=vault")
            case "secret":
                checklist.keep_secret(form.get("secret", ""), form.get("expires", ""))
                return see_other("/setup?said=secret")
            case "mail":
                checklist.send_test(form.get("to", ""), form.get("account"))
                return see_other("/setup#mail")
            case _:
                raise RequestRejected(problems.INVALID_REQUEST, "There is no such action.")
    except PostroomError as error:
        return _page(site, checklist, refused=error, to=form.get("to", ""))


def _page(
    site: Site,
    checklist: Checklist,
    *,
    said: str | None = None,
    refused: PostroomError | None = None,
    to: str = "",
) -> func.HttpResponse:
    found, steps, now = checklist.steps()
    mail = found.mail
    return page(
        site,
        "setup.html",
        status=getattr(getattr(refused, "kind", None), "status", 503) if refused else 200,
        steps=[(step, _STATES[step.state], _LOOKS[step.state]) for step in steps],
        open_steps=sum(step.state is StepState.OPEN for step in steps),
        uses_secret=checklist.proves_by == "secret",
        redirect_check=redirect_check_url(checklist.registration),
        permissions=_PERMISSIONS,
        ready=sorted(
            (row for row in found.accounts if row.state is AccountState.READY),
            key=lambda row: (not row.is_default, row.alias),
        ),
        mail=mail,
        stages=[
            (one, one.at and wording.moment(one.at), one.at and wording.iso(one.at))
            for one in (stages(mail, found.evidence) if mail else ())
        ],
        followed=is_followed(found, now),
        mail_words=wording.STATUSES[mail.status] if mail else None,
        said=said,
        refused=refused,
        remedy=getattr(refused, "help", None),
        to=to,
    )
