"""The list of mutations fits the code: `make long` runs them."""

from __future__ import annotations

from tests.mutations.__main__ import MUTATIONS
from tests.mutations.mutation import Mutation, problem_with

LEAST = 60


def test_every_mutation_can_be_applied_to_the_code_as_it_is() -> None:
    problems = {mutation.name: problem_with(mutation) for mutation in MUTATIONS}

    assert {name: found for name, found in problems.items() if found is not None} == {}


def test_every_mutation_has_a_name_of_its_own() -> None:
    names = [mutation.name for mutation in MUTATIONS]

    assert len(set(names)) == len(names) >= LEAST


def test_a_mutation_whose_text_is_not_there_once_cannot_be_applied() -> None:
    gone, twice = (
        Mutation("m", "shared/telemetry.py", text, "", "", ("tests/unit/test_telemetry.py",))
        for text in ("no such text", "import")
    )

    assert "occurs 0 times" in (problem_with(gone) or "")
    assert "not once" in (problem_with(twice) or "")
