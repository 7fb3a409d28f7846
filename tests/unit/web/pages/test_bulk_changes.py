"""One button for many mails: steps, refusals, stale cases, and forms with nonsense."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import azure.functions as func
import pytest

from shared.errors import NotSent, RequestRejected
from shared.mail import ids, problems
from shared.mail.status import Status
from shared.services.mails.changes import Changes
from shared.services.mails.ports import AttentionItem
from shared.web.pages import bulk_changes
from tests.fakes import NOW, Faults, MemoryAttentionIndex
from tests.unit.web.browser import CROSS_SITE, SAME_ORIGIN, App, Browser, text_of


class Desk:
    """The page over cases in memory. `refuse` says what happens to a mail instead of success."""

    def __init__(self) -> None:
        self.app, self.browser = App(), Browser()
        self.browser.open_session(self.app)
        self.attention = MemoryAttentionIndex(Faults())
        self.refuse: Callable[[str], Exception | None] = lambda mail_id: None
        self.acted: list[str] = []

    def open(self, count: int, status: Status = Status.FAILED) -> list[str]:
        made = [
            ids.new_id(NOW + timedelta(seconds=at), lambda size: bytes(size)) for at in range(count)
        ]
        for mail_id in made:
            self.attention.open(AttentionItem(mail_id, status, "gone", "billing"))
        return made[::-1]

    def press(self, sent: dict[str, str] | None = None, /, **form: Any) -> func.HttpResponse:
        fields = {"action": "retry", "status": "failed", "reason": "gone", "account": "billing"}
        made = self.browser.request(
            "POST",
            "/changes",
            form={**fields, **{name: str(value) for name, value in form.items()}},
            headers=sent or {**SAME_ORIGIN, "Accept": "application/json"},
        )
        changes = cast(Changes, SimpleNamespace(retry=self._act, release=self._act))
        return bulk_changes.change_many(
            made, self.app.site, self.app.sessions, self.attention, changes
        )

    def step(self, **form: object) -> Any:
        answer = self.press(**form)
        assert answer.status_code == 200, text_of(answer)
        assert answer.headers["Cache-Control"] == "no-store"
        return json.loads(answer.get_body())

    def _act(self, mail_id: str) -> None:
        self.acted.append(mail_id)
        error = self.refuse(mail_id)
        if error is not None:
            raise error
        self.attention.close(mail_id, Status.FAILED)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_it_goes_on_step_by_step_newest_first_until_all_are_done(desk: Desk) -> None:
    mails = desk.open(60)

    first = desk.step(total=60)
    assert (first["done"], first["total"], first["over"]) == (25, 60, False)
    second = desk.step(**{name: first[name] for name in first if name != "over"})
    third = desk.step(**{name: second[name] for name in second if name != "over"})

    assert (third["done"], third["refused"], third["over"]) == (60, 0, True)
    assert desk.acted == mails


def test_what_is_refused_stays_a_case_and_is_not_tried_twice_in_a_run(desk: Desk) -> None:
    mails = desk.open(30)
    desk.refuse = lambda mail_id: (
        RequestRejected(problems.ACCOUNT_NEEDS_SIGN_IN, "Sign in first.")
        if mail_id == mails[0]
        else None
    )

    progress = desk.step(total=30)
    progress = desk.step(**{name: progress[name] for name in progress if name != "over"})

    assert (progress["done"], progress["refused"], progress["over"]) == (29, 1, True)
    assert progress["why"] == "Sign in first."
    assert desk.acted.count(mails[0]) == 1
    assert [case.mail_id for case in desk.attention.newest(99)] == [mails[0]]


@pytest.mark.parametrize("kind", [problems.WRONG_STATUS, problems.UNKNOWN_MAIL])
def test_a_case_that_outlived_its_trouble_is_closed(desk: Desk, kind: problems.ProblemKind) -> None:
    desk.open(2)
    desk.refuse = lambda mail_id: RequestRejected(kind, "It was sent by now.")

    progress = desk.step(total=2)

    assert (progress["refused"], progress["over"]) == (2, True)
    assert list(desk.attention.newest(99)) == []


def test_a_storage_that_does_not_answer_is_counted_and_told(desk: Desk) -> None:
    desk.open(1)
    desk.refuse = lambda mail_id: NotSent("storage", "The table service did not answer.")

    assert desk.step(total=1)["why"] == "The table service did not answer."
    assert len(desk.attention.newest(9)) == 1


def test_a_fault_of_postrooms_own_in_one_mail_is_counted_and_the_others_go_on(desk: Desk) -> None:
    desk.open(3)
    desk.refuse = lambda mail_id: ValueError("ada@contoso.com")

    step = desk.step(total=3)

    assert (step["refused"], step["why"]) == (3, "Postroom itself failed on this mail.")


def test_other_causes_are_left_alone_and_fewer_than_were_seen_end_it(desk: Desk) -> None:
    desk.open(3)
    other = AttentionItem(
        ids.new_id(NOW - timedelta(days=1), bytes), Status.FAILED, "other", "billing"
    )
    desk.attention.open(other)

    progress = desk.step(total=500)

    assert (progress["done"], progress["total"], progress["over"]) == (3, 3, True)
    assert list(desk.attention.newest(9)) == [other]


def test_a_step_ends_after_its_time(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.open(10)
    now = iter(range(0, 100))
    monkeypatch.setattr("shared.web.pages.bulk_changes.time.monotonic", lambda: float(next(now)))

    assert desk.step(total=10)["done"] == 2


@pytest.mark.parametrize(
    "form",
    [
        {"action": ""},
        {"action": "cancel"},
        {"action": "__class__"},
        {"status": ""},
        {"status": "nonsense"},
        {"total": "many"},
        {"total": "-1"},
        {"total": "1001"},
        {"total": "9" * 400},
        {"done": "1e3"},
        {"refused": "0x1"},
        {"done": "\u0663\u0663\u0663\u0663\u0663"},
    ],
)
def test_a_form_with_nonsense_is_refused_and_changes_nothing(
    desk: Desk, form: dict[str, str]
) -> None:
    desk.open(1)

    answer = desk.press(**form)

    assert answer.status_code == 400
    assert "The form cannot be read" in text_of(answer)
    assert desk.acted == []


def test_without_script_it_is_a_page_with_a_button_and_words_are_escaped(desk: Desk) -> None:
    desk.open(30)

    page = text_of(desk.press(SAME_ORIGIN, total=30, why="<b>x</b>"))
    assert "Go on" in page
    assert "<b>x</b>" not in page
    strange = text_of(desk.press(SAME_ORIGIN, total=30, reason='"><script>', account="<i>"))
    assert "<script>" not in strange
    assert "<i>" not in strange


def test_only_our_own_pages_with_a_session_may_press_it(desk: Desk) -> None:
    desk.open(1)

    assert desk.press(CROSS_SITE).status_code == 403
    desk.browser.cookies.clear()
    away = desk.press(SAME_ORIGIN)
    assert (away.status_code, away.headers["Location"]) == (303, "/signin")
    assert desk.acted == []
