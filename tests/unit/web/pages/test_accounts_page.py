"""The pages around signing in."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import azure.functions as func
import pytest

from shared.errors import NotSent
from shared.mail.account import AccountKind, AccountState
from shared.web.pages import accounts_page, guard, rendering
from tests.unit.sign_in_fakes import NOW, account_of
from tests.unit.web.browser import App, Browser, text_of

HEAVY = ("msal", "jinja2", "cryptography", "requests", "azure.identity", "azure.core")


TEMPLATES = sorted((Path(rendering.__file__).parents[1] / "templates").glob("*.html"))


@pytest.fixture
def app() -> App:
    return App()


@pytest.fixture
def browser(app: App) -> Browser:
    browser = Browser()
    browser.open_session(app)
    return browser


def shown(app: App, browser: Browser, **params: str) -> func.HttpResponse:
    return app.accounts_page(browser.request("GET", "/accounts", params=params))


class _Inline(HTMLParser):
    """Collects what the content security policy would block."""

    def __init__(self) -> None:
        super().__init__()
        self.blocked: list[str] = []
        self.ids: list[str] = []
        self.labels: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "style" or (tag == "script" and "src" not in given):
            self.blocked.append(tag)
        self.blocked += [name for name in given if name == "style" or name.startswith("on")]
        self.ids += [given.get("id") or ""] if "id" in given else []
        self.labels += [given.get("for") or ""] if tag == "label" else []


def read(html: str) -> _Inline:
    parser = _Inline()
    parser.feed(html)
    return parser


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.stem)
def test_a_name_for_screen_readers_has_the_words_that_are_seen(template: Path) -> None:
    """Who speaks to the computer says what they see. https://www.w3.org/TR/WCAG22/#label-in-name"""
    source = template.read_text(encoding="utf-8")

    for name, seen in re.findall(r'aria-label="([^"]*)"[^>]*>([^<{]+)</', source):
        assert seen.strip() in name


class TestAccounts:
    def test_the_button_to_sign_in_again_says_which_account(
        self, app: App, browser: Browser
    ) -> None:
        app.accounts.rows["billing"] = account_of()

        page = shown(app, browser).get_body().decode()

        assert 'aria-label="Sign in again: billing">Sign in again<' in page

    def test_a_sign_in_says_no_more_than_is_known_and_that_nothing_is_set(
        self, app: App, browser: Browser
    ) -> None:
        app.accounts.rows["billing"] = account_of()

        page = text_of(shown(app, browser, linked="billing"))

        assert "Microsoft accepted the sign-in" in page
        assert "is not checked yet" in page
        assert "Mail can be sent from it now" not in page
        assert "There are no settings for its mails" in page

    def test_that_no_account_is_the_default_is_said_where_there_are_accounts(
        self, app: App, browser: Browser
    ) -> None:
        assert 'id="no-default"' not in text_of(shown(app, browser))
        app.accounts.rows["billing"] = account_of(is_default=False)
        assert 'id="no-default"' in text_of(shown(app, browser))
        app.accounts.rows["billing"] = account_of(is_default=True)
        assert 'id="no-default"' not in text_of(shown(app, browser))

    def test_every_page_leads_to_the_set_up(self, app: App, browser: Browser) -> None:
        page = text_of(shown(app, browser))

        assert '<a href="/setup">Set up</a>' in page[page.index("<nav") : page.index("</nav>")]

    def test_without_a_session_it_leads_to_signin(self, app: App) -> None:
        response = shown(app, Browser())

        assert (response.status_code, response.headers["Location"]) == (303, "/signin")

    def test_it_shows_who_is_signed_in(self, app: App, browser: Browser) -> None:
        app.accounts.rows["billing"] = account_of(is_default=True, kind=AccountKind.PERSONAL)
        page = text_of(shown(app, browser))

        for words in ("billing@contoso.com", "Billing", "Personal", "Ready", "default", "20 Aug"):
            assert words in page

    def test_a_dead_grant_is_told_in_words_with_its_remedy(
        self, app: App, browser: Browser
    ) -> None:
        app.accounts.rows["billing"] = account_of(
            state=AccountState.NEEDS_SIGN_IN, reason="AADSTS50173"
        )
        page = text_of(shown(app, browser))

        assert "revoked" in page
        assert "AADSTS50173" in page
        assert "Sign the mailbox in again" in page

    def test_a_reason_that_is_not_entras_is_shown_by_its_code(
        self, app: App, browser: Browser
    ) -> None:
        app.accounts.rows["billing"] = account_of(
            state=AccountState.NEEDS_SIGN_IN, reason="ErrorAccessDenied"
        )

        assert "ErrorAccessDenied" in text_of(shown(app, browser))

    def test_a_hold_says_until_when(self, app: App, browser: Browser) -> None:
        app.accounts.rows["billing"] = account_of(
            state=AccountState.HELD, reason="throttled", held_until=NOW + timedelta(hours=1)
        )

        page = text_of(shown(app, browser))

        assert "On hold until 20 Aug 2026, 13:00 UTC" in page
        assert "Microsoft asked Postroom to slow down for this mailbox. (throttled)" in page

    def test_a_link_that_was_made_is_confirmed(self, app: App, browser: Browser) -> None:
        app.accounts.rows["billing"] = account_of()

        assert "is connected as" in text_of(shown(app, browser, linked="billing"))

    @pytest.mark.parametrize("alias", ["nobody", "<script>alert(1)</script>"])
    def test_a_link_that_was_not_made_is_not_confirmed(
        self, app: App, browser: Browser, alias: str
    ) -> None:
        page = text_of(shown(app, browser, linked=alias))

        assert "is connected as" not in page
        assert "alert(1)" not in page

    def test_markup_in_an_accounts_name_is_shown_as_text(self, app: App, browser: Browser) -> None:
        app.accounts.rows["billing"] = account_of(display_name="<script>alert(1)</script>")
        page = text_of(shown(app, browser))

        assert "<script>alert" not in page
        assert "&lt;script&gt;" in page

    def test_the_form_has_the_fields_that_scripts_and_people_look_for(
        self, app: App, browser: Browser
    ) -> None:
        page = read(text_of(shown(app, browser)))

        assert {"alias", "address", "sign-in"} <= set(page.ids)
        assert {"alias", "address"} <= set(page.labels)
        assert len(page.ids) == len(set(page.ids))

    def test_storage_trouble_is_a_page(
        self, app: App, browser: Browser, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*, fresh: bool = False) -> None:
            raise NotSent("storage", "Storage did not answer.")

        monkeypatch.setattr(app.accounts, "all", fail)
        response = shown(app, browser)

        assert response.status_code == 503
        assert response.headers["Retry-After"] == "30"
        assert "Storage did not answer." in text_of(response)


class TestSignIn:
    def test_it_asks_for_a_key_and_explains_itself_without_script(self, app: App) -> None:
        response = accounts_page.show_sign_in(
            Browser().request("GET", "/signin"), app.site, app.sessions
        )
        page = text_of(response)

        assert {"key", "enter"} <= set(read(page).ids)
        assert "<noscript>" in page

    def test_a_form_without_script_would_send_no_key(self, app: App) -> None:
        """A field without a name is never part of a submission, so not of a URL either."""
        page = text_of(
            accounts_page.show_sign_in(Browser().request("GET", "/signin"), app.site, app.sessions)
        )
        field = page[page.index('<input id="key"') :].partition(">")[0]

        assert "name=" not in field

    def test_with_a_session_it_leads_on(self, app: App, browser: Browser) -> None:
        response = accounts_page.show_sign_in(
            browser.request("GET", "/signin"), app.site, app.sessions
        )

        assert response.headers["Location"] == "/accounts"

    @pytest.mark.parametrize(
        "path",
        [
            "/mails",
            "/mails/0197f3a0-0000-7000-8000-000000000000",
            "/accounts/hr/disconnect",
            "/setup",
        ],
    )
    def test_the_page_that_was_asked_for_is_come_back_to(
        self, app: App, browser: Browser, path: str
    ) -> None:
        sent = guard.to_sign_in(Browser().request("GET", path, params={"typed": "ada@contoso.com"}))
        there = dict(parse_qsl(urlsplit(sent.headers["Location"]).query))

        assert there == {"to": path}
        form = Browser().request("GET", "/signin", params=there)
        shown = text_of(accounts_page.show_sign_in(form, app.site, app.sessions))
        assert f'data-onward="{path}"' in shown
        back = browser.request("GET", "/signin", params=there)
        response = accounts_page.show_sign_in(back, app.site, app.sessions)
        assert response.headers["Location"] == path

    @pytest.mark.parametrize(
        "to",
        [
            "https://evil.example",
            "//evil.example/mails",
            "/\\evil.example",
            "/mails/../api/send",
            "/mails/\n",
            "/mails?typed=x",
            "/mails#x",
            "/api/accounts",
            "/signout",
            "javascript:alert(1)",
            "/mails/%2f%2fevil.example",
        ],
    )
    def test_no_word_in_an_address_leads_elsewhere(
        self, app: App, browser: Browser, to: str
    ) -> None:
        req = browser.request("GET", "/signin", params={"to": to})
        assert (
            accounts_page.show_sign_in(req, app.site, app.sessions).headers["Location"]
            == "/accounts"
        )

        form = Browser().request("GET", "/signin", params={"to": to})
        page = text_of(accounts_page.show_sign_in(form, app.site, app.sessions))
        assert 'data-onward="/accounts"' in page

    def test_a_change_that_was_asked_for_is_not_come_back_to(self) -> None:
        sent = guard.to_sign_in(Browser().request("POST", "/accounts/hr/disconnect"))

        assert sent.headers["Location"] == "/signin"


class TestHeaders:
    @pytest.mark.parametrize("path", ["signin", "accounts"])
    def test_every_page_is_locked_down(self, app: App, browser: Browser, path: str) -> None:
        if path == "accounts":
            response = shown(app, browser)
        else:
            response = accounts_page.show_sign_in(
                Browser().request("GET", "/"), app.site, app.sessions
            )
        policy = response.headers["Content-Security-Policy"]

        for rule in ("default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"):
            assert rule in policy
        assert "unsafe" not in policy
        assert response.headers["Referrer-Policy"] == "no-referrer"
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert read(text_of(response)).blocked == []

    def test_where_a_key_is_found_is_said_for_azure_and_on_the_local_stack_for_it(
        self, app: App
    ) -> None:
        request = Browser().request("GET", "/signin")
        local = rendering.Site(app.site.registration, development=True)

        here = text_of(accounts_page.show_sign_in(request, local, app.sessions))
        there = text_of(accounts_page.show_sign_in(request, app.site, app.sessions))

        assert ".local/stack.json" in here
        assert "make run" not in there

    def test_plain_http_is_a_forms_target_in_development_only(self, app: App) -> None:
        request = Browser().request("GET", "/signin")
        local = rendering.Site(app.site.registration, development=True)

        def policy(site: rendering.Site) -> str:
            response = accounts_page.show_sign_in(request, site, app.sessions)
            return str(response.headers["Content-Security-Policy"])

        assert "http:" not in policy(app.site)
        assert "http://localhost:*" in policy(local)


class TestAssets:
    @pytest.mark.parametrize("name", ["postroom.css", "signin.js", "icon.svg"])
    def test_the_files_that_pages_use_are_served(self, name: str) -> None:
        response = asset(name)

        assert response.status_code == 200
        assert response.headers["X-Content-Type-Options"] == "nosniff"

    @pytest.mark.parametrize(
        "name", ["", "../pages.py", "..%2fpages.py", "/etc/passwd", "base.html", "postroom.css\0"]
    )
    def test_no_other_file_is(self, name: str) -> None:
        assert asset(name).status_code == 404


def asset(name: str) -> func.HttpResponse:
    return accounts_page.show_asset(
        func.HttpRequest("GET", "https://x/static", route_params={"name": name}, body=b"")
    )


def test_importing_the_pages_imports_nothing_heavy() -> None:
    code = (
        "import sys, shared.web.pages.accounts_page, shared.web.auth.sign_in, shared.adapters.entra.identity_platform,"
        f"shared.adapters.key_vault.secrets; print([m for m in {HEAVY!r} if m in sys.modules])"
    )
    done = subprocess.run(  # noqa: S603 - our own interpreter, our own words
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("path", sorted(Path("shared/web").rglob("*.py")), ids=str)
def test_the_pages_import_nothing_of_azure_but_functions(path: Path) -> None:
    imported = {
        name
        for node in ast.walk(ast.parse(path.read_text()))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }

    assert not {name for name in imported if name.startswith("azure.")} - {"azure.functions"}
    assert not {name for name in imported if name.startswith("shared.adapters")}
