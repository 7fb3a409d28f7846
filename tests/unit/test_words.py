"""One word for one thing: names and words that were replaced do not come back (docs/glossary.md)."""

from __future__ import annotations

import io
import re
import tokenize
from pathlib import Path

ROOT = Path(__file__).parents[2]
CODE = [ROOT / "function_app.py", *sorted((ROOT / "shared").rglob("*.py"))]
TEXTS = [
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "shared" / "web" / "templates").glob("*.html")),
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "infra" / "README.md",
]

RETIRED_NAMES = frozenset(
    [
        "AttentiveLedger",
        "Bell",
        "BellMessage",
        "Case",
        "Cases",
        "Census",
        "Departed",
        "Enrolment",
        "Front",
        "Glance",
        "Glimpse",
        "Heard",
        "HeldMail",
        "Look",
        "Looking",
        "Patience",
        "Places",
        "Recount",
        "Refusal",
        "Refused",
        "Roll",
        "Room",
        "Sight",
        "SignInRefused",
        "Situation",
        "Situations",
        "Standing",
        "Tally",
        "Told",
        "Way",
        "Wish",
        "bell",
        "boiled_down",
        "census",
        "departed",
        "enrol",
        "front",
        "glance",
        "going_on",
        "hear",
        "heard",
        "heir",
        "looks",
        "place_of",
        "repeatable",
        "ring_again",
        "rings",
        "roll",
        "rung",
        "sight",
        "situation",
        "situations",
        "story",
        "tally",
        "told_why",
        "untold",
        "wish",
        "withdraw",
        "withdrawal",
    ]
)
NAMES_OF_FUNCTIONS = {"ring_again", "tally"}
"""Functions of the app: alerts and the host's admin address know them."""
NAMES_OF_FACTS = {"looks", "rung", "sight"}
"""Facts of log events."""

RETIRED_WORDS = re.compile(
    r"\b(bells?|rung|rings? for|hears? (?:a|the)|story|stories|withdr[ae]w[ns]?|withdrawals?|census|tally|"
    r"glimpse|glance|enrol(?:led|s)?|nobody's)\b",
    re.IGNORECASE,
)
ALLOWED = {
    # Names that stay, and consent that Microsoft's own texts call withdrawn.
    "docs/glossary.md": {"bell", "tally"},
    "docs/operations.md": {"tally"},
    "docs/errors.md": {"withdrawn"},
}


def test_no_retired_name_is_used_in_code() -> None:
    found = set()
    for path in CODE:
        with path.open("rb") as file:
            for token in tokenize.tokenize(file.readline):
                if token.type == tokenize.NAME and token.string in RETIRED_NAMES:
                    found.add(token.string)

    assert found - NAMES_OF_FACTS == NAMES_OF_FUNCTIONS


def test_no_retired_word_is_in_a_comment_or_docstring() -> None:
    found = {}
    for path in CODE:
        source = path.read_text(encoding="utf-8")
        words = {
            word[0].lower()
            for token in tokenize.generate_tokens(io.StringIO(source).readline)
            if token.type == tokenize.COMMENT or token.string.startswith('"""')
            for word in RETIRED_WORDS.finditer(token.string)
        }
        if words:
            found[str(path.relative_to(ROOT))] = words

    assert found == {}


def test_no_retired_word_is_in_a_document_or_on_a_page() -> None:
    found = {}
    for path in TEXTS:
        name = str(path.relative_to(ROOT))
        words = {word[0].lower() for word in RETIRED_WORDS.finditer(path.read_text("utf-8"))}
        if words - ALLOWED.get(name, set()):
            found[name] = words - ALLOWED.get(name, set())

    assert found == {}
