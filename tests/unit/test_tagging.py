"""The table: each kind of change to the cache tags it drops, and to those that the fence alone checks."""

from dataclasses import dataclass, field, replace

import pytest

from cdn import tags
from cdn.ledger import ALL_SHARDS, Readers
from cdn.pending import Flag
from feeds.affected import Affected
from feeds.change import (
    KINDS,
    Change,
    Covered,
    FollowsChanged,
    Imported,
    Invalidated,
    PostEdited,
    PostPublished,
    PostScored,
    PostWithdrawn,
    ProfileChanged,
    Reranked,
    SettingsChanged,
    SiteChanged,
    SourceCrossed,
    UserCreated,
    UserDeleted,
)
from feeds.ids import shard_of
from invalidator.tagging import by_shard, dropped_tags, guard_tags, rolls, section_tags, shards_in, shards_of


@dataclass(frozen=True)
class Row:
    """A change, and what it drops with the part that completes it, and with one of its parts.

    That part names the user ``fan``, the post ``shown``, the author ``bob`` and the guarded post ``other``; the tag
    ``cats``, and readers who name none.
    """

    change: Change
    shared: set[str]
    part: set[str] = field(default_factory=lambda: {"u-fan", "p-shown"})
    guards: set[str] = field(default_factory=lambda: {"a-bob", "p-other"})
    urgent: bool = False


CATS = tags.topic_tag("cats")
NAMED = {"u-fan", "p-shown", "a-bob"}
"""What a part drops that names its authors to be dropped, and not as a guard."""
ROWS = [
    Row(PostPublished("p1", "ada"), {"p-p1", "a-ada", CATS, "o"}),
    Row(PostEdited("p1", "ada", moved=False), {"p-p1"}),
    Row(PostEdited("p1", "ada", moved=True), {"p-p1", "a-ada", CATS, "o"}),
    Row(PostWithdrawn("p1", "ada", deleted=False), {"p-p1"}, urgent=True),
    Row(PostWithdrawn("p1", "ada", deleted=True), {"p-p1"}, urgent=True),
    Row(UserCreated("ada"), {"u-ada"}),
    Row(ProfileChanged("ada"), {"u-ada", "a-ada"}),
    Row(UserDeleted("ada", ("p1",), ("fan",)), {"u-ada", "a-ada"}, urgent=True),
    Row(SettingsChanged("ada", privacy=True), {"u-ada"}, urgent=True),
    Row(SettingsChanged("ada", privacy=False), {"u-ada"}),
    Row(FollowsChanged(("ada", "eve")), {"u-ada", "u-eve"}),
    Row(PostScored(("p1", "p2")), set()),
    Row(SourceCrossed(7, "ada", is_tag=False, state="pull"), set()),
    Row(Reranked((5, 63), ("ada",)), {"s-05", "s-3f", "u-ada"}),
    Row(SiteChanged(), {"g"}),
    Row(SiteChanged(rolling=True), set()),
    # Each part of an import stands for itself: nothing is left for the last one.
    Row(Imported((), (), (), ()), set(), NAMED, {"p-other"}),
    Row(Invalidated("ada"), {"u-ada", "a-ada"}),
    Row(Invalidated(None), {"g"}),
    Row(Invalidated(None, rolling=True), set()),
    Row(Covered("c0"), {CATS, "o"}, NAMED, {"p-other"}),
    Row(Covered("c0", urgent=True), {CATS, "o"}, NAMED, {"p-other"}, urgent=True),
]


def part_of(change: Change, *, shared: bool = False) -> Affected:
    """Return a part of a change that names everything a part can name."""
    return Affected(
        "c1",
        change,
        "a",
        0,
        None,
        users=("fan",),
        posts=("shown",),
        authors=("bob",),
        guarded=("other",),
        topics=("cats",),
        overflow=True,
        shared=shared,
    )


def test_every_kind_of_change_has_a_row() -> None:
    assert {type(row.change) for row in ROWS} == set(KINDS.values())


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.change}")
def test_a_part_drops_what_it_names(row: Row) -> None:
    assert set(dropped_tags(part_of(row.change))) == row.part
    urgent = {tags.guard_of(tag) for tag in row.part} if row.urgent else set()
    assert set(guard_tags(part_of(row.change))) == row.guards | urgent


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.change}")
def test_the_part_that_completes_the_others_drops_what_they_share(row: Row) -> None:
    assert set(dropped_tags(part_of(row.change, shared=True))) == row.part | row.shared


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.change}")
def test_what_is_taken_away_from_somebody_is_urgent_and_has_guards_of_its_own(row: Row) -> None:
    found = by_shard([part_of(row.change, shared=True)])
    flags = {tag: flag for of_shard in found.values() for tag, flag in of_shard.dropped.items()}
    wide = {"o": Flag.PATIENT} if isinstance(row.change, Covered) else {}
    assert flags == (dict.fromkeys(flags, Flag.URGENT) if row.urgent else dict.fromkeys(flags, Flag.PLAIN) | wide)
    guards = {guard for of_shard in found.values() for guard in of_shard.guards if guard.startswith("!")}
    assert guards == ({f"!{tag}" for tag in row.part | row.shared} if row.urgent else set())


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.change}")
def test_an_empty_part_drops_nothing(row: Row) -> None:
    part = Affected("c1", row.change, "a", 0, None)
    assert (list(dropped_tags(part)), list(guard_tags(part))) == ([], [])


@pytest.mark.parametrize("change", [SiteChanged(rolling=True), Invalidated(None, rolling=True)], ids=str)
def test_what_rolls_drops_nothing_yet_and_lets_no_bake_from_before_leave(change: Change) -> None:
    part = Affected("c1", change, "a", 0, 1, shared=True)
    assert rolls(change)
    assert (list(dropped_tags(part)), list(guard_tags(part))) == ([], ["g"])


def test_a_post_without_tags_drops_its_authors() -> None:
    part = Affected("c1", PostPublished("p1", "ada"), "a", 0, 1, shared=True)
    assert set(dropped_tags(part)) == {"p-p1", "a-ada"}


def test_readers_of_a_posts_sources_are_not_dropped_but_looked_up() -> None:
    ada, eve = shard_of("ada"), shard_of("eve")
    part = Affected(
        "c1",
        PostPublished("p1", "bob"),
        "a",
        0,
        None,
        users=("ada",),
        sections=("eve",),
        sources=(7, 2**31),
        topics=("cats",),
    )
    found = by_shard([part])
    assert {shard: of_shard.readers for shard, of_shard in found.items()} == {
        ada: [Readers((7, 2**31), "ada")],
        eve: [Readers((7, 2**31), "eve")],
    }
    assert all(not of_shard.dropped for of_shard in found.values())
    assert all(of_shard.guards == {"a-bob", CATS} for of_shard in found.values()), "no bake from before passes"


def test_a_users_or_shards_tag_is_recorded_in_one_shard_and_any_other_in_all() -> None:
    assert list(shards_of("u-ada")) == [shard_of("ada")]
    assert list(shards_of("s-0f")) == [15]
    for tag in ("g", "p-1", "a-ada", "t-00ff", "o", "!p-1", "!a-ada"):
        assert list(shards_of(tag)) == list(ALL_SHARDS)
    assert list(shards_of("!u-ada")) == [shard_of("ada")]


def test_each_shard_gets_the_users_that_are_its_own() -> None:
    users = tuple(f"user{number}" for number in range(200))
    found = by_shard([Affected("c1", PostPublished("p1", "ada"), "a", 0, None, users)])
    assert sum(len(tags.dropped) for tags in found.values()) == 200
    assert all(tag in {f"u-{user}" for user in users} for tags in found.values() for tag in tags.dropped)
    assert all(shard_of(tag[2:]) == shard for shard, tags in found.items() for tag in tags.dropped)


def test_users_in_sections_have_their_tags_in_their_shard() -> None:
    users = [user for user in (f"user{number}" for number in range(500)) if shard_of(user) == 7]
    section = "\n".join(users)
    part = Affected("c1", PostPublished("p1", "ada"), "a", 0, None, sections=(section, "ada"))
    found = {shard: set(needs.dropped) for shard, needs in by_shard([part]).items()}
    assert found == {7: {f"u-{user}" for user in users}, shard_of("ada"): {"u-ada"}}
    assert section_tags(section) == [f"u-{user}" for user in users]


def test_the_tags_of_many_parts_are_recorded_once() -> None:
    parts = [Affected("c1", PostEdited("p1", "ada", moved=False), "a", 0, 1, shared=True) for _ in range(3)]
    found = by_shard(parts)
    assert {shard: set(tags.dropped) for shard, tags in found.items()} == {shard: {"p-p1"} for shard in ALL_SHARDS}


def test_what_parts_need_is_merged_by_shard() -> None:
    parts = [part_of(row.change, shared=True) for row in ROWS]
    found, alone = by_shard(parts), [by_shard([part]) for part in parts]
    for shard, joined in found.items():
        needs = [need[shard] for need in alone if shard in need]
        assert joined.dropped.keys() == {tag for need in needs for tag in need.dropped}
        assert joined.guards == {tag for need in needs for tag in need.guards}
        assert joined.readers == [readers for need in needs for readers in need.readers]
        assert {tag for tag, flags in joined.dropped.items() if Flag.URGENT in flags} == {
            tag for need in needs for tag, flags in need.dropped.items() if Flag.URGENT in flags
        }


@pytest.mark.parametrize("shared", [True, False])
def test_a_part_is_in_the_shards_that_have_something_to_record_for_it(shared: bool) -> None:
    for row in ROWS:
        part = replace(part_of(row.change, shared=shared), sections=("ada",))
        for each in (part, replace(part, sources=(1,), topics=("t",))):
            needs = by_shard([each])
            assert set(shards_in(each)) == {s for s, n in needs.items() if n.dropped or n.guards or n.readers}
