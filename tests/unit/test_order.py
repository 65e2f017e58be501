"""The order of a list: what is proposed, checked and put in order, for one viewer."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baker import order
from baker.guard import Guard
from baker.order import Proposed, Viewer
from baker.table import Known, Table
from feeds import ranking
from feeds.model import TAG, Entry, Epoch, OrderKey, Sources, Taste
from feeds.ranking import Weights

GRACE, ALAN, KAY, ADA = 1, 2, 3, 9
LISP, C = TAG | 1, TAG | 2
NOTHING = Taste({}, {})
SOURCES = Sources("ada", ADA, (GRACE, ALAN), (LISP,), (), (C,), (KAY,), 1)
EPOCH = Epoch(1, 10.0, 2.0, 100.0)


def entry(num: int, author: int = GRACE, published_ms: int = 0, *, tags: tuple[int, ...] = (), likes: int = 0) -> Entry:
    """Return a live post, published at its number unless said otherwise."""
    return Entry(num, f"p-{num:03}", author, published_ms or num, likes, 0, 0, tags, True, 1)


def known(*entries: Entry) -> list[Known | None]:
    """Return entries as selection sees them."""
    table = Table(Guard(), Weights())
    table.begin(EPOCH)
    return [table.known(one) for one in entries]


def viewer(sources: Sources = SOURCES, taste: Taste = NOTHING, *, own: bool = True) -> Viewer:
    """Return a viewer."""
    return order.viewer(sources, taste, "newest", own=own)


def nums(listed: list[Known]) -> list[int]:
    """Return the numbers of posts."""
    return [one.num for one in listed]


def test_newest_first_shows_what_stands_above_the_mark_ties_by_id() -> None:
    found = known(
        entry(3, published_ms=7), entry(4, published_ms=7), entry(5, published_ms=9), entry(6, published_ms=6)
    )
    assert nums(order.newest(viewer(), found, 6)) == [5, 4, 3]
    assert nums(order.newest(viewer(), found, -inf)) == [5, 4, 3, 6]
    assert nums(order.newest(viewer(), found, inf)) == []


@pytest.mark.parametrize(
    ("one", "shown", "why"),
    [
        (entry(1, GRACE), True, "its author is followed"),
        (entry(1, 7), False, "nobody draws it"),
        (entry(1, 7, tags=(LISP,)), True, "its tag is followed"),
        (entry(1, GRACE, tags=(C,)), False, "its tag is muted"),
        (entry(1, KAY, tags=(LISP,)), False, "its author is blocked, though its tag is followed"),
        (entry(1, ADA), True, "it is the user's own"),
        (entry(1, GRACE)._replace(live=False), False, "it is in no feed any more"),
    ],
)
def test_what_is_proposed_is_checked_again(one: Entry, shown: bool, why: str) -> None:
    assert nums(order.newest(viewer(), known(one), -inf)) == ([1] if shown else []), why


def test_ones_own_posts_are_a_setting_and_a_muted_author_is_left_out() -> None:
    assert order.newest(viewer(own=False), known(entry(1, ADA)), -inf) == []
    muting = Sources("ada", ADA, (GRACE, ALAN), (), (ALAN,), (), (), 2)
    assert nums(order.newest(viewer(muting), known(entry(1), entry(2, ALAN)), -inf)) == [1]


def test_a_list_of_one_source_shows_all_it_has() -> None:
    assert nums(order.newest(order.all_of("kay", KAY), known(entry(1, KAY, tags=(C,)), entry(2, KAY)), -inf)) == [2, 1]


entries = st.builds(
    Entry,
    num=st.integers(0, 50),
    post=st.just("p"),
    author=st.sampled_from([GRACE, ALAN, KAY]),
    published_ms=st.integers(0, 10**13),
    likes=st.integers(0, 10**9),
    comments=st.integers(0, 10**6),
    views=st.integers(0, 2**53),
    tags=st.sampled_from([(), (LISP,), (C, LISP)]),
    live=st.just(True),
    version=st.just(1),
)
tastes = st.builds(
    Taste,
    authors=st.dictionaries(st.sampled_from([GRACE, ALAN]), st.integers(1, 500)),
    shown=st.dictionaries(st.integers(0, 50), st.integers(1, 20)),
)


@given(entries, tastes)
def test_the_baker_ranks_as_the_formula_says(one: Entry, taste: Taste) -> None:
    weights = Weights()
    (found,) = known(one)
    assert found is not None
    expected = ranking.rank_ms(one, EPOCH, taste, SOURCES.tags, weights)
    assert order.rank_ms(viewer(taste=taste), found, weights) == expected


def test_ranked_posts_stand_by_rank_with_no_more_than_so_many_by_one_author_together() -> None:
    found = known(*(entry(num, GRACE, 10_000 + num) for num in range(5)), entry(9, ALAN, 1))
    best = order.ranked(viewer(), found, Weights(in_a_row=2))
    assert [one.known.num for one in best] == [4, 3, 9, 2, 1, 0]


def test_a_liked_post_stands_above_a_newer_one_and_a_shown_one_below() -> None:
    hour = 3_600_000
    found = known(entry(1, GRACE, 100 * hour, likes=1000), entry(2, ALAN, 101 * hour), entry(3, ALAN, 102 * hour))
    best = order.ranked(viewer(taste=Taste({}, {3: 1})), found, Weights())
    assert [one.known.num for one in best] == [1, 2, 3]


def test_places_are_found_below_a_post_there_or_not() -> None:
    ordered = order.newest(viewer(), known(entry(1), entry(3), entry(5)), -inf)
    assert [
        order.below(ordered, place) for place in (None, OrderKey(5, "p-005"), OrderKey(4, "x"), OrderKey(0, ""))
    ] == [*(0, 1, 1, 3)]
    best = order.ranked(viewer(), known(entry(1, published_ms=1000), entry(3, published_ms=3000)), Weights())
    assert order.after(best, "p-003", None) == 1
    assert order.after(best, "gone", 2000) == 1
    assert order.after(best, "stranger", None) is None


def test_lists_are_merged_each_post_once_and_complete_above_the_highest_mark() -> None:
    merged = Proposed([1, 2], -inf).with_lists([Proposed([2, 3], 5), Proposed([], -inf)])
    assert merged == Proposed([2, 3, 1], 5, 2)
    assert Proposed([7, 1, 2], 1, 1).with_lists([Proposed([7, 2], -inf)]) == Proposed([7, 2, 1], 1, 2)


def test_the_top_is_whole_above_a_post_that_has_not_been_pushed_again() -> None:
    proposed = Proposed([9, 5, 4, 3, 2], -inf, 1)
    assert list(proposed.top(2)) == [9, 5, 4]
    assert proposed.top(4) == ()
    found = known(entry(9, published_ms=1), entry(5), entry(4)._replace(live=False))
    assert order.boundary(found, 1) == 5
    assert order.boundary(found[2:], 0) == inf
    assert order.newest(viewer(), found, order.boundary(found, 1)) == []
