"""Nothing is lost and nothing stays stale, whatever goes wrong: thousands of schedules (docs/simulation.md)."""

import pytest

from tests.simulation.runs import finished, ran, started, told

SCHEDULES = 5_000
LONG = 100_000


def test_nothing_is_lost_and_nothing_stays_stale() -> None:
    failures, count = ran(0, SCHEDULES)
    assert not failures, told(failures)
    assert count >= SCHEDULES


@pytest.mark.long
def test_nothing_is_lost_in_many_more_schedules() -> None:
    failures, count = ran(SCHEDULES, LONG)
    assert not failures, told(failures)
    assert count >= LONG


def test_a_seed_is_a_schedule() -> None:
    """Two processes come to the same, to the last item; else a seed would replay nothing."""
    runs = [started("--first", 7, "--count", 4) for _ in range(2)]
    (_, one), (_, other) = map(finished, runs)
    assert {**one, "cpu_s": 0} == {**other, "cpu_s": 0}
