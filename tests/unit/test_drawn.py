"""What feeds draw from: which sources find room on a page, and what a page depends on."""

from collections.abc import Collection, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baker.drawn import Depends, Drawn, Draws, filled
from baker.table import Known
from cdn import tags
from feeds import copies
from feeds.model import TAG, Sources, Taste

ADA = 9_000
NO_TASTE = Taste({}, {})


def sources(
    authors: Iterable[int], topics: Iterable[int] = (), muted: Collection[int] = (), blocked: Iterable[int] = ()
) -> Sources:
    """Return what ada draws from; each source is named after its number."""
    authors, topics = tuple(authors), tuple(topics)
    named = tuple(str(num) for num in (*authors, *topics))
    muted_authors, muted_tags = (tuple(num for num in muted if (num >= TAG) == is_tag) for is_tag in (False, True))
    lists = (authors, topics, muted_authors, muted_tags, tuple(blocked))
    return Sources("ada", ADA, *lists, 1, named)


def drawn(found: Sources, *, own: bool = True) -> Drawn:
    """Return what a feed draws from."""
    return Draws(own=own).of(found)


def post(author: int, *topics: int) -> Known:
    """Return a post."""
    return Known(1, "p", 1, author, frozenset(topics), 1)


def tag(source: int) -> str:
    """Return a source's tag."""
    if source == ADA:
        return "a-ada"
    return tags.topic_tag(str(source)) if source & TAG else f"a-{source}"


def own_tags(count: int) -> list[str]:
    """Return the tags that a page has besides its sources'."""
    return [f"p-{number}" for number in range(count)]


@pytest.mark.parametrize(("count", "room"), [(0, True), (20, True), (21, False), (500, False)])
def test_sources_fill_the_room_and_o_stands_for_those_that_find_none(count: int, room: bool) -> None:
    found = filled(own_tags(30), drawn(sources(range(1, count + 1)), own=False), (), ())
    assert found.tags[:30] == own_tags(30)
    assert len(found.tags) == min(30 + count, tags.MAX_TAGS)
    assert ("o" in found.tags) != room
    assert found.carried == (None if room else tuple(range(1, 20)))


def test_pulled_sources_come_first_then_those_that_save_most_then_the_lowest_numbers() -> None:
    reader = drawn(sources(range(1, 101), [TAG | 1, TAG | 2]))
    shown = [post(70), post(60), post(60), post(50, TAG | 2), post(3, TAG | 2), post(99), post(777, TAG | 2, TAG | 5)]
    found = filled(own_tags(39), reader, [80, 99, TAG | 1], shown)
    assert found.carried == (99, 80, TAG | 1, TAG | 2, 60, 3, 50, 70, 1, 2)
    assert list(found.tags[39:]) == [*map(tag, found.carried), "o"]


def test_pulled_sources_that_are_too_many_are_those_that_save_most() -> None:
    found = filled(own_tags(45), drawn(sources(range(1, 101))), range(40, 60), [post(55), post(2), post(55), post(41)])
    assert found.carried == (55, 41, 40, 42)


def test_what_is_muted_or_blocked_is_not_drawn_from_and_the_user_is_where_own_posts_are() -> None:
    found = sources([1, 2, 3], [TAG | 1, TAG | 2], muted=[2, TAG | 1], blocked=[3])
    assert drawn(found).tags == {"a-1", "a-ada", tags.topic_tag(str(TAG | 2))}
    assert drawn(found, own=False).tags == {"a-1", tags.topic_tag(str(TAG | 2))}
    assert drawn(found).among({2: "a-2", 1: "a-1", 4: "a-4"}) == {1: "a-1"}


def test_the_viewer_is_the_users_with_their_taste_and_order() -> None:
    taste = Taste({1: 2}, {})
    viewer = drawn(sources([1, 2], [TAG | 1], muted=[2])).viewer(taste, "ranked")
    assert (viewer.user, set(viewer.authors), set(viewer.topics)) == ("ada", {1, 2, ADA}, {TAG | 1})
    assert (set(viewer.hidden), viewer.taste, str(viewer.order)) == ({2}, taste, "ranked")


numbers = st.sets(st.integers(1, 60) | st.integers(1, 9).map(lambda num: TAG | num), max_size=60)


@st.composite
def pages(draw: st.DrawFn) -> tuple[int, Sources, list[int], list[Known]]:
    """Draw how many own tags a page has, what its user draws from, what of it is pulled, and what is shown."""
    followed = draw(numbers)
    found = sources(sorted(n for n in followed if n < TAG), sorted(n for n in followed if n >= TAG), draw(numbers))
    pulled = sorted(draw(numbers) & drawn(found).numbers)
    topics = st.sets(st.integers(1, 9).map(lambda num: TAG | num), max_size=3)
    shown = draw(st.lists(st.builds(lambda author, tagged: post(author, *tagged), st.integers(1, 60), topics)))
    return draw(st.integers(3, 32)), found, pulled, shown


@given(pages())
def test_a_page_names_each_source_or_carries_o_and_tells_the_ledger_which(
    page: tuple[int, Sources, list[int], list[Known]],
) -> None:
    count, found, pulled, shown = page
    reader = drawn(found)
    made = filled(own_tags(count), reader, pulled, shown)
    depends = Depends([*own_tags(count), "a-author"], reader)
    assert len(made.tags) == len(set(made.tags)) <= tags.MAX_TAGS
    for source in reader.numbers:
        assert tag(source) in depends
        if tag(source) not in made.tags:
            assert tags.OVERFLOW in made.tags
            assert made.carried is not None
            assert source not in made.carried
    for source in made.carried or ():
        assert tag(source) in made.tags
    assert (made.carried is None) == (tags.OVERFLOW not in made.tags)
    assert ("p-0" in depends, "a-author" in depends, "a-stranger" in depends) == (True, True, False)
    again = filled(own_tags(count), drawn(found), list(reversed(pulled)), list(reversed(shown)))
    assert again == made, "it follows from what is shown, in whatever order that came"


def copy_of(user: str, count: int, version: int = 1) -> bytes:
    """Return the copy of a user who draws from so many authors."""
    authors = tuple(range(1, count + 1))
    found = Sources(user, ADA, authors, (), (), (), (), version, tuple(map(str, authors)))
    return copies.of_sources(found).value(b"0")


def test_what_a_copy_says_is_made_ready_once_for_as_long_as_it_says_so() -> None:
    draws = Draws(own=True)
    first = draws.of_copy("ada", copy_of("ada", 3))
    assert draws.of_copy("ada", copy_of("ada", 3)) is first
    assert draws.of_copy("ada", copy_of("ada", 2, 2)).tags == {"a-1", "a-2", "a-ada"}


def test_what_is_ready_is_let_go_of_when_it_is_too_much_and_is_the_same_again() -> None:
    draws = Draws(own=False, most=100, most_tags=20)
    made = {count: draws.of_copy(f"user-{count}", copy_of(f"user-{count}", count)) for count in range(30)}
    assert draws.of_copy("user-29", copy_of("user-29", 29)) is made[29]
    assert draws.of_copy("user-1", copy_of("user-1", 1)) is not made[1]
    for count, each in made.items():
        assert each.tags == {f"a-{number}" for number in range(1, count + 1)}
        assert draws.of_copy(f"user-{count}", copy_of(f"user-{count}", count)).tags == each.tags


def test_sources_without_their_names_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        Draws(own=True).of(Sources("ada", 1, (2, 3), (), (), (), (), 1, ("bob",)))
