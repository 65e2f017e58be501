"""Headroom: a pure decision over what bakers report."""

import pytest

from cdn.load import EASY_WAIT_MS, FORGOTTEN_MS, Headroom, Report, Reported, headroom

NOW = 1_000_000
EASY = Report(waiting=0, wait_ms=3.0, shed=0, capacity=512)


def reported(report: Report = EASY, *, left_ms: int = 1000, at_ms: int = NOW) -> Reported:
    """Return a report that holds for so long yet."""
    return Reported(at_ms, NOW + left_ms, report)


def test_bakers_that_wait_for_nothing_have_headroom() -> None:
    found = headroom([reported(), reported(Report(0, 9.0, 0, 512), at_ms=NOW - 700)], NOW)
    assert found == Headroom(wide=True, wait_ms=9.0, known=True, at_ms=NOW - 700)


@pytest.mark.parametrize(
    "hard",
    [
        Report(0, EASY_WAIT_MS + 1, 0, 512),  # their readers wait
        Report(65, 3.0, 0, 512),  # an eighth of the queue, and one
        Report(0, 3.0, 1, 512),  # somebody was turned away
        Report(1, 3.0, 0, 0),  # no queue at all: whoever waits is one too many
    ],
)
def test_one_baker_without_headroom_is_enough(hard: Report) -> None:
    found = headroom([reported(), reported(hard)], NOW)
    assert (found.wide, found.known) == (False, True)


def test_a_burst_in_the_queue_leaves_headroom() -> None:
    assert headroom([reported(Report(64, EASY_WAIT_MS, 0, 512))], NOW).wide


def test_where_nobody_reports_nothing_is_known() -> None:
    assert headroom([], NOW) == Headroom(wide=False, wait_ms=0.0, known=False)


def test_a_baker_that_stopped_reporting_is_not_known_until_it_is_forgotten() -> None:
    silent = [reported(), reported(left_ms=-1)]
    assert (headroom(silent, NOW).wide, headroom(silent, NOW).known) == (False, False)
    assert headroom(silent, NOW + FORGOTTEN_MS).known is False
    gone = [reported(left_ms=FORGOTTEN_MS + 1), reported(left_ms=-1)]
    assert headroom(gone, NOW + FORGOTTEN_MS).wide
