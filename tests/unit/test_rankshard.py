"""The map of a recalculation chooses what a slow loop over ``feeds.ranking`` chooses, for any world."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds import rankshard, standings
from feeds.model import TAG, Entry, Epoch, Sources, Taste
from feeds.packing import Timeline, pack_entry, pack_sources, pack_taste, pack_timeline, read_timeline, without_names
from feeds.ranking import Order, Weights, rank_ms
from feeds.rankshard import Options

AUTHORS = range(1, 9)
TAGS = range(TAG + 1, TAG + 5)
EPOCH = Epoch(3, likes=4.0, comments=0.5, views=30.0)


@dataclass(frozen=True)
class Reader:
    """A reader of a world: how they read, what they draw from, what they think of it."""

    order: Order
    sources: Sources
    taste: Taste


def some(numbers: Sequence[int], most: int) -> st.SearchStrategy[tuple[int, ...]]:
    """Return sorted tuples of some of these numbers."""
    return st.lists(st.sampled_from(numbers), unique=True, max_size=most).map(lambda chosen: tuple(sorted(chosen)))


entries = st.builds(
    Entry,
    num=st.just(0),
    post=st.just(""),
    author=st.sampled_from(AUTHORS),
    published_ms=st.integers(0, 40).map(lambda minutes: 1_700_000_000_000 + 60_000 * minutes),  # so that times tie
    likes=st.integers(0, 50),
    comments=st.integers(0, 3),
    views=st.integers(0, 1000),
    tags=some(TAGS, 3),
    live=st.booleans().flatmap(lambda maybe: st.just(True) if maybe else st.booleans()),
    version=st.just(1),
)
posts = st.lists(entries, max_size=60).flatmap(
    lambda listed: st.permutations(range(len(listed))).map(
        lambda names: [
            entry._replace(num=10 + i, post=f"p{name}")
            for i, (entry, name) in enumerate(zip(listed, names, strict=True))
        ]
    )
)
tastes = st.builds(
    Taste,
    authors=st.dictionaries(st.sampled_from(AUTHORS), st.integers(1, 20), max_size=4),
    shown=st.dictionaries(st.integers(1, 75), st.integers(1, 15), max_size=20),
)
sources_of_readers = st.builds(
    Sources,
    user=st.just("reader"),
    num=st.sampled_from([*AUTHORS, 99]),
    authors=some(AUTHORS, 8),
    tags=some(TAGS, 2),
    muted_authors=some(AUTHORS, 1),
    muted_tags=some(TAGS, 1),
    blocked=some(AUTHORS, 1),
    version=st.just(1),
).map(lambda sources: replace(sources, authors=tuple(n for n in sources.authors if n != sources.num)))  # it is refused
orders: st.SearchStrategy[Order] = st.sampled_from(("newest", "ranked"))
readers = st.builds(Reader, order=orders, sources=sources_of_readers, taste=tastes)
options = st.builds(
    Options,
    snapshot=st.integers(0, 9),
    cap=st.integers(1, 12),
    candidates=st.integers(13, 24),
    own_posts=st.booleans(),
    pulled=some([*AUTHORS, *TAGS], 2),
    weights=st.builds(Weights, tags=st.sampled_from([0.0, 0.5]), shown=st.sampled_from([0.0, 0.25])),
)


def candidates_of(world: Sequence[Entry], reader: Reader, asked: Options) -> list[Entry]:
    """Return all posts that a reader's feed may draw on, the newest first: one by one."""
    sources = reader.sources
    left_out = {*sources.muted_authors, *sources.blocked}
    own = {sources.num} if asked.own_posts else set()
    drawn = {*own, *sources.authors, *sources.tags} - set(asked.pulled)
    found = [
        entry
        for entry in world
        if entry.live
        and entry.author not in left_out
        and not set(entry.tags) & set(sources.muted_tags)
        and {entry.author, *entry.tags} & (drawn - left_out)
    ]
    return sorted(found, key=lambda entry: entry.key, reverse=True)


def slowly(world: Sequence[Entry], reader: Reader, asked: Options) -> bytes:
    """Return a reader's timeline, made one post after the other."""
    found = candidates_of(world, reader, asked)
    looked_at = found[: asked.candidates if reader.order == "ranked" else asked.cap + 1]
    if reader.order == "ranked":

        def place(entry: Entry) -> tuple[int, str]:
            return rank_ms(entry, EPOCH, reader.taste, reader.sources.tags, asked.weights), entry.post

        looked_at = sorted(looked_at, key=place, reverse=True)
    kept, left_out = looked_at[: asked.cap], looked_at[asked.cap :]
    floor = -inf if asked.floor_ms is None else asked.floor_ms - 1
    mark = max((entry.published_ms for entry in left_out), default=floor)
    return pack_timeline(reader.order, asked.snapshot, mark, [entry.num for entry in kept])


def ranked(world: Sequence[Entry], shard: Sequence[Reader], asked: Options) -> list[bytes]:
    """Return the readers' timelines as the map makes them."""
    catalogue = {entry.num: pack_entry(entry, 1) for entry in world}
    packed = rankshard.pack_readers(
        [reader.order == "ranked" for reader in shard],
        [without_names(pack_sources(reader.sources)) for reader in shard],
        [pack_taste(reader.taste) for reader in shard],
    )
    made = rankshard.rank_shard(standings.pack(catalogue, EPOCH, asked.weights), packed, asked.pack())
    return rankshard.unpack_timelines(made)


def told(packed: bytes) -> Timeline:
    """Return a timeline; in a ranked one, whose posts stand in no order, with these sorted."""
    timeline = read_timeline(packed)
    return timeline._replace(nums=sorted(timeline.nums) if timeline.order == "ranked" else list(timeline.nums))


@given(world=posts, shard=st.lists(readers, max_size=6), asked=options)
def test_the_map_makes_the_timelines_that_the_slow_loop_makes(
    world: list[Entry], shard: list[Reader], asked: Options
) -> None:
    made = ranked(world, shard, asked)
    assert [told(packed) for packed in made] == [told(slowly(world, reader, asked)) for reader in shard]


@pytest.mark.parametrize("seed", range(4))
def test_readers_who_look_to_different_depths_get_what_the_slow_loop_gives(seed: int) -> None:
    chance = Random(seed)
    world = [random_entry(chance, num) for num in range(1, 3001)]
    shard = [random_reader(chance) for _ in range(60)]
    asked = Options(snapshot=5, cap=20, candidates=40, pulled=(2, TAG | 1), floor_ms=1_600_000_000_000)
    made = ranked(world, shard, asked)
    assert [told(packed) for packed in made] == [told(slowly(world, reader, asked)) for reader in shard]


def random_entry(chance: Random, num: int) -> Entry:
    """Return a post by one of 400 authors, some of whom write most."""
    tags = {TAG | int(chance.paretovariate(1)) for _ in range(chance.choice((0, 0, 0, 1, 3)))}
    likes, comments, views = (int(chance.paretovariate(0.7)) - 1 for _ in range(3))
    author = min(400, int(chance.paretovariate(0.5)))
    published_ms = 1_700_000_000_000 + 1000 * chance.randrange(20_000)
    listed, is_live = tuple(sorted(tags)), num % 50 != 0
    return Entry(num, f"p{chance.random()}", author, published_ms, likes, comments, views, listed, is_live, 1)


def random_reader(chance: Random) -> Reader:
    """Return somebody who draws from few sources or many, and may mute some."""

    def several(most: int, kind: int = 0) -> tuple[int, ...]:
        return tuple(sorted({kind | chance.randint(1, 400) for _ in range(chance.randint(0, most))}))

    follows = several(chance.choice((2, 30, 300)))
    few = chance.choice((0, 0, 3))
    tags, muted_tags = several(few * 20, TAG), several(few * 2, TAG)
    sources = Sources("reader", 500, follows, tags, several(few), muted_tags, several(few), 1)
    liked = {author: chance.randint(1, 9) for author in several(20)}
    shown = {num: chance.randint(1, 12) for num in chance.sample(range(1, 3100), 60)}
    return Reader(chance.choice(("newest", "ranked")), sources, Taste(liked, shown))


def test_nobody_and_nothing_are_ranked_too() -> None:
    assert ranked([], [], Options(snapshot=1)) == []


def test_standings_refuse_more_posts_over_more_time_than_a_key_has_room_for() -> None:
    world = [Entry(num, f"p{num}", 1, when, 0, 0, 0, (), True, 1) for num, when in ((1, 0), (2, 2**61))]
    with pytest.raises(ValueError, match="EDGEBAKE_POST_DAYS"):
        ranked(world, [], Options(snapshot=1))
