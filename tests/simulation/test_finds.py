"""The simulation finds what is wrong: each wrong part, in the place of the real one, fails a schedule."""

from collections.abc import Mapping

import pytest

from tests.simulation.runs import finished, started
from tests.simulation.wrongs import WRONGS

KNOWN: Mapping[str, int] = {
    "a fence that always passes": 4,
    "a fence noted after the first read": 83,
    "a ledger that does not look at living answers": 0,
    "no second tap": 98,
    "a batch reference hashed from its items": 8,
    "memory hits that skip the fence": 8,
}
"""In which schedule each was found: the search begins there. What a seed draws moves with product and simulation, and
then it goes on to the next ones. The others hide too well for a run by default."""

MORE = 3_000
AFRESH = 1_000_000
MANY = 20_000


LEANS: Mapping[str, str] = {
    "a shared tag sent by the first finished part": "publish",
    "a released pending entry with something newer in it": "edit",
    "a copy written back without its floor": "forget",
    "a horizon of s-maxage alone": "day",
}
"""What people write in the search for those that hide: each needs one kind of change, in a narrow order of steps."""


def found(wrong: str, first: int, count: int) -> None:
    """Run schedules with a wrong part until one fails that passes with the real one, and fails again when replayed."""
    words = ("--first", first, "--count", count, "--wrong", wrong, "--lean", LEANS.get(wrong, ""))
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
