"""Every mail of the hostile corpus, as the pages show it."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from tests.e2e.conftest import SignedIn
from tests.e2e.control import Control
from tests.e2e.hostile import CASES
from tests.e2e.mails.test_hostile import look_at_each

pytestmark = pytest.mark.e2e


def test_no_mail_of_the_corpus_runs_fetches_or_breaks_anything(
    narrow: Page, control: Control, signed_in_account: SignedIn
) -> None:
    look_at_each(narrow, control, CASES)
