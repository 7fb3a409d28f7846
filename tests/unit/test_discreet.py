"""Values of which not all may be shown."""

from __future__ import annotations

from typing import ClassVar

from shared.discreet import Discreet


class Parcel(Discreet, frozen=True):
    unshown: ClassVar = frozenset({"content"})

    label: str
    content: str


def test_what_is_unshown_is_in_no_repr_and_the_rest_is() -> None:
    assert repr(Parcel("to Ada", "a ring")) == "Parcel(label='to Ada')"
    assert f"{[Parcel('to Ada', 'a ring')]}" == "[Parcel(label='to Ada')]"


def test_values_are_the_same_only_if_what_is_unshown_is_too() -> None:
    assert Parcel("to Ada", "a ring") == Parcel("to Ada", "a ring")
    assert Parcel("to Ada", "a ring") != Parcel("to Ada", "a stone")
