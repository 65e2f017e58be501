"""The simulation finds what is wrong: each wrong part, in the place of the real one, fails a schedule."""

from collections.abc import Mapping

import pytest

from tests.simulation.runs import finished, started
from tests.simulation.wrongs import WRONGS

KNOWN: Mapping[str, int] = {
    "a fence that always passes": 2,
    "a fence noted after the first read": 2_205,
    "a ledger read before the record": 2_807,
    "a ledger that does not look at living answers": 0,
    "a tag recorded before the data is readable": 77,
    "a shared tag sent by the first finished part": 620,
    "a released pending entry with something newer in it": 12_376,
    "no second tap": 100,
    "a batch reference hashed from its items": 100,
    "a copy written back without its floor": 4_213,
    "a horizon of s-maxage alone": 36,
    "templates that nobody compares with the current ones": 472,
    "memory hits that skip the fence": 2,
}
"""In which schedule each is found. What a seed draws moves with product and simulation: then the search goes on from
there."""

KINDS: Mapping[str, str] = {
    "a fence noted after the first read": "rich",
    "a ledger read before the record": "rich",
    "a shared tag sent by the first finished part": "parts",
    "a released pending entry with something newer in it": "merged",
    "a copy written back without its floor": "copies",
    "a horizon of s-maxage alone": "horizon",
    "templates that nobody compares with the current ones": "editions",
}
"""Of which kind the schedules are that are searched, for those that hide."""

MORE = 3_000
AFRESH = 1_000_000
MANY = 20_000


def found(wrong: str, first: int, count: int) -> None:
    """Run schedules with a wrong part until one fails that passes with the real one, and fails again when replayed."""
    words = ("--first", first, "--count", count, "--wrong", wrong, "--kind", KINDS.get(wrong, ""))
    failures, total = finished(started(*words, "--until-found"))
    assert failures, f"{wrong}: not found in {total['ran']} schedules from {first} on"
    print(f"{wrong}: found in schedule {failures[0]['seed']} ({failures[0]['error']})")
    assert failures[0]["error"] in {"Stale", "Needless"}
    assert failures[0]["again"]


@pytest.mark.parametrize("wrong", KNOWN)
def test_a_wrong_part_is_found(wrong: str) -> None:
    found(wrong, KNOWN[wrong], MORE)


@pytest.mark.long
@pytest.mark.parametrize("wrong", WRONGS)
def test_a_wrong_part_is_found_afresh(wrong: str) -> None:
    found(wrong, AFRESH, MANY)
