"""Login and callback: the browser's side of signing a mailbox in."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.errors import ConsentRequired, CredentialRefused, NotSent
from shared.mail.account import AccountState
from shared.services.accounts.ports import Profile
from tests.unit.sign_in_fakes import (
    CLIENT,
    CLIENT_INFO,
    HOST,
    OBJECT,
    TENANT,
    account_of,
    claims_of,
    events_in,
    grant_of,
)
from tests.unit.web.browser import CROSS_SITE, SAME_ORIGIN, App, Browser, text_of


@pytest.fixture
def app() -> App:
    return App()


@pytest.fixture
def browser(app: App) -> Browser:
    """A browser with an open session."""
    browser = Browser()
    browser.open_session(app)
    return browser


def flow_cookies(browser: Browser) -> list[str]:
    return [name for name in browser.cookies if "-flow-" in name]


class TestLogin:
    def test_the_browser_is_sent_to_microsoft_with_the_flows_cookie(
        self, app: App, browser: Browser
    ) -> None:
        response = browser.log_in(app)
        cookie = response.headers["Set-Cookie"]

        assert response.status_code == 303
        assert response.headers["Location"].startswith("https://login.microsoftonline.com/")
        assert response.headers["Cache-Control"] == "no-store"
        assert cookie.startswith("__Secure-postroom-flow-")
        assert cookie.endswith(
            "; Max-Age=600; Path=/api/auth/callback; Secure; HttpOnly; SameSite=None"
        )

    def test_the_cookie_shows_neither_state_nor_verifier(self, app: App, browser: Browser) -> None:
        cookie = browser.log_in(app).headers["Set-Cookie"]

        assert "state-1" not in cookie
        assert "verifier" not in cookie

    def test_each_tab_has_its_own_cookie(self, app: App, browser: Browser) -> None:
        browser.log_in(app)
        browser.log_in(app, alias="sales")

        assert len(flow_cookies(browser)) == 2

    def test_a_longest_wish_still_fits_into_a_cookie(self, app: App, browser: Browser) -> None:
        address = f"{'a' * 64}@{'b' * 185}.com"

        assert browser.log_in(app, alias="a" * 40, expected_address=address).status_code == 303

    def test_another_site_cannot_begin_a_sign_in(self, app: App, browser: Browser) -> None:
        req = browser.request("POST", "/auth/login", form={"alias": "x"}, headers=CROSS_SITE)

        assert app.login(req).status_code == 403
        assert not app.flows.rows

    def test_without_a_session_nothing_begins(self, app: App) -> None:
        req = Browser().request("POST", "/auth/login", form={"alias": "x"}, headers=SAME_ORIGIN)
        response = app.login(req)

        assert (response.status_code, response.headers["Location"]) == (303, "/signin")
        assert not app.flows.rows

    def test_forged_host_headers_change_nothing(self, app: App, browser: Browser) -> None:
        forged = {
            **SAME_ORIGIN,
            "Host": "evil.example",
            "X-Forwarded-Host": "evil.example",
            "X-Forwarded-Proto": "http",
        }
        req = browser.request("POST", "/auth/login", form={"alias": "billing"}, headers=forged)
        response = app.login(req)

        assert "evil" not in response.headers["Location"] + response.headers["Set-Cookie"]

    def test_a_forged_easy_auth_header_is_no_session(self, app: App) -> None:
        headers = {**SAME_ORIGIN, "X-MS-CLIENT-PRINCIPAL": "e30=", "X-MS-CLIENT-PRINCIPAL-ID": "1"}
        req = Browser().request("POST", "/auth/login", form={"alias": "x"}, headers=headers)

        assert app.login(req).headers["Location"] == "/signin"

    def test_a_bad_alias_is_explained(self, app: App, browser: Browser) -> None:
        response = browser.log_in(app, alias="<b>")

        assert response.status_code == 400
        assert "a-z, 0-9" in text_of(response)

    def test_a_missing_client_secret_is_explained(
        self, app: App, browser: Browser, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise CredentialRefused("no_client_secret", "The client secret is missing.")

        monkeypatch.setattr(app.identity, "begin", refuse)
        response = browser.log_in(app)

        assert response.status_code == 503
        assert response.headers["Retry-After"]
        page = text_of(response)
        assert "Key Vault holds no client secret for the app." in page
        assert "Certificates &amp; secrets" in page


class TestCallback:
    @pytest.mark.parametrize("method", ["POST", "GET"])
    def test_success_leads_to_a_clean_page_and_clears_the_flow(
        self, app: App, browser: Browser, method: str
    ) -> None:
        browser.log_in(app)
        response = browser.come_back(app, method)

        assert (response.status_code, response.headers["Location"]) == (
            303,
            "/accounts?linked=billing",
        )
        assert response.headers["Referrer-Policy"] == "no-referrer"
        assert response.headers["Cache-Control"] == "no-store"
        assert not flow_cookies(browser)
        assert app.accounts.rows["billing"].state is AccountState.READY

    def test_the_session_cookie_is_not_needed(self, app: App, browser: Browser) -> None:
        """It is SameSite=Lax, and the answer is a POST from Microsoft's site."""
        browser.log_in(app)
        del browser.cookies["__Secure-postroom-session"]

        assert browser.come_back(app).status_code == 303

    def test_login_csrf_a_browser_that_did_not_begin_is_refused(
        self, app: App, browser: Browser
    ) -> None:
        browser.log_in(app)
        response = Browser().come_back(app)

        assert response.status_code == 400
        assert not app.accounts.rows
        assert not app.identity.redemptions

    def test_login_csrf_another_flows_cookie_does_not_do(self, app: App, browser: Browser) -> None:
        browser.log_in(app)
        attacker = Browser()
        attacker.open_session(app)
        attacker.log_in(app)
        browser.cookies.update(attacker.cookies | browser.cookies)
        [name] = set(flow_cookies(attacker))
        browser.cookies[name] = next(
            browser.cookies[other] for other in flow_cookies(browser) if other != name
        )

        assert browser.come_back(app).status_code == 400
        assert not app.accounts.rows

    def test_flow_replay_the_second_answer_is_refused(self, app: App, browser: Browser) -> None:
        browser.log_in(app)
        kept = dict(browser.cookies)
        browser.come_back(app)
        browser.cookies = kept
        response = browser.come_back(app)

        assert response.status_code == 400
        assert len(app.identity.redemptions) == 1

    def test_a_stale_flow_is_refused(self, app: App, browser: Browser) -> None:
        browser.log_in(app)
        app.clock.forward(minutes=11)

        assert browser.come_back(app).status_code == 400
        assert not app.identity.redemptions

    def test_another_instance_can_finish(self, app: App, browser: Browser) -> None:
        browser.log_in(app)
        other = App(clock=app.clock, identity=app.identity, accounts=app.accounts, flows=app.flows)
        other.vault.secrets.update(app.vault.secrets)

        assert browser.come_back(other).status_code == 303

    def test_a_wrong_account_is_named_and_another_can_be_chosen(
        self, app: App, browser: Browser
    ) -> None:
        app.mail_service.profile = Profile(OBJECT, "ceo@contoso.com", "")
        browser.log_in(app, expected_address="billing@contoso.com")
        response = browser.come_back(app)
        page = text_of(response)

        assert response.status_code == 400
        assert "Nothing was connected" in page
        assert "ceo@contoso.com" in page
        assert 'name="choose" value="yes"' in page
        assert 'name="expected_address" value="billing@contoso.com"' in page
        assert not app.accounts.rows
        assert not flow_cookies(browser)

    def test_entras_code_is_explained_and_its_text_is_not_shown(
        self, app: App, browser: Browser
    ) -> None:
        browser.log_in(app)
        response = browser.come_back(
            app,
            code="",
            error="access_denied",
            error_description="AADSTS65004: <script>alert(1)</script>",
        )
        page = text_of(response)

        assert "AADSTS65004" in page
        assert "You cancelled at Microsoft" in page
        assert "alert(1)" not in page

    def test_a_refusal_that_came_in_the_url_is_told_on_a_clean_page(
        self, app: App, browser: Browser
    ) -> None:
        browser.log_in(app)
        response = browser.come_back(
            app, "GET", code="", error="access_denied", error_description="AADSTS65004: x"
        )
        told = browser.take(app.accounts_page(browser.request("GET", "/accounts")))
        later = browser.take(app.accounts_page(browser.request("GET", "/accounts")))

        assert (response.status_code, response.headers["Location"]) == (303, "/accounts")
        assert "AADSTS65004" in text_of(told)
        assert "AADSTS65004" not in text_of(later)

    @pytest.mark.parametrize(
        ("error", "status"),
        [
            pytest.param(NotSent("entra", "No answer.", retry_after=17), 503, id="transient"),
            pytest.param(CredentialRefused("AADSTS7000222", "x"), 503, id="expired secret"),
        ],
    )
    def test_trouble_on_our_side_is_a_503_page(
        self, app: App, browser: Browser, error: Exception, status: int
    ) -> None:
        app.identity.redeemed = [error]
        browser.log_in(app)
        response = browser.come_back(app)

        assert response.status_code == status
        assert response.headers["Retry-After"]
        assert "Nothing was connected" in text_of(response)

    def test_markup_in_names_is_shown_as_text(self, app: App, browser: Browser) -> None:
        app.mail_service.profile = Profile(OBJECT, "<img src=x>@contoso.com", "")
        browser.log_in(app, expected_address="billing@contoso.com")

        assert "<img" not in text_of(browser.come_back(app))

    def test_an_open_redirect_is_not_on_offer(self, app: App, browser: Browser) -> None:
        browser.log_in(app, next="//evil.example")
        response = browser.come_back(app, next="//evil.example", redirect="https://evil.example")

        assert response.headers["Location"] == "/accounts?linked=billing"

    def test_the_answer_leaves_no_trace_in_the_log(
        self, app: App, browser: Browser, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("DEBUG")
        browser.log_in(app)
        browser.come_back(app, code="", error="access_denied", error_description="AADSTS65004: me")

        assert events_in(caplog.messages) == [{"event": "sign_in_refused", "code": "AADSTS65004"}]


class TestChoices:
    def test_what_is_ticked_is_asked_for(self, app: App, browser: Browser) -> None:
        browser.log_in(app, verified="yes", shared="yes")

        assert app.identity.begun[0]["scopes"] == (
            "Mail.Send",
            "User.Read",
            "Mail.ReadWrite",
            "Mail.Send.Shared",
            "Mail.ReadWrite.Shared",
            "email",
        )

    def test_less_than_was_ticked_is_told_with_what_to_do(self, app: App, browser: Browser) -> None:
        browser.log_in(app, verified="yes")
        there = browser.come_back(app).headers["Location"]
        page = text_of(browser.visit(app, there))

        assert there == "/accounts?linked=billing&asked=verified"
        assert "Microsoft granted less than was ticked" in page
        assert "verified sending and large attachments" in page
        assert "/v2.0/adminconsent?" in page

    def test_more_than_was_ticked_is_told_with_how_to_end_it(
        self, app: App, browser: Browser
    ) -> None:
        granted = grant_of(claims_of(), scopes=("Mail.Send", "User.Read", "Mail.ReadWrite"))
        app.identity.redeemed = app.identity.refreshed = [granted]
        browser.log_in(app)
        page = text_of(browser.visit(app, browser.come_back(app).headers["Location"]))

        assert 'id="unasked"' in page
        assert "myapplications.microsoft.com" in page
        assert app.accounts.rows["billing"].can_write_drafts

    def test_an_exact_grant_is_told_without_further_words(self, app: App, browser: Browser) -> None:
        browser.log_in(app)
        page = text_of(browser.visit(app, browser.come_back(app).headers["Location"]))

        assert 'id="linked"' in page
        assert 'id="withheld"' not in page
        assert 'id="unasked"' not in page

    def test_a_row_repeats_the_accounts_choices_and_offers_others(
        self, app: App, browser: Browser
    ) -> None:
        app.accounts.rows["billing"] = account_of(
            scopes=frozenset({"Mail.Send", "User.Read", "Mail.ReadWrite"})
        )
        page = text_of(browser.visit(app, "/accounts"))

        assert '<input type="hidden" name="verified" value="yes">' in page
        assert '<input type="hidden" name="shared" value="yes">' not in page
        assert (
            'id="again-billing-verified" name="verified" type="checkbox" value="yes" checked'
            in (page)
        )
        assert 'id="again-billing-shared" name="shared" type="checkbox" value="yes" aria' in page

    def test_choosing_another_account_repeats_every_choice(self) -> None:
        app, browser = App(tenant="common"), Browser()
        browser.open_session(app)
        app.mail_service.profile = Profile(OBJECT, "ceo@contoso.com", "")
        chosen = {
            "expected_address": "billing@contoso.com",
            "expected_object_id": OBJECT,
            "kind": "work",
            "verified": "yes",
            "shared": "yes",
            "replace": "yes",
        }
        browser.log_in(app, **chosen)
        page = text_of(browser.come_back(app))

        for name, value in chosen.items():
            assert f'<input type="hidden" name="{name}" value="{value}">' in page

    @pytest.mark.parametrize(("tenant", "asked"), [("common", True), (TENANT, False)])
    def test_the_kind_is_asked_for_where_the_setting_leaves_it_open(
        self, tenant: str, asked: bool
    ) -> None:
        app, browser = App(tenant=tenant), Browser()
        browser.open_session(app)

        assert ("Kind of account" in text_of(browser.visit(app, "/accounts"))) is asked


class TestAdminConsent:
    def asked(self, app: App, browser: Browser, **form: str) -> str:
        req = browser.request("POST", "/auth/admin-consent", form=form, headers=SAME_ORIGIN)
        return text_of(app.admin_consent(req))

    def test_the_form_gives_a_link_for_what_is_ticked(self, app: App, browser: Browser) -> None:
        page = self.asked(app, browser, verified="yes", alias="")

        assert f"{HOST}/{TENANT}/v2.0/adminconsent?client_id={CLIENT}" in page
        assert "Mail.ReadWrite" in page
        assert "Mail.Send.Shared" not in page

    def test_a_personal_account_needs_no_administrator(self) -> None:
        app, browser = App(tenant="common"), Browser()
        browser.open_session(app)

        assert "have no administrator" in self.asked(app, browser, kind="personal")

    def test_the_link_takes_a_session_and_a_page_of_ours(self, app: App, browser: Browser) -> None:
        foreign = browser.request("POST", "/auth/admin-consent", headers=CROSS_SITE)
        nobody = Browser().request("POST", "/auth/admin-consent", headers=SAME_ORIGIN)

        assert app.admin_consent(foreign).status_code == 403
        assert app.admin_consent(nobody).headers["Location"] == "/signin"

    @pytest.mark.parametrize(
        ("answer", "offered"),
        [
            pytest.param({"error_description": "AADSTS90094: x"}, True, id="approval wanted"),
            pytest.param({"error_description": "AADSTS90095: x"}, True, id="approval requested"),
            pytest.param({"error_description": ""}, True, id="bare access_denied"),
            pytest.param({"error_description": "AADSTS65004: x"}, False, id="declined"),
            pytest.param(
                {"error_description": "AADSTS65004: x", "admin_consent": "True"},
                True,
                id="declined where an administrator is asked",
            ),
        ],
    )
    def test_a_refusal_that_consent_mends_comes_with_the_link(
        self, app: App, browser: Browser, answer: dict[str, str], offered: bool
    ) -> None:
        browser.log_in(app, verified="yes")
        page = text_of(browser.come_back(app, code="", error="access_denied", **answer))

        assert ("/v2.0/adminconsent?" in page) is offered
        assert ("Mail.ReadWrite" in page) is offered

    def test_a_refused_code_that_consent_mends_comes_with_the_link(
        self, app: App, browser: Browser
    ) -> None:
        app.identity.redeemed = [ConsentRequired("AADSTS65001", "x")]
        browser.log_in(app)

        assert "/v2.0/adminconsent?" in text_of(browser.come_back(app))

    def test_an_account_that_lost_its_consent_shows_the_link(
        self, app: App, browser: Browser
    ) -> None:
        app.accounts.rows["billing"] = account_of(
            state=AccountState.NEEDS_SIGN_IN, reason="AADSTS65001"
        )

        assert f"{HOST}/{TENANT}/v2.0/adminconsent?" in text_of(browser.visit(app, "/accounts"))

    def test_the_answer_is_understood_in_any_browser_and_changes_nothing(self, app: App) -> None:
        response = Browser().callback(
            app,
            admin_consent="True",
            tenant="99999999-9999-4999-8999-999999999999",
            scope="https://graph.microsoft.com/Mail.Send",
            state="admin-consent",
        )
        page = text_of(response)

        assert response.status_code == 200
        assert "Consent was given" in page
        assert "Sign the mailbox in" in page
        assert "99999999" not in page
        assert not response.headers.getlist("Set-Cookie")
        assert not app.accounts.rows
        assert not app.vault.grants()
        assert not app.identity.begun

    @pytest.mark.parametrize("error", ["access_denied", "permission_denied"])
    def test_an_administrators_refusal_is_explained_in_any_browser(
        self, app: App, error: str
    ) -> None:
        response = Browser().callback(
            app,
            error=error,
            error_description="AADSTS90094: <script>alert(1)</script>",
            state="admin-consent",
        )
        page = text_of(response)

        assert response.status_code == 400
        assert "Consent was not given" in page
        assert "AADSTS90094" in page
        assert "alert(1)" not in page
        assert not app.accounts.rows

    def test_an_answer_that_says_neither_is_told_so(self, app: App) -> None:
        response = Browser().callback(app, state="admin-consent", tenant="x")

        assert response.status_code == 400
        assert "neither a consent nor a refusal" in text_of(response)

    def test_a_code_is_never_taken_for_an_administrators_consent(self, app: App) -> None:
        response = Browser().callback(app, state="admin-consent", admin_consent="True", code="x")

        assert response.status_code == 400
        assert "no sign-in under way" in text_of(response)
        assert not app.identity.redemptions


class TestCraftedCallbacks:
    @pytest.mark.parametrize(
        "body",
        [
            pytest.param(b"", id="empty"),
            pytest.param(b"state=state-1&state=state-1&code=x", id="duplicate state"),
            pytest.param(b"code=" + b"x" * 20_000 + b"&state=state-1", id="long code"),
            pytest.param(b"x=" + b"y" * 100_000, id="100 KB"),
            pytest.param(b"&".join(b"a%d=1" % n for n in range(500)), id="many fields"),
            pytest.param(b"\xff\xfe\x00", id="binary"),
            pytest.param(b"state=%ff%fe&code=x", id="not utf-8"),
            pytest.param(b"state=%0d%0aSet-Cookie:x&code=x", id="line ends"),
            pytest.param(b"state=state-1&code=x&client_info=%21%21", id="malformed client_info"),
            pytest.param(b"state[]=state-1&code=x", id="array"),
            pytest.param(b'{"state":"state-1"}', id="json"),
        ],
    )
    def test_the_answer_is_a_400_page(self, app: App, browser: Browser, body: bytes) -> None:
        browser.log_in(app)
        response = app.callback(browser.request("POST", "/api/auth/callback", body=body))

        assert response.status_code == 400
        assert response.mimetype == "text/html"
        assert "default-src 'none'" in response.headers["Content-Security-Policy"]
        assert not app.accounts.rows

    def test_a_repeated_name_in_the_query_is_seen_though_the_host_joins_it(
        self, app: App, browser: Browser
    ) -> None:
        browser.log_in(app)
        req = browser.request("GET", "/api/auth/callback?state=state-1&state=state-1&code=x")

        assert app.callback(req).status_code == 400

    @given(
        body=st.binary(max_size=300),
        cookie=st.text(max_size=60),
        query=st.text(st.characters(codec="ascii", exclude_characters="#"), max_size=100),
        method=st.sampled_from(["GET", "POST"]),
    )
    @settings(
        max_examples=150,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    def test_whatever_is_sent_the_answer_is_a_400_page(
        self, app: App, body: bytes, cookie: str, query: str, method: str
    ) -> None:
        """Crafted callbacks never end in an exception, which the host would turn into a 500."""
        req = Browser().request(
            method, f"/api/auth/callback?{query}", body=body, headers={"Cookie": cookie}
        )

        assert app.callback(req).status_code == 400

    @given(
        changes=st.dictionaries(
            st.sampled_from(["code", "client_info", "error", "error_description", "iss", "x"]),
            st.text(max_size=40),
        )
    )
    @settings(
        max_examples=100,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    def test_a_real_flow_with_crafted_values_is_finished_or_refused(
        self, changes: dict[str, str]
    ) -> None:
        app, browser = App(), Browser()
        browser.open_session(app)
        browser.log_in(app)

        assert browser.come_back(app, **changes).status_code in (303, 400)


def test_signing_in_again_needs_no_address(app: App, browser: Browser) -> None:
    app.accounts.rows["billing"] = account_of(state=AccountState.NEEDS_SIGN_IN, reason="x")
    browser.log_in(app)
    browser.come_back(app, client_info=CLIENT_INFO)

    assert app.accounts.rows["billing"].state is AccountState.READY
