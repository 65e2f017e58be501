"""The simulation finds what is wrong: each wrong part, in the place of the real one, fails a schedule."""

from collections.abc import Mapping

import pytest

from tests.simulation.runs import finished, started
from tests.simulation.wrongs import WRONGS

KNOWN: Mapping[str, int] = {KNOWNS}
"""In which schedule each was found: the search begins there. What a seed draws moves with product and simulation, and
then it goes on to the next ones."""

MORE = 3_000
AFRESH = 1_000_000
MANY = 20_000


def found(wrong: str, first: int, count: int) -> None:
    """Run schedules with a wrong part until one fails that passes with the real one, and fails again when replayed."""
    failures, total = finished(started("--first", first, "--count", count, "--wrong", wrong, "--until-found"))
    assert failures, f"{wrong}: not found in {total['ran']} schedules from {first} on"
    print(f"{wrong}: found in schedule {failures[0]['seed']} ({failures[0]['error']})")
    assert failures[0]["error"] in {"Stale", "Needless"}
    assert failures[0]["again"]


def test_every_wrong_part_is_looked_for() -> None:
    assert KNOWN.keys() == WRONGS.keys()


@pytest.mark.parametrize("wrong", WRONGS)
def test_a_wrong_part_is_found(wrong: str) -> None:
    found(wrong, KNOWN[wrong], MORE)


@pytest.mark.long
@pytest.mark.parametrize("wrong", WRONGS)
def test_a_wrong_part_is_found_afresh(wrong: str) -> None:
    found(wrong, AFRESH, MANY)
