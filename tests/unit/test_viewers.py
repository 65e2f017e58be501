"""What viewers of a replay get: hits told twice, misses and why, what is old, and what an infinite cache would miss."""

from collections import Counter

import pytest

from bench.origin import Crowd, Press
from bench.viewers import Viewers, Why
from cdn.local.decision import Life
from cdn.local.objects import Key, Object
from cdn.local.results import Result

KEY = Key("/feed/ada", "gzip")


@pytest.fixture
def press() -> Press:
    """Feeds of one reader, who follows one author."""
    return Press(Crowd({"ada": [1]}, {1: "bob"}))


def page(body: bytes) -> Object:
    """Return an answer that shows the change of that number."""
    return Object(200, "", None, Life(0.0, 0.0, 0.0, 0.0), KEY, body, (), (), frozenset())


def test_what_was_revalidated_is_neither_hit_nor_miss_to_aws(press: Press) -> None:
    viewers = Viewers(press, Counter({Result.HIT: 6, Result.REFRESH_HIT: 2, Result.MISS: 2}))
    assert viewers.hits_aws == pytest.approx(0.75)
    assert viewers.by_edge == pytest.approx(0.8)


def test_a_miss_is_a_first_read_or_brings_something_new_or_nothing_new(press: Press) -> None:
    viewers = Viewers(press)
    for location, body in ((1, b"0"), (2, b"0"), (1, b"4"), (1, b"4")):
        viewers.asks(location, "ada")(page(body), Result.MISS)
    assert viewers.misses == {Why.FIRST: 2, Why.CHANGED: 1, Why.SAME: 1}


def test_what_an_edge_refreshed_unseen_was_had_by_it(press: Press) -> None:
    viewers = Viewers(press)
    for body, result in ((b"0", Result.MISS), (b"4", Result.HIT), (b"4", Result.MISS)):
        viewers.asks(1, "ada")(page(body), result)
    assert viewers.misses == {Why.FIRST: 1, Why.SAME: 1}


def test_a_cache_that_is_told_misses_each_first_read_and_the_first_after_each_change(press: Press) -> None:
    viewers = Viewers(press)
    for location in (1, 1, 2):
        viewers.asks(location, "ada")(page(b"0"), Result.HIT)
    press.publish(1)
    for location in (1, 1, 2, 2):
        viewers.asks(location, "ada")(page(b"1"), Result.HIT)
    assert viewers.told == 4
    assert viewers.by_one_told == pytest.approx(3 / 7)


def test_an_answer_is_old_where_the_change_was_live_when_it_was_asked_for(press: Press) -> None:
    viewers = Viewers(press)
    before = viewers.asks(1, "ada")
    press.live["ada"] = press.publish(1).number
    after = viewers.asks(1, "ada")
    before(page(b"0"), Result.HIT)
    after(page(b"0"), Result.HIT)
    assert viewers.old == 1
