"""The simulation finds what is wrong: each wrong part, in the place of the real one, fails a schedule."""

import pytest

from tests.simulation.runs import finished, started
from tests.simulation.wrongs import WRONGS

FEW = 500
MANY = 20_000
SOON = (
    "a fence that always passes",
    "a tag recorded before the data is readable",
    "no second tap",
    "a batch reference hashed from its items",
    "a horizon of s-maxage alone",
    "memory hits that skip the fence",
)
"""Found in some dozens of schedules. The others want an order of steps that is drawn less often."""


def found(wrong: str, count: int) -> None:
    """Run schedules with a wrong part until one fails that passes with the real one."""
    failures, total = finished(started("--count", count, "--wrong", wrong, "--until-found"))
    assert failures, f"{wrong}: not found in {total['ran']} schedules"
    print(f"{wrong}: found in schedule {total['ran']} ({failures[0]['error']})")


@pytest.mark.parametrize("wrong", SOON)
def test_a_wrong_part_is_found(wrong: str) -> None:
    found(wrong, FEW)


@pytest.mark.long
@pytest.mark.parametrize("wrong", [wrong for wrong in WRONGS if wrong not in SOON])
def test_a_wrong_part_that_hides_is_found(wrong: str) -> None:
    found(wrong, MANY)
