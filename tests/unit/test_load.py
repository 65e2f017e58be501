"""Headroom: a pure decision over what bakers report."""

import pytest

from cdn.load import FORGOTTEN_MS, Headroom, Report, Reported, headroom

NOW = 1_000_000
EASY = Report(baking=2, wait_ms=3.0, shed=0, capacity=64)


def reported(report: Report = EASY, *, left_ms: int = 1000, at_ms: int = NOW) -> Reported:
    """Return a report that holds for so long yet."""
    return Reported(at_ms, NOW + left_ms, report)


def test_bakers_that_wait_for_nothing_have_headroom() -> None:
    found = headroom([reported(), reported(Report(0, 9.0, 0, 64), at_ms=NOW - 700)], NOW)
    assert found == Headroom(wide=True, wait_ms=9.0, known=True, at_ms=NOW - 700)


@pytest.mark.parametrize(
    "hard",
    [
        Report(33, 3.0, 0, 64),  # more than half of those at once
        Report(2, 3.0, 1, 64),  # somebody was turned away
        Report(1, 3.0, 0, 1),  # there is no half of one
    ],
)
def test_one_baker_without_headroom_is_enough(hard: Report) -> None:
    found = headroom([reported(), reported(hard)], NOW)
    assert (found.wide, found.known) == (False, True)


def test_slow_bakes_of_which_few_are_under_way_leave_headroom() -> None:
    assert headroom([reported(Report(32, 900.0, 0, 64))], NOW) == Headroom(True, 900.0, True, NOW)


def test_where_nobody_reports_nothing_is_known() -> None:
    assert headroom([], NOW) == Headroom(wide=False, wait_ms=0.0, known=False)


def test_a_baker_that_stopped_reporting_is_not_known_until_it_is_forgotten() -> None:
    silent = [reported(), reported(left_ms=-1)]
    assert (headroom(silent, NOW).wide, headroom(silent, NOW).known) == (False, False)
    assert headroom(silent, NOW + FORGOTTEN_MS).known is False
    gone = [reported(left_ms=FORGOTTEN_MS + 1), reported(left_ms=-1)]
    assert headroom(gone, NOW + FORGOTTEN_MS).wide
