"""Ranking: the worked example of docs/ranking.md, what the weights do, and spreading by author."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds.model import TAG, Entry, Epoch, Taste
from feeds.ranking import MOST_SHOWN, Weights, boost_s, part_s, rank_ms, spread

PAGE = (Path(__file__).parents[2] / "docs" / "ranking.md").read_text(encoding="utf-8")
MIDNIGHT = datetime(2026, 1, 1, tzinfo=UTC)
BOB, CEM, DEE, DATABASES = 1, 2, 3, TAG | 1
MEANS = Epoch(1, likes=8.0, comments=2.0, views=100.0)
ADA = Taste({BOB: 3}, {1: 1})


def entry(num: int, author: int, hour: int, *counts: int, tags: tuple[int, ...] = ()) -> Entry:
    """Return a post of that hour."""
    likes, comments, views = counts or (0, 0, 0)
    published_ms = int((MIDNIGHT + timedelta(hours=hour)).timestamp() * 1000)
    return Entry(num, f"p{num}", author, published_ms, likes, comments, views, tags, True, 1)


EXAMPLE = (
    entry(1, BOB, 8, 40, 6, 900, tags=(DATABASES,)),
    entry(2, CEM, 20),
    entry(3, DEE, 14, 8, 2, 100, tags=(DATABASES,)),
)


def row(post: Entry) -> str:
    """Return a post as the table of the page has it, from its counts on."""
    ranks_as = MIDNIGHT + timedelta(milliseconds=rank_ms(post, MEANS, ADA, [DATABASES], Weights()) - ms(MIDNIGHT))
    later = " the next day" if ranks_as.day > 1 else ""
    published = MIDNIGHT + timedelta(milliseconds=post.published_ms - ms(MIDNIGHT))
    boost, part = boost_s(post, MEANS, Weights()), part_s(post, ADA, [DATABASES], Weights())
    counts = f"{post.likes} | {post.comments} | {post.views}"
    return f"| {published:%H:%M} | {counts} | {boost:,} s | {part:,} s | {ranks_as:%H:%M:%S}{later} |"


def ms(moment: datetime) -> int:
    """Return a moment in Unix milliseconds."""
    return int(moment.timestamp() * 1000)


@pytest.mark.parametrize("post", EXAMPLE, ids=["bob", "cem", "dee"])
def test_the_worked_example_is_what_the_code_computes(post: Entry) -> None:
    assert row(post) in PAGE


def test_the_worked_example_is_in_the_order_that_it_says() -> None:
    ranked = sorted(EXAMPLE, key=lambda post: rank_ms(post, MEANS, ADA, [DATABASES], Weights()), reverse=True)
    assert [post.num for post in ranked] == [1, 3, 2]


def test_the_pages_defaults_are_those_of_the_code() -> None:
    weights = Weights()
    tables = re.findall(r"\| ([\d.]+), ([\d.]+), ([\d.]+) \|", PAGE)
    assert [tuple(map(float, row)) for row in tables] == [
        (weights.likes, weights.comments, weights.views),
        (weights.tags, weights.authors, weights.shown),
    ]
    assert f"{weights.tau_s:,} s" in PAGE


entries = st.builds(
    entry,
    st.integers(1, 9),
    st.sampled_from([BOB, CEM, DEE]),
    st.integers(0, 23),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.integers(0, 10**9),
)


@given(post=entries)
def test_with_all_weights_at_zero_a_post_ranks_as_it_was_published(post: Entry) -> None:
    none = Weights(likes=0, comments=0, views=0, tags=0, authors=0, shown=0)
    assert rank_ms(post, MEANS, ADA, [DATABASES], none) == post.published_ms


@given(post=entries, later_h=st.integers(1, 1000))
def test_scores_do_not_age(post: Entry, later_h: int) -> None:
    other = entry(8, CEM, 12)
    before = rank_ms(post, MEANS, ADA, [], Weights()) - rank_ms(other, MEANS, ADA, [], Weights())
    shift = 3_600_000 * later_h
    moved = [one._replace(published_ms=one.published_ms + shift) for one in (post, other)]
    after = [rank_ms(one, MEANS, ADA, [], Weights()) for one in moved]
    assert after[0] - after[1] == before


def test_a_post_shown_more_often_than_ten_times_falls_no_further() -> None:
    often, more = Taste({}, {2: MOST_SHOWN}), Taste({}, {2: 1000})
    assert part_s(EXAMPLE[1], often, [], Weights()) == part_s(EXAMPLE[1], more, [], Weights()) == -216_000


@given(authors=st.lists(st.integers(1, 4), max_size=40), in_a_row=st.integers(1, 4))
def test_spreading_keeps_every_post_and_parts_authors_while_there_are_others(authors: list[int], in_a_row: int) -> None:
    order = spread(authors, in_a_row)
    assert sorted(order) == list(range(len(authors)))
    for at in range(in_a_row, len(order)):
        run = {authors[index] for index in order[at - in_a_row : at + 1]}
        assert len(run) > 1 or {authors[index] for index in order[at:]} == run


def test_spreading_moves_no_more_than_it_must() -> None:
    assert spread([1, 1, 1, 1, 2, 1, 3], 3) == [0, 1, 2, 4, 3, 5, 6]
