"""The audit's decisions: what a count says, when a page is old, what is a miss, and how many nines that is."""

import orjson
import pytest

from edgebake.commands.audit import _effort
from edgebake.settings import Settings
from feeds.change import (
    Change,
    FollowsChanged,
    Invalidated,
    PostEdited,
    PostPublished,
    PostScored,
    PostWithdrawn,
    ProfileChanged,
    SettingsChanged,
    SiteChanged,
    UserDeleted,
)
from feeds.ids import shard_of
from invalidator.audit import (
    LOOKS_S,
    Answer,
    Case,
    Face,
    Look,
    Probe,
    Seen,
    concerns,
    holds,
    look_at,
    misses,
    nines,
    past_threshold,
    settle,
    tap_found,
    visible_within,
)
from invalidator.shown import Card, Page, differ, read

ACCEPTED = 1_000_000
SHARD = shard_of("ada")
PUBLISHED = PostPublished("p1", "grace")


def card(post: str, title: str = "One", author: str = "grace", name: str = "Grace", at: int = 500) -> Card:
    """Return a card, as an edge shows it."""
    return Card(post, author, name, title, at, at, f"{post} {title} {name}")


def page(*cards: Card, status: int = 200, more: bool = False) -> Page:
    """Return ada's page."""
    return Page(status, "ada", "Ada", cards, more, "head")


def bare(shown: Page) -> Page:
    """Return a page as the record has it: it tells no digests."""
    return Page(shown.status, shown.user, shown.name, tuple(c._replace(digest="") for c in shown.cards), shown.more)


BEFORE, AFTER = page(), page(card("p1"))


def look(seconds: float, seen: Seen, shown: Page = AFTER, count: int | None = 1, until_s: float = 1e6) -> Look:
    """Return a look so many seconds after acceptance."""
    at = ACCEPTED + round(seconds * 1000)
    return Look(Answer(at, shown, count, until_ms=ACCEPTED + round(until_s * 1000)), seen)


def case(*looks: Look, change: Change = PUBLISHED, done_s: float = 0, live_s: float = 0) -> Case:
    """Return a case with one probe that was held, and what was seen of it; recorded under count 5."""
    made = Case("c-1", change, ACCEPTED, [Probe("ada", held=True, looks=list(looks))], {SHARD: 5})
    made.done_ms = ACCEPTED + round(done_s * 1000) if done_s else 0
    made.known_ms = made.live_ms = ACCEPTED + round(live_s * 1000) if live_s else 0
    return made


def test_feeds_are_asked_for_after_1_5_and_25_seconds_and_after_1_and_5_minutes() -> None:
    assert LOOKS_S == (1, 5, 25, 60, 300)
    assert _effort(Settings(), feeds=1, once=0, within=300).looks_s == LOOKS_S
    assert _effort(Settings(), feeds=1, once=0, within=6).looks_s == (1, 5, 6)


@pytest.mark.parametrize(
    ("answer", "needed", "seen"),
    [
        (Answer(0, AFTER, 5), 5, Seen.FRESH),
        (Answer(0, AFTER, 4), 5, Seen.BEHIND),
        (Answer(0, AFTER, 9), None, Seen.BEHIND),  # nothing was recorded in its shard: the count says nothing
        (Answer(0, AFTER, 5, late=True), 5, Seen.LATE),
        (Answer(0, Page(503)), 5, Seen.SILENT),
    ],
)
def test_headers_alone_say_so_much(answer: Answer, needed: int | None, seen: Seen) -> None:
    assert look_at(answer, needed) is seen


def test_the_record_is_asked_past_the_threshold_only() -> None:
    behind = look(2, Seen.BEHIND)
    assert not past_threshold(case(), behind, last=False)
    assert not past_threshold(case(live_s=3), behind, last=False)
    assert past_threshold(case(live_s=1), behind, last=False)
    assert past_threshold(case(), behind, last=True)
    assert not past_threshold(case(live_s=1), look(2, Seen.FRESH), last=True)


def test_what_was_behind_is_old_where_a_right_answer_shows_something_else() -> None:
    found = case(look(1, Seen.BEHIND, BEFORE), look(2, Seen.BEHIND, AFTER), look(5, Seen.FRESH, AFTER, 5))
    settle(found)
    assert [look.seen for look in found.probes[0].looks] == [Seen.OLD, Seen.SAME, Seen.FRESH]


def test_what_was_asked_for_before_the_counts_were_known_is_looked_at_again() -> None:
    found = case(look(0.01, Seen.BEHIND, AFTER, 5))
    settle(found)
    assert found.probes[0].looks[0].seen is Seen.FRESH


def test_visible_is_what_was_right_then_and_ever_after() -> None:
    found = case(look(1, Seen.FRESH), look(5, Seen.OLD), look(25, Seen.FRESH))
    assert [visible_within(found, seconds) for seconds in (1, 5, 25)] == [False, False, True]


def test_a_look_that_came_too_late_or_said_nothing_tells_nothing() -> None:
    assert visible_within(case(look(3, Seen.FRESH)), 1) is None
    assert visible_within(case(look(5.4, Seen.FRESH)), 5) is True
    assert visible_within(case(look(1, Seen.LATE), look(1.5, Seen.FRESH)), 1) is True
    assert visible_within(case(look(1, Seen.SILENT)), 1) is None


def test_one_old_feed_of_several_makes_a_change_not_visible() -> None:
    found = case(look(1, Seen.FRESH))
    found.probes.append(Probe("eve", looks=[look(1, Seen.OLD)]))
    assert visible_within(found, 1) is False


@pytest.mark.parametrize(
    ("looks", "why"),
    [
        ([look(1, Seen.OLD), look(5, Seen.FRESH)], None),  # old before it was live: nobody promised more
        ([look(3, Seen.OLD), look(5, Seen.FRESH)], "old after live"),
        ([look(3, Seen.SAME)], None),
        ([look(3, Seen.LATE)], None),
    ],
)
def test_a_miss_is_what_is_old_after_live(looks: list[Look], why: str | None) -> None:
    assert [miss.why for miss in misses(case(*looks, live_s=2))] == ([why] if why else [])


def test_a_change_that_never_is_live_is_a_miss_where_the_last_look_is_old() -> None:
    (miss,) = misses(case(look(1, Seen.OLD), look(300, Seen.OLD, count=4)))
    assert (miss.why, miss.count, miss.needed) == ("old at the last look", 4, 5)
    assert list(misses(case(look(1, Seen.OLD), look(300, Seen.FRESH)))) == []


@pytest.mark.parametrize(
    ("looks", "found"),
    [
        ([look(3, Seen.OLD), look(11, Seen.FRESH)], True),
        ([look(1, Seen.OLD), look(11, Seen.FRESH)], False),  # before the first completion: the first item dropped it
        ([look(11, Seen.OLD), look(12, Seen.FRESH)], False),  # after the tap: that is a miss
        ([look(3, Seen.OLD, until_s=9), look(11, Seen.FRESH)], False),  # it may have died of itself
        ([look(3, Seen.OLD)], False),
    ],
)
def test_the_tap_found_what_was_old_between_completion_and_tap(looks: list[Look], found: bool) -> None:
    assert tap_found(case(*looks, done_s=2, live_s=10)) is found


def test_an_edge_held_what_it_gave_and_has_not_forgotten() -> None:
    answer = Answer(0, AFTER, 4, until_ms=1000)
    assert holds(answer, 5, 900)
    assert not holds(answer, 4, 900), "it was from after the change"
    assert not holds(answer, 5, 1000)
    assert not holds(None, 5, 0)


@pytest.mark.parametrize(
    ("change", "is_concerned"),
    [
        (PUBLISHED, True),
        (PostPublished("p1", "hal"), False),
        (PostPublished("p1", "ada"), True),
        (PostEdited("p1", "hal", moved=False), True),
        (PostEdited("p2", "grace", moved=False), False),
        (PostEdited("p2", "grace", moved=True), True),
        (PostWithdrawn("p1", "grace", deleted=True), True),
        (ProfileChanged("grace"), True),
        (ProfileChanged("hal"), False),
        (SettingsChanged("ada", privacy=False), True),
        (FollowsChanged(("eve", "ada")), True),
        (SiteChanged(), True),
        (Invalidated(None), True),
        (Invalidated("eve"), False),
        (PostScored(("p1",)), False),
    ],
)
def test_a_change_concerns_feeds_that_draw_from_it_or_show_it(change: Change, is_concerned: bool) -> None:
    face = Face("ada", frozenset(("grace",)), frozenset(("python",)), Answer(0, AFTER, 1))
    assert concerns(change, face) is is_concerned


def test_a_post_with_a_followed_tag_concerns_a_feed() -> None:
    assert concerns(PostPublished("p1", "hal"), Face("ada", tags=frozenset(("python",))), ("python",))


@pytest.mark.parametrize(
    ("change", "old", "new", "is_other"),
    [
        (PUBLISHED, page(), page(card("p1")), True),
        (PUBLISHED, page(card("p2", "One")), page(card("p2", "Two")), False),  # another's affair
        (PostEdited("p1", "grace", moved=False), page(card("p1", "One")), page(card("p1", "Two")), True),
        (PostWithdrawn("p1", "grace", deleted=True), page(card("p1")), page(), True),
        (ProfileChanged("grace"), page(card("p1")), page(card("p1", name="Amazing")), True),
        (ProfileChanged("grace"), page(), page(card("p1", name="Amazing")), False),  # nobody shows the old name
        (UserDeleted("grace", (), ()), page(card("p1")), page(), True),
        (UserDeleted("ada", (), ()), page(), Page(410), True),
        (FollowsChanged(("ada",)), page(card("p1")), page(), True),
        (FollowsChanged(("ada",)), page(card("p1", at=2000)), page(), False),  # published after the change
        (SiteChanged(), page(), page(), False),
        (Invalidated(None), page(card("p1")), page(card("p1", "Two")), True),
    ],
)
def test_pages_differ_in_what_a_change_is_about(change: Change, old: Page, new: Page, is_other: bool) -> None:
    assert differ(change, old, new, ACCEPTED) is is_other
    assert differ(change, new, new, ACCEPTED) is False
    if not isinstance(change, SiteChanged):
        assert differ(change, old, bare(new), ACCEPTED) is is_other, "against the record too"
        assert differ(change, new, bare(new), ACCEPTED) is False


def test_what_others_published_moves_the_end_of_a_full_page_and_is_no_difference() -> None:
    old = page(card("p3", at=300), card("p2", at=200), more=True)
    new = page(card("p4", at=990), card("p3", at=300), more=True)
    assert differ(FollowsChanged(("ada",)), old, new, 980_000) is False


def test_a_feed_is_read_without_what_is_soft() -> None:
    author = {"name": "Grace H.", "url": "https://example.org/author/grace"}
    item = {"id": "https://example.org/post/p1", "title": "One, two", "date_published": "1970-01-01T00:00:10Z"}
    feed = {"title": "Ada's feed", "authors": [{"name": "Ada", "url": "https://example.org/author/ada"}]}

    def body(likes: int) -> bytes:
        return orjson.dumps({**feed, "items": [{**item, "authors": [author], "_edgebake": {"likes": likes}}]})

    shown = read(200, body(1))
    assert shown == read(200, body(2))
    assert (shown.user, shown.name, shown.more) == ("ada", "Ada", False)
    assert shown.cards[0][:6] == ("p1", "grace", "GraceH", "Onetwo", 10, 10)
    assert read(503, b"busy") == Page(503)
    with pytest.raises(ValueError, match="no feed"):
        read(200, b'{"items": []}')


@pytest.mark.parametrize(
    ("visible", "of", "shown"),
    [(999, 1000, 3.0), (0, 10, 0.0), (3000, 3000, 3.0), (1, 1, 0.0), (0, 0, None)],
)
def test_nines_are_what_was_seen_or_what_that_many_show(visible: int, of: int, shown: float | None) -> None:
    assert nines(visible, of) == shown
