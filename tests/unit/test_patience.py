"""How long a refused batch waits: longer each time, and so that many do not come back at one moment."""

import pytest

from invalidator.drain import Patience

PATIENCE = Patience(first_s=0.5, longest_s=60.0, denied_s=30.0)


@pytest.mark.parametrize(
    ("failed", "passes", "most_s"),
    [(1, True, 0.5), (2, True, 1.0), (5, True, 8.0), (8, True, 60.0), (10_000, True, 60.0), (1, False, 30.0)],
)
def test_a_refused_batch_waits_half_of_it_at_least(failed: int, passes: bool, most_s: float) -> None:
    waits = {PATIENCE.wait_s(failed, passes=passes) for _ in range(200)}
    assert most_s / 2 <= min(waits) < most_s * 0.6
    assert most_s * 0.9 < max(waits) <= most_s
    assert len(waits) > 100
