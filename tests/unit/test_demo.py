"""What the demonstration says of a sign-in that linked nothing."""

from __future__ import annotations

from local.demo import told
from local.simulator.directory import User
from local.simulator.entra import pages
from local.simulator.entra.errors import EntraError
from shared.mail import known_errors
from shared.web.auth.sign_in import refusal_page
from shared.web.pages import notices
from tests.unit.web.browser import App, text_of

ADA = User("ada@contoso.com", "Ada", "22222222-2222-4222-8222-222222222222", "contoso.com")


def test_the_reason_on_the_page_and_its_remedy_are_said() -> None:
    refused = known_errors.refused_sign_in(known_errors.find("AADSTS90094"))
    page = refusal_page(App().site, notices.of(refused))

    said = told(text_of(page), page.status_code)

    assert "wants an administrator to approve the app" in said
    assert "AADSTS90094" in said
    assert "<" not in said


def test_what_microsofts_own_page_says_is_said() -> None:
    said = told(pages.approval("c", ADA, "Postroom", EntraError(90094)), 200)

    assert "Need admin approval" in said
    assert "AADSTS90094" in said


def test_a_page_without_words_gives_its_status() -> None:
    assert "502" in told("", 502)
