"""The watch over a queue: it measures what waits and why, and says so where it waits for too long."""

import logging

import pytest
from prometheus_client import REGISTRY

from cdn.pending import ShardState
from invalidator.plan import Plan, Why
from invalidator.watch import LOUD_S, Watch


def state(count: int, sent: int, size: int = 1) -> ShardState:
    """Return a shard that has recorded up to ``count``, of which the edge was told up to ``sent``."""
    return ShardState(count, sent, sent, size, ())


def measured(name: str, edge: str, **labels: str) -> float | None:
    """Return the value of a metric of an edge."""
    return REGISTRY.get_sample_value(f"edgebake_{name}", {"edge": edge, **labels})


def test_the_age_is_that_of_the_oldest_count_that_was_not_told() -> None:
    watch = Watch("ages")
    watch.look({0: state(9, 9, 0), 1: state(9, 4)}, now=100.0)
    watch.look({0: state(10, 9), 1: state(9, 4)}, now=107.0)
    assert measured("oldest_waiting_seconds", "ages") == 7.0
    watch.look({0: state(10, 9), 1: state(12, 9)}, now=110.0)
    assert measured("oldest_waiting_seconds", "ages") == 3.0
    watch.look({0: state(10, 10, 0), 1: state(12, 12, 0)}, now=111.0)
    assert measured("oldest_waiting_seconds", "ages") == 0.0


def test_reasons_are_counted() -> None:
    watch = Watch("reasons")
    watch.planned(Plan(left={"p-1": Why.QUOTA, "p-2": Why.QUOTA, "p-3": Why.MONEY}))
    assert [measured("waiting_tags", "reasons", why=why) for why in ("quota", "money", "taps")] == [2, 1, 0]
    watch.refused(5)
    assert [measured("waiting_tags", "reasons", why=why) for why in ("quota", "refused")] == [0, 5]


def test_a_queue_that_does_not_drain_is_an_error_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    watch = Watch("main")
    watch.planned(Plan(left={"p-1": Why.MONEY}))
    with caplog.at_level(logging.ERROR):
        for now in (0.0, LOUD_S - 1, LOUD_S, LOUD_S + 1, 2 * LOUD_S - 1):
            watch.look({0: state(9, 4)}, now)
        (record,) = caplog.records
    assert "has not been told for 60 s" in record.message
    assert "EDGEBAKE_MONTHLY_ITEMS" in record.message
