"""`/setup`: what each step says of the world as it is, and what the forms do."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from threading import Event

import azure.functions as func
import pytest
from msgspec.structs import replace

from shared.errors import CredentialRefused, NotSent, RemoteRefused
from shared.mail import mail as mails
from shared.mail.account import Account, AccountState
from shared.mail.delivery_mode import DeliveryMode
from shared.mail.outcome import Evidence, SearchResult
from shared.mail.status import Status
from shared.services.setup.checklist import (
    CLIENT_SECRET,
    WRITE_CHECK,
    Checklist,
    redirect_check_url,
)
from shared.services.setup.setup_mail import SetupMail
from shared.services.setup.steps import Found, Step, StepState, Trial, is_followed, stages, steps
from shared.services.sign_in.ports import CredentialVersion, Vault
from shared.web.pages import setup
from tests.fakes import FakeCredential, FakeServices, MemoryAccounts, mail_of
from tests.unit.sign_in_fakes import NOW, TENANT, FakeVault, account_of
from tests.unit.web.browser import CROSS_SITE, ORIGIN, SAME_ORIGIN, App, Browser, text_of

SECRET = "Abc8Q~canary-not-a-real-secret-0123456789"
VERSION = CredentialVersion("secret", "0f3c9a1b", True, True, NOW + timedelta(days=180), True)
LATER = "2027-08-20"


@dataclass
class Mailbox:
    """What a look into the mailbox finds."""

    evidence: Evidence = Evidence.SENT

    def find_out(self, account: Account, mail: object) -> SearchResult:
        return SearchResult(self.evidence)


@dataclass
class World:
    """The page over fakes."""

    app: App
    browser: Browser
    services: FakeServices
    credential: FakeCredential
    mailbox: Mailbox

    def checklist(self, *, proves_by: str = "secret", patience_seconds: float = 6.0) -> Checklist:
        return Checklist(
            registration=self.app.site.registration,
            proves_by=proves_by,
            vault=self.app.vault,
            credential=self.credential,
            identity=self.app.identity,
            accounts=self.services.accounts,
            setup_mail=SetupMail(
                self.services.ledger, self.services.submission, self.mailbox, self.app.clock
            ),
            clock=self.app.clock,
            patience_seconds=patience_seconds,
        )

    def show(self, **params: str) -> str:
        req = self.browser.request("GET", "/setup", params=params)
        return text_of(setup.show_setup(req, self.app.site, self.app.sessions, self.checklist()))

    def post(
        self,
        form: Mapping[str, str],
        headers: Mapping[str, str] = SAME_ORIGIN,
        *,
        proves_by: str = "secret",
    ) -> func.HttpResponse:
        req = self.browser.request("POST", "/setup", form=form, headers=headers)
        checklist = self.checklist(proves_by=proves_by)
        return setup.change_setup(req, self.app.site, self.app.sessions, checklist)


def world_of(*accounts: Account) -> World:
    app, browser = App(), Browser()
    browser.open_session(app)
    services = FakeServices(*accounts)
    if not accounts:
        services.accounts = MemoryAccounts(services.faults)
    return World(app, browser, services, FakeCredential([]), Mailbox())


@pytest.fixture
def world() -> World:
    return world_of(account_of("billing", is_default=True))


def step_of(found: Found, name: str, *, proves_by: str = "secret") -> Step:
    registration = App().site.registration
    all_steps = steps(found, registration, proves_by=proves_by, now=NOW)
    return next(step for step in all_steps if step.name == name)


def states(page: str) -> dict[str, str]:
    return dict(re.findall(r'data-step="(\w+)" data-state="(\w+)"', page))


class TestSteps:
    def test_of_nothing_each_step_that_can_be_done_says_how(self) -> None:
        registration = App().site.registration
        for step in steps(Found(), registration, proves_by="secret", now=NOW):
            assert step.do or step.state is StepState.DONE, step.name

    def test_a_vault_that_refuses_is_told_in_its_words_with_the_role_that_it_takes(self) -> None:
        found = Found(vault_trouble="Key Vault refused.", vault_refused=True)
        step = step_of(found, "vault")
        assert (step.state, step.found) == (StepState.OPEN, "Key Vault refused.")
        assert "Key Vault Secrets Officer" in (step.do or "")
        assert "az role assignment create" in (step.command or "")

    def test_a_vault_that_is_not_reached_is_no_matter_of_roles(self) -> None:
        step = step_of(Found(vault_trouble="Key Vault cannot be reached."), "vault")
        assert step.state is StepState.OPEN
        assert "POSTROOM_VAULT_URL" in (step.do or "")
        assert "Officer" not in (step.do or "")

    def test_a_verified_mail_is_followed_until_its_copy_is_seen(self) -> None:
        begun = mails.Event(NOW + timedelta(seconds=1), Status.SENDING, None)
        mail = mail_of(
            "0190-id",
            status=Status.SENT,
            delivery=DeliveryMode.VERIFIED,
            accepted_at=NOW,
            sent_at=NOW + timedelta(seconds=2),
            events=(begun,),
        )
        sent_alone = [stage.reached for stage in stages(mail, Evidence.UNSEEN)]
        with_copy = [stage.reached for stage in stages(mail, Evidence.SENT)]

        assert sent_alone == [True, True, True, False]
        assert with_copy == [True, True, True, True]
        assert [s.at for s in stages(mail, None)] == [NOW, begun.at, mail.sent_at, None]
        for evidence, after, expected in (
            (Evidence.UNSEEN, 10, True),
            (Evidence.UNSEEN, 600, False),
            (Evidence.SENT, 10, False),
        ):
            now = NOW + timedelta(seconds=after)
            assert is_followed(Found(mail=mail, evidence=evidence), now) is expected

    def test_a_mail_that_went_directly_says_why_nobody_looks_for_its_copy(self) -> None:
        mail = mail_of("0190-id", status=Status.SENT, delivery=DeliveryMode.DIRECT, sent_at=NOW)
        last = stages(mail, None)[-1]

        assert not last.reached
        assert "sends directly" in str(last.words)
        assert not is_followed(Found(mail=mail), NOW)
        assert not is_followed(Found(), NOW)

    def test_nobody_knows_of_a_credential_while_the_vault_is_silent(self) -> None:
        step = step_of(Found(vault_trouble="It is silent."), "credential")
        assert step.state is StepState.UNSURE

    @pytest.mark.parametrize(
        ("trial", "days", "state", "words"),
        [
            (Trial.TAKEN, 180, StepState.DONE, "Entra has just taken it. It has 180 days left."),
            (Trial.TAKEN, 29, StepState.OPEN, "29 days left"),
            (Trial.TAKEN, 1, StepState.OPEN, "1 day left"),
            (Trial.TAKEN, -1, StepState.OPEN, "has passed"),
            (Trial.TAKEN, None, StepState.DONE, "Nobody wrote down when it expires"),
            (Trial.REFUSED, 180, StepState.OPEN, "Entra refuses it."),
            (Trial.NO_ANSWER, 180, StepState.UNSURE, "Entra gave no answer."),
            (Trial.NOT_ASKED, 180, StepState.DONE, "Entra took it at the last sign-in."),
        ],
    )
    def test_a_client_secret_is_as_good_as_entra_says_and_its_days_are_counted(
        self, trial: Trial, days: int | None, state: StepState, words: str
    ) -> None:
        expires = None if days is None else NOW + timedelta(days=days)
        versions = [replace(VERSION, expires_at=expires)]
        step = step_of(Found(trial=trial, versions=versions, trial_words="No."), "credential")
        assert step.state is state
        assert words in step.found

    def test_a_managed_identity_does_not_expire(self) -> None:
        version = CredentialVersion("managed-identity", "", True, True, None, True)
        step = step_of(
            Found(trial=Trial.TAKEN, versions=[version]), "credential", proves_by="managed-identity"
        )
        assert step.state is StepState.DONE
        assert "does not expire" in step.found

    def test_a_certificate_is_called_one_and_says_where_it_is_made_and_registered(self) -> None:
        missing = step_of(Found(), "credential", proves_by="certificate")
        assert (missing.title, missing.state) == ("Certificate", StepState.OPEN)
        assert "Certificates > Generate/Import make postroom-client-certificate" in str(missing.do)
        assert "Certificates & secrets > Certificates > Upload certificate" in str(missing.do)
        assert "az ad app credential reset" in str(missing.command)
        assert "--append" in str(missing.command)

    @pytest.mark.parametrize(
        ("days", "state", "words"),
        [
            (
                180,
                StepState.DONE,
                "Version 0f3c9a1b works: Entra has just taken it. It has 180 days",
            ),
            (-1, StepState.OPEN, "It has expired."),
            (None, StepState.DONE, "When it expires cannot be read."),
        ],
    )
    def test_the_days_of_a_certificate_are_its_own(
        self, days: int | None, state: StepState, words: str
    ) -> None:
        expires = None if days is None else NOW + timedelta(days=days)
        version = replace(VERSION, kind="certificate", expires_at=expires)
        found = Found(trial=Trial.TAKEN, versions=[version])
        step = step_of(found, "credential", proves_by="certificate")
        assert step.state is state
        assert words in step.found

    def test_a_redirect_uri_that_nobody_has_tried_is_not_called_right(self) -> None:
        assert step_of(Found(), "redirect").state is StepState.UNSURE
        signed_in = Found(accounts=[account_of()])
        assert step_of(signed_in, "redirect").state is StepState.DONE

    def test_a_mailbox_that_is_not_ready_leaves_its_step_open(self) -> None:
        account = account_of(state=AccountState.NEEDS_SIGN_IN)
        assert step_of(Found(accounts=[account]), "account").state is StepState.OPEN
        assert step_of(Found(accounts=[account_of()]), "account").state is StepState.DONE

    @pytest.mark.parametrize(
        ("delivery_mode", "evidence", "state", "words"),
        [
            (DeliveryMode.DIRECT, None, StepState.DONE, "may not look into Sent Items"),
            (
                DeliveryMode.VERIFIED,
                Evidence.SENT,
                StepState.DONE,
                "just seen in the mailbox's Sent Items",
            ),
            (DeliveryMode.VERIFIED, Evidence.NOTHING, StepState.UNSURE, "not seen in the mailbox"),
        ],
    )
    def test_a_sent_mail_is_called_seen_only_where_it_was(
        self,
        world: World,
        delivery_mode: DeliveryMode,
        evidence: Evidence | None,
        state: StepState,
        words: str,
    ) -> None:
        mail = world.checklist().send_test("me@contoso.com", None)
        mail = replace(mail, status=Status.SENT, delivery=delivery_mode)
        step = step_of(Found(mail=mail, evidence=evidence), "mail")
        assert step.state is state
        assert words in step.found

    def test_mails_that_were_sent_without_a_test_mail_leave_nothing_to_do(
        self, world: World
    ) -> None:
        assert step_of(Found(), "mail").state is StepState.OPEN
        step = step_of(Found(sent=True), "mail")
        assert step.state is StepState.DONE
        assert "were sent already" in step.found
        assert states(world.show())["mail"] == "open"
        world.services.ledger.insert(
            mail_of("0198f1f2-0000-7000-8000-000000000001", status=Status.SENT)
        )
        assert states(world.show())["mail"] == "done"


class TestThePage:
    def test_of_a_new_app_it_shows_what_is_missing_and_nothing_as_done_that_is_not(self) -> None:
        page = world_of().show()
        assert states(page) == {
            "settings": "done",
            "vault": "unsure",
            "credential": "open",
            "redirect": "unsure",
            "scopes": "unsure",
            "account": "open",
            "mail": "open",
        }
        assert f"{ORIGIN}/api/auth/callback" in page
        assert "Entra admin centre" in page
        assert len(page.encode()) < 50_000
        assert re.search(r"<button[^>]*data-copies=\"redirect-uri\" hidden>", page)

    def test_it_asks_entra_each_time_in_the_directory_of_the_settings(self, world: World) -> None:
        world.credential.versions = [VERSION]
        assert states(world.show())["credential"] == "done"
        world.app.identity.app_granted = [CredentialRefused("AADSTS7000215", "It is wrong.")]
        page = world.show()
        assert states(page)["credential"] == "open"
        assert "It is wrong." in page
        world.app.identity.app_granted = [NotSent("entra", "It was silent.")]
        assert states(world.show())["credential"] == "unsure"
        assert world.app.identity.app_grants == [TENANT] * 3

    def test_a_vault_that_does_not_answer_is_a_step_and_no_error(self, world: World) -> None:
        world.credential.trouble = NotSent("vault", "Key Vault cannot be reached.")
        page = world.show()
        assert states(page)["vault"] == "open"
        assert "Key Vault cannot be reached." in page

    @pytest.mark.parametrize(
        ("hanging", "step", "words"),
        [
            ("vault", "vault", "Key Vault did not answer within 0.2 seconds."),
            ("entra", "credential", "Entra did not answer within 0.2 seconds."),
        ],
    )
    def test_who_hangs_keeps_the_page_no_longer_than_its_patience(
        self, world: World, monkeypatch: pytest.MonkeyPatch, hanging: str, step: str, words: str
    ) -> None:
        world.credential.versions = [VERSION]
        released = Event()

        def hang(*_: object) -> object:
            released.wait(20)
            raise NotSent(hanging, "It took too long.")

        asked = world.credential if hanging == "vault" else world.app.identity
        monkeypatch.setattr(asked, "describe" if hanging == "vault" else "app_grant", hang)
        begun = time.monotonic()
        page = text_of(
            setup.show_setup(
                world.browser.request("GET", "/setup"),
                world.app.site,
                world.app.sessions,
                world.checklist(patience_seconds=0.2),
            )
        )
        took = time.monotonic() - begun
        released.set()
        assert words in page
        assert states(page)[step] == ("open" if hanging == "vault" else "unsure")
        assert took < 5

    def test_without_a_session_it_leads_to_the_key(self, world: World) -> None:
        world.browser.cookies.clear()
        req = world.browser.request("GET", "/setup")
        answer = setup.show_setup(req, world.app.site, world.app.sessions, world.checklist())
        assert answer.headers["Location"] == "/signin?to=%2Fsetup"

    def test_the_front_door_leads_to_setup_without_an_account_and_to_the_mails_with_one(
        self, world: World
    ) -> None:
        for app_world, wanted in ((world_of(), "/setup"), (world, "/mails")):
            req = app_world.browser.request("GET", "/")
            app = app_world.app
            answer = setup.show_home(req, app.site, app.sessions, app_world.services.accounts)
            assert answer.headers["Location"] == wanted
        answer = setup.show_home(
            Browser().request("GET", "/"), app.site, app.sessions, world.services.accounts
        )
        assert answer.headers["Location"] == "/signin"

    def test_a_visit_that_tries_the_redirect_uri_asks_for_nothing_and_comes_back(
        self, world: World
    ) -> None:
        url = redirect_check_url(world.app.site.registration)
        assert "prompt=none" in url
        answer = world.browser.callback(
            world.app, error="interaction_required", state="redirect-check"
        )
        assert answer.headers["Location"] == "/setup?said=redirect"
        assert "it accepts the redirect URI" in world.show(said="redirect")


class TestTheForms:
    def test_the_client_secret_goes_to_the_vault_with_its_day_and_nowhere_else(
        self, world: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        form = {"action": "secret", "secret": f" {SECRET} ", "expires": LATER}
        answer = world.post(form)

        stored = vault_of(world).get(CLIENT_SECRET)
        assert stored is not None
        assert stored.expires_at is not None
        assert (stored.value, stored.expires_at.date().isoformat()) == (SECRET, LATER)
        assert answer.headers["Location"] == "/setup?said=secret"
        seen = f"{text_of(answer)}{dict(answer.headers)}{world.show(said='secret')}{caplog.text}"
        assert SECRET not in seen

    @pytest.mark.parametrize(
        ("secret", "expires", "words"),
        [
            ("0f3c9a1b-1111-4111-8111-111111111111", LATER, "Secret ID"),
            (SECRET[:9], LATER, "whole column Value"),
            (f"{SECRET} and more", LATER, "whole column Value"),
            ("", LATER, "whole column Value"),
            (SECRET, "", "is missing or no date"),
            (SECRET, "soon", "is missing or no date"),
            (SECRET, "2026-08-19", "has passed"),
        ],
    )
    def test_what_cannot_be_a_secret_is_refused_with_words_that_do_not_quote_it(
        self,
        world: World,
        caplog: pytest.LogCaptureFixture,
        secret: str,
        expires: str,
        words: str,
    ) -> None:
        caplog.set_level(logging.DEBUG)
        answer = world.post({"action": "secret", "secret": secret, "expires": expires})

        assert answer.status_code == 400
        assert words in text_of(answer)
        assert not secret or secret not in text_of(answer) + caplog.text
        assert vault_of(world).get(CLIENT_SECRET) is None

    def test_a_vault_that_may_not_be_written_says_so_and_the_secret_is_not_told(
        self, world: World
    ) -> None:
        vault_of(world).trouble = RemoteRefused("vault", "Key Vault refused.")
        form = {"action": "secret", "secret": SECRET, "expires": LATER}
        answer = world.post(form)
        assert answer.status_code == 503
        assert "Key Vault refused." in text_of(answer)
        assert SECRET not in text_of(answer)

    @pytest.mark.parametrize(
        ("proves_by", "words"),
        [("managed-identity", "managed identity"), ("certificate", "uses a certificate")],
    )
    def test_an_app_that_proves_itself_otherwise_takes_no_secret(
        self, world: World, proves_by: str, words: str
    ) -> None:
        form = {"action": "secret", "secret": SECRET, "expires": LATER}
        answer = world.post(form, proves_by=proves_by)
        assert words in text_of(answer)
        assert 'name="secret"' not in text_of(answer)
        assert vault_of(world).get(CLIENT_SECRET) is None

    def test_trying_the_vault_leaves_a_proof_that_a_reload_finds(self) -> None:
        world = world_of()
        assert world.post({"action": "vault"}).headers["Location"] == "/setup?said=vault"
        assert vault_of(world).get(WRITE_CHECK) is not None
        assert states(world.show())["vault"] == "done"

    def test_the_test_mail_is_followed_here_with_a_way_to_its_page(self, world: World) -> None:
        answer = world.post({"action": "mail", "to": "me@contoso.com", "account": "billing"})
        assert (answer.status_code, answer.headers["Location"]) == (303, "/setup#mail")
        page = world.show()
        assert re.search(r'<div id="followed" data-live data-status="queued">', page)
        assert re.search(r'href="/mails/[0-9a-f-]{36}"', page)
        assert re.findall(r'data-reached="(\w+)"', page) == ["true", "false", "false", "false"]
        assert states(page)["mail"] == "unsure"

    def test_the_test_mail_goes_to_every_address_of_the_field(self, world: World) -> None:
        world.post({"action": "mail", "to": "me@contoso.com; Ada <ada@contoso.com>;"})
        page = world.show()
        assert re.search(r'<div id="followed" data-live data-status="queued">', page)
        (mail,) = world.services.ledger.mails
        assert mail.recipients == ("me@contoso.com", "Ada <ada@contoso.com>")

    def test_an_address_that_is_none_is_refused_and_stands_in_the_field_again(
        self, world: World
    ) -> None:
        answer = world.post({"action": "mail", "to": "<nobody>"})
        assert answer.status_code == 422
        assert 'value="&lt;nobody&gt;"' in text_of(answer)

    @pytest.mark.parametrize("action", ["vault", "secret", "mail"])
    def test_no_form_works_from_another_site_or_without_a_session(
        self, world: World, action: str
    ) -> None:
        form = {"action": action, "secret": SECRET, "expires": LATER, "to": "me@contoso.com"}
        assert world.post(form, CROSS_SITE).status_code == 403
        world.browser.cookies.clear()
        assert world.post(form).headers["Location"] == "/signin"
        assert vault_of(world).get(CLIENT_SECRET) is None
        assert vault_of(world).get(WRITE_CHECK) is None
        assert world.checklist().head().mail is None


def vault_of(world: World) -> FakeVault:
    vault: Vault = world.app.vault
    assert isinstance(vault, FakeVault)
    return vault
