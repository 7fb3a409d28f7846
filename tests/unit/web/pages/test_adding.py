"""`POST /api/accounts`, and the form on /accounts behind it."""

from __future__ import annotations

import json
from html import escape
from typing import Any

import azure.functions as func
import pytest
from msgspec.structs import replace

from shared.errors import NotSent, RequestRejected
from shared.services.accounts.access_tokens import TokenSource
from shared.services.accounts.adding import UNTRIED_SHARED, Added, Adding
from shared.services.accounts.adding_rules import Request
from shared.web.pages.adding import add_account, add_from_page
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
    return browser.take(add_from_page(req, app.site, app.sessions, app.accounts, adding))


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
    with pytest.raises(RequestRejected) as refused:
        post(adding, {**INFO, **change})

    assert [problem.field for problem in refused.value.errors] == [field]


def test_the_form_adds_the_mailbox_and_the_page_shows_whose_it_is(
    app: App, adding: Adding, browser: Browser
) -> None:
    response = submit(app, adding, browser, SAME_ORIGIN)
    page = text_of(browser.visit(app, response.headers["Location"]))

    assert response.status_code == 303
    assert "Shared mailbox, reached through ada" in page
    assert 'name="alias" value="ada"' in page
    assert 'name="alias" value="info"' not in page


def test_what_was_added_is_told_with_what_nobody_knows_yet_and_nothing_of_consent(
    app: App, adding: Adding, browser: Browser
) -> None:
    response = submit(app, adding, browser, SAME_ORIGIN)
    page = text_of(browser.visit(app, response.headers["Location"]))

    assert "a shared mailbox that is reached through ada" in page
    assert "Whether it can send is not known yet" in page
    assert escape(UNTRIED_SHARED) in page
    assert "Mail can be sent from it now" not in page
    assert 'id="unasked"' not in page
    assert 'id="withheld"' not in page


def test_a_refused_form_stands_again_with_what_was_typed_and_the_problem_beside_its_field(
    app: App, adding: Adding, browser: Browser
) -> None:
    response = submit(app, adding, browser, SAME_ORIGIN, alias="No <Alias>", mailbox="info")
    page = text_of(response)

    assert response.status_code == 400
    assert (
        'value="No &lt;Alias&gt;" aria-invalid="true" aria-describedby="shared-alias-told"' in page
    )
    assert 'id="shared-alias-told">Use 1 to 40 of a-z' in page
    assert 'id="shared-mailbox-told">' in page
    assert '<option value="ada" selected>' in page
    assert '<nav aria-label="Pages">' in page
    assert "details open" in page


def test_a_refused_form_says_nothing_in_the_words_of_the_api(
    app: App, adding: Adding, browser: Browser
) -> None:
    app.tenant = "common"
    response = submit(
        app, adding, browser, SAME_ORIGIN, kind="app", through="", tenant="common", verified="yes"
    )
    page = text_of(response)

    assert response.status_code == 422
    assert 'id="app-tenant-told">This is needed' in page
    assert 'id="app-verified" name="verified" type="checkbox" value="yes" checked' in page
    assert "'errors'" not in page
    assert "repeat the request" not in page
    assert "/api/" not in page


def test_what_did_not_answer_keeps_what_was_typed_too(
    app: App, adding: Adding, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(request: Request) -> Added:
        raise NotSent("graph", "Microsoft did not answer")

    monkeypatch.setattr(adding, "add", unreachable)
    response = submit(app, adding, browser, SAME_ORIGIN)

    assert response.status_code == 503
    assert response.headers["Retry-After"]
    assert 'value="info@contoso.com"' in text_of(response)
    assert "wait a little" in text_of(response)


def test_without_an_account_to_reach_through_the_form_says_how_to_get_one(
    app: App, browser: Browser
) -> None:
    app.accounts.rows["ada"] = replace(app.accounts.rows["ada"], scopes=frozenset({"Mail.Send"}))
    page = text_of(browser.visit(app, "/accounts"))

    assert "No account can reach a shared mailbox yet" in page
    assert 'id="shared-through" name="through" required disabled' in page


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
