"""`POST /api/accounts`, and the form on /accounts behind it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import azure.functions as func
import pytest

from shared.errors import Refused
from shared.services.adding import Adding
from shared.services.tokens import TokenSource
from shared.web.adding import add_account, add_from_page
from tests.fakes import Clock, Faults, MemoryDrafts
from tests.unit.sign_in_fakes import NOW, TENANT, account_of
from tests.unit.web.browser import CROSS_SITE, SAME_ORIGIN, App, Browser, text_of

SCOPES = frozenset({"Mail.Send", "Mail.Send.Shared", "User.Read"})
INFO = {"alias": "info", "kind": "shared", "mailbox": "info@contoso.com", "through": "ada"}


@pytest.fixture
def app() -> App:
    app = App()
    app.accounts.rows["ada"] = account_of("ada", address="ada@contoso.com", scopes=SCOPES)
    return app


@pytest.fixture
def adding(app: App) -> Adding:
    return Adding(
        tenant=TENANT,
        allowed_mailboxes=(),
        accounts=app.accounts,
        tokens=TokenSource(app.identity, app.vault, app.accounts, app.clock),
        mail_service=app.mail_service,
        drafts=MemoryDrafts(Faults(), Clock(NOW)),
        clock=app.clock,
    )


@pytest.fixture
def browser(app: App) -> Browser:
    browser = Browser()
    browser.open_session(app)
    return browser


def post(adding: Adding, document: dict[str, Any]) -> func.HttpResponse:
    body = json.dumps(document).encode()
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    url = "https://post.contoso.com/api/accounts"
    return add_account(func.HttpRequest("POST", url, headers=headers, body=body), adding)


def submit(
    app: App, adding: Adding, browser: Browser, headers: dict[str, str], **form: str
) -> func.HttpResponse:
    req = browser.request("POST", "/accounts/add", form={**INFO, **form}, headers=headers)
    return browser.take(add_from_page(req, app.site, app.sessions, adding))


def test_the_api_says_that_it_was_added_and_then_that_it_was_there(adding: Adding) -> None:
    first, second = post(adding, INFO), post(adding, INFO)

    answer = json.loads(first.get_body())
    assert (first.status_code, second.status_code) == (201, 200)
    assert answer["account"]["through"] == "ada"
    assert answer["account"]["kind"] == "shared"
    assert len(answer["notes"]) == 1


@pytest.mark.parametrize(
    ("change", "field"),
    [({"kind": "work"}, "kind"), ({"password": "x"}, "password"), ({"through": "bob"}, "through")],
)
def test_the_api_names_the_field_that_is_wrong(
    adding: Adding, change: dict[str, str], field: str
) -> None:
    with pytest.raises(Refused) as refused:
        post(adding, {**INFO, **change})

    assert [problem.field for problem in refused.value.errors] == [field]


def test_the_form_adds_the_mailbox_and_the_page_shows_whose_it_is(
    app: App, adding: Adding, browser: Browser
) -> None:
    response = submit(app, adding, browser, SAME_ORIGIN)
    page = text_of(browser.visit(app, response.headers["Location"]))

    assert response.status_code == 303
    assert "Shared mailbox, reached by ada" in page
    assert 'name="alias" value="ada"' in page
    assert 'name="alias" value="info"' not in page


def test_the_form_tells_what_is_missing_and_adds_nothing(
    app: App, adding: Adding, browser: Browser
) -> None:
    ada = replace(app.accounts.rows["ada"], scopes=frozenset({"Mail.Send"}))
    app.accounts.rows["ada"] = ada

    response = submit(app, adding, browser, SAME_ORIGIN)

    assert response.status_code == 422
    assert "Mail.Send.Shared" in text_of(response)
    assert set(app.accounts.rows) == {"ada"}


def test_the_form_takes_a_session_and_a_page_of_ours(
    app: App, adding: Adding, browser: Browser
) -> None:
    assert submit(app, adding, browser, CROSS_SITE).status_code == 403
    browser.cookies.clear()
    assert submit(app, adding, browser, SAME_ORIGIN).headers["Location"] == "/signin"
    assert set(app.accounts.rows) == {"ada"}
