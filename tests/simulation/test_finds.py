"""The simulation finds what is wrong: each wrong part, in the place of the real one, fails a schedule."""

from collections.abc import Callable

import pytest

from tests.simulation.runs import finished, started
from tests.simulation.wrongs import WRONGS

SCHEDULES = 2_000


@pytest.mark.parametrize("wrong", WRONGS)
def test_a_wrong_part_is_found(wrong: str, record_property: Callable[[str, object], None]) -> None:
    failures, total = finished(started("--count", SCHEDULES, "--wrong", wrong, "--until-found"))
    assert failures, f"{wrong}: not found in {total['ran']} schedules"
    record_property("schedules", total["ran"])
    print(f"{wrong}: found in schedule {total['ran']} ({failures[0]['error']})")
