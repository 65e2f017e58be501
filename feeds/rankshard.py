"""The map of a full recalculation: the timelines of a shard's readers, from bytes to bytes.

It touches no network and keeps nothing but the standings it read last, so anything that can hand bytes to Python can
run it (docs/recompute.md). It chooses what a slow loop over ``feeds.ranking`` would choose, for many readers at once:

1. From each source of a reader, the posts above a depth at which there are just enough in all.
2. The newest of those: 400 for who reads by rank, 201 for newest first. Muted and blocked ones are left out.
3. By rank: each post's score and the reader's own part, and the best 200 of them.

The mark is the time of the newest post that was left out.
"""

import struct
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import NamedTuple

import numpy as np
import orjson

from feeds import standings
from feeds.model import TAG
from feeds.ranking import MOST_SHOWN, Weights, part_of
from feeds.rows import by_reader, counted, listed, merged, padded, spans, sums
from feeds.standings import NOTHING, Array, Standings

NO_TASTE = bytes(8)
AT_ONCE = 384
"""Readers ranked at once: what they need stays in a core's cache."""
TABLE = 1 << 25
"""Cells of the table from reader and author to what the reader thinks of the author."""
MOST = 2**31 - 1
"""Numbers here have 32 bits where they can: half the memory is twice the speed."""
_LEFT_OUT = 0xFFFF


@dataclass(frozen=True, slots=True)
class Options:
    """How a shard is ranked. ``snapshot`` is the number of the fan-out log that was read before anything else.

    ``pulled``: numbers of the sources that are not drawn from. ``floor_ms``: the catalogue lacks older posts.
    """

    snapshot: int
    cap: int = 200
    candidates: int = 400
    own_posts: bool = True
    pulled: Sequence[int] = ()
    floor_ms: int | None = None
    weights: Weights = field(default_factory=Weights)

    def pack(self) -> bytes:
        """Return them as JSON."""
        return orjson.dumps(asdict(self))

    @classmethod
    def read(cls, packed: bytes) -> "Options":
        """Return the options that were packed."""
        fields = orjson.loads(packed)
        return cls(**{**fields, "weights": Weights(**fields["weights"])})


def pack_readers(ranked: Sequence[bool], sources: Sequence[bytes], tastes: Sequence[bytes | None]) -> bytes:
    """Return a shard's readers: whether each reads by rank, their tastes as ``feeds.packing`` has them, and so
    their sources, ``without_names``."""
    known = [taste or NO_TASTE for taste in tastes]
    sizes = np.array([*map(len, sources), *map(len, known)], "<u4").tobytes()
    return b"".join((struct.pack("<I", len(ranked)), sizes, *sources, *known, bytes(ranked)))


def unpack_timelines(packed: bytes) -> list[bytes]:
    """Return the timelines that ``rank_shard`` made, in the order of the readers."""
    (count,) = struct.unpack_from("<I", packed)
    ends = (np.frombuffer(packed, "<u4", count, 4).cumsum() + 4 + 4 * count).tolist()
    return [packed[begin:end] for begin, end in zip([4 + 4 * count, *ends], ends, strict=False)]


def rank_shard(posts: bytes, readers: bytes, options: bytes) -> bytes:
    """Return a timeline (``feeds.packing``) for each reader.

    ``posts`` come from ``standings.pack``, ``readers`` from ``pack_readers``, ``options`` from ``Options.pack``.
    """
    shard = _Shard(standings.read(posts), _read_readers(readers), Options.read(options))
    made = shard.timelines()
    return struct.pack("<I", len(made)) + np.array([*map(len, made)], "<u4").tobytes() + b"".join(made)


class _Readers(NamedTuple):
    """Readers as arrays. A list of all readers is two arrays: whose each number is, and the numbers."""

    ranked: Array
    drawn: tuple[Array, Array]  # own number first, then authors, then tags
    tags: tuple[Array, Array]
    hidden: tuple[Array, Array]  # muted and blocked authors
    muted_tags: tuple[Array, Array]
    liked: tuple[Array, Array, Array]  # and how often
    shown: tuple[Array, Array, Array]


def _read_readers(packed: bytes) -> _Readers:
    (count,) = struct.unpack_from("<I", packed)
    sizes = np.frombuffer(packed, "<u4", 2 * count, 4).astype(np.int64) // 4
    begin = 4 + 8 * count
    flat = np.frombuffer(packed, "<u4", int(sizes.sum()), begin).copy()
    at = np.cumsum(sizes) - sizes
    own, tastes = at[:count], at[count:]
    head = flat[own[:, None] + np.arange(6)].astype(np.int64)
    authors, tags, muted, muted_tags, blocked = head[:, 1:].T
    liked, shown = flat[tastes[:, None] + np.arange(2)].astype(np.int64).T
    # The number before the authors is how many are blocked, which is known by now: the own number takes its place.
    flat[own + 5] = head[:, 0]
    first = own + 6 + authors
    return _Readers(
        np.frombuffer(packed, "u1", count, begin + flat.nbytes) == 1,
        listed(flat, own + 5, 1 + authors + tags),
        listed(flat, first, tags),
        merged(listed(flat, first + tags, muted), listed(flat, first + tags + muted + muted_tags, blocked)),
        listed(flat, first + tags + muted, muted_tags),
        counted(flat, tastes + 2, liked),
        counted(flat, tastes + 2 + 2 * liked, shown),
    )


class _Shard:
    """One shard being ranked."""

    def __init__(self, posts: Standings, readers: _Readers, options: Options) -> None:
        self._posts = posts
        self._readers = readers
        self._options = options
        self._none = len(posts.num) - 1
        self._count = len(readers.ranked)
        self._made = [b""] * self._count
        rows, numbers = readers.drawn
        index = self._drawn(rows, numbers)
        there = index != posts.nobody
        self._index, self._is_tag = index[there], numbers[there] >= TAG
        self._begins = np.searchsorted(rows[there], np.arange(self._count + 1))
        self._opinions = _Opinions(posts, readers, options.weights)
        which, shown, times = readers.shown
        self._shown = by_reader(which, posts.places_of(shown), np.minimum(times, MOST_SHOWN), self._count, self._none)
        muter, muted = readers.muted_tags
        self._muted_tags = by_reader(
            muter, posts.indices(muted), np.zeros(len(muted), np.int64), self._count, posts.nobody
        )
        self._pulled_tags = [tag for tag in options.pulled if tag >= TAG]
        self._wide = np.zeros(self._count, bool)
        for reader, _ in (readers.tags, readers.hidden, readers.muted_tags):
            self._wide[reader] = True

    def timelines(self) -> list[bytes]:
        """Return every reader's timeline."""
        for ranked in (True, False):
            limit = self._options.candidates if ranked else self._options.cap + 1
            for wide in (False, True):
                rows = np.flatnonzero((self._readers.ranked == ranked) & (self._wide == wide))
                need = limit + wide * limit // 4  # a wide reader's posts may be found twice, or left out
                while len(rows):
                    rows = self._round(rows, need, limit)
                    need *= 4
        return self._made

    def _drawn(self, rows: Array, numbers: Array) -> Array:
        """Return the index of each source that is drawn from, nobody's for what is not."""
        index = self._posts.indices(numbers)
        first = np.concatenate(([True], rows[1:] != rows[:-1])) if len(rows) else np.zeros(0, bool)
        if not self._options.own_posts:
            index[first] = self._posts.nobody
        if self._options.pulled:
            index[np.isin(numbers, np.array(self._options.pulled, np.uint32))] = self._posts.nobody  # the own one too
        return index

    def _round(self, rows: Array, need: int, limit: int) -> Array:
        """Make the timelines of readers who have enough above the depth chosen for them; return the others."""
        levels, totals = self._levels(rows, need)
        order = np.argsort(totals, kind="stable")  # those with as many posts fill a matrix without waste
        rows, levels = rows[order], levels[order]
        left = [np.zeros(0, np.int64)]
        step = max(1, min(AT_ONCE, TABLE // (self._posts.nobody + 1), MOST // (self._none + 1)))
        for at in range(0, len(rows), step):
            batch = rows[at : at + step]
            done = self._rank(batch, levels[at : at + step], limit)
            left.append(batch[~done])
        return np.concatenate(left)

    def _levels(self, rows: Array, need: int) -> tuple[Array, Array]:
        """Return for each reader the first depth above which their sources have enough posts, and how many."""
        which, index, _ = self._pairs(rows)
        ends = np.concatenate(([0], np.cumsum(self._begins[rows + 1] - self._begins[rows])))
        deepest = len(self._posts.depths) - 1
        low, high = np.zeros(len(rows), np.int32), np.full(len(rows), deepest, np.int32)
        for _ in range(deepest.bit_length()):
            middle = (low + high) // 2
            enough = sums(self._above(index, middle.take(which)), ends) >= need
            high = np.where(enough, middle, high)
            low = np.where(enough, low, np.minimum(middle + 1, deepest))
        return high, sums(self._above(index, high.take(which)), ends)

    def _above(self, index: Array, levels: Array) -> Array:
        """Return how many posts each of these sources has above a depth."""
        return self._posts.counts.ravel().take(index * np.int32(len(self._posts.depths)) + levels)

    def _pairs(self, rows: Array) -> tuple[Array, Array, Array]:
        """Return the readers (as places in ``rows``) and sources of all that these readers draw from, and which are
        tags."""
        sizes = self._begins[rows + 1] - self._begins[rows]
        at = spans(self._begins[rows], sizes)
        return np.repeat(np.arange(len(rows), dtype=np.int32), sizes), self._index[at], self._is_tag[at]

    def _rank(self, rows: Array, levels: Array, limit: int) -> Array:
        """Make these readers' timelines; return who had enough posts for that."""
        deepest = levels == len(self._posts.depths) - 1
        made = self._matrix(rows, levels, limit)
        done: Array = deepest | (made.valid >= limit)
        nums, left_out = self._best(rows, made) if self._readers.ranked[rows[0]] else self._newest(made)
        self._keep(rows, done, np.minimum(made.valid, self._options.cap), nums, left_out)
        return done

    def _matrix(self, rows: Array, levels: Array, limit: int) -> "_Candidates":
        """Return the newest ``limit`` posts of each reader, of those above the depth chosen for them."""
        which, index, is_tag = self._pairs(rows)
        sizes = self._above(index, levels.take(which))
        places = self._posts.places.take(spans(self._posts.starts.take(index), sizes))
        totals = np.bincount(which, sizes, len(rows)).astype(np.int32)
        if not self._wide[rows[0]]:
            matrix = padded(places, totals, self._none)
            return _Candidates(matrix, matrix[:, :limit], None, totals)
        # A post that a followed tag draws too stands twice, its place by the tag first.
        matrix = padded(places * 2 + np.repeat(~is_tag, sizes), totals, 2 * self._none + 1)
        return self._sifted(rows, matrix >> 1, (matrix & 1) == 0, limit)

    def _sifted(self, rows: Array, found: Array, tagged: Array, limit: int) -> "_Candidates":
        """Return the newest ``limit`` of sorted places without those that stand twice, are muted or blocked."""
        keep = found != self._none
        keep[:, 1:] &= found[:, 1:] != found[:, :-1]
        keep &= ~self._opinions.hidden(rows, found)
        self._without_muted_tags(rows, found, keep)
        for tag in self._pulled_tags:
            follows = np.isin(rows, self._readers.tags[0][self._readers.tags[1] == tag])
            tagged |= follows[:, None] & self._has(self._posts.indices(np.array([tag], np.uint32)))[found]
        upto = np.cumsum(keep, axis=1, dtype=np.int32)
        places = np.where(keep & (upto <= limit), found, self._none)
        return _Candidates(found, places, tagged & keep, upto[:, -1])

    def _without_muted_tags(self, rows: Array, found: Array, keep: Array) -> None:
        which, tags, _ = self._muted_tags.of(rows)
        for row in np.unique(which).tolist():
            keep[row] &= ~self._has(tags[which == row])[found[row]]

    def _has(self, sources: Array) -> Array:
        """Return of each place whether its post is of one of these sources, given by index."""
        has = np.zeros(self._none + 1, bool)
        for source in sources.tolist():
            has[self._posts.places[self._posts.starts[source] : self._posts.starts[source + 1]]] = True
        return has

    def _newest(self, made: "_Candidates") -> tuple[Array, Array]:
        """Return the numbers of the posts that each reader keeps, all but the oldest where that is one too many, and
        its place."""
        last = np.where(made.places != self._none, made.places, -1).max(axis=1)
        left_out = np.where(made.valid > self._options.cap, last, self._none)
        return self._posts.num[made.places[made.places < left_out[:, None]]], left_out

    def _best(self, rows: Array, made: "_Candidates") -> tuple[Array, Array]:
        """Return the numbers of the posts that each reader keeps by rank, and the place of the newest left out."""
        keys = self._posts.key.take(made.places)
        classes = self._opinions.classes(rows, made)
        if classes is not None:
            keys += self._opinions.parts[:, 0].take(classes)
        self._lower_shown(rows, made, classes, keys)
        best, left_out = keys, np.full(len(rows), self._none)
        if (over := keys.shape[1] - self._options.cap) > 0:
            best = np.partition(keys, over, axis=1)[:, over:]
            worse = (keys < best[:, :1]) & (made.places != self._none)
            first = worse.argmax(axis=1)  # the newest, for places are in order
            row = np.arange(len(rows))
            left_out = np.where(worse[row, first], made.places[row, first], self._none)
        best = best[best > NOTHING // 2] if (made.valid < self._options.cap).any() else best.ravel()
        return self._posts.by_id.take(best & (len(self._posts.by_id) - 1)), left_out

    def _lower_shown(self, rows: Array, made: "_Candidates", classes: Array | None, keys: Array) -> None:
        which, places, times = self._shown.of(rows)
        if not len(which):
            return
        stride = self._none + 1
        flat = (made.found + np.arange(len(rows), dtype=np.int32)[:, None] * np.int32(stride)).ravel()
        wanted = which * stride + places
        at = np.minimum(np.searchsorted(flat, wanted.astype(flat.dtype)), len(flat) - 1)
        hit = flat[at] == wanted
        row, column = np.divmod(at[hit], made.found.shape[1])
        inside = column < keys.shape[1]
        row, column, times = row[inside], column[inside], times[hit][inside]
        kind = 0 if classes is None else classes[row, column]
        keys[row, column] += self._opinions.parts[kind, times] - self._opinions.parts[kind, 0]

    def _keep(self, rows: Array, done: Array, sizes: Array, nums: Array, left_out: Array) -> None:
        """Keep the timelines of readers who are done: the mark is the time of the newest post that was left out."""
        kind = b"R" if self._readers.ranked[rows[0]] else b"N"
        head = b"%b%d " % (kind, self._options.snapshot)
        floor = b"-inf\n" if self._options.floor_ms is None else b"%d\n" % (self._options.floor_ms - 1)
        marks = [self._posts.marks[place] or floor for place in left_out.tolist()]
        packed = memoryview(nums.astype("<u4").tobytes())
        ends = (4 * np.cumsum(sizes)).tolist()
        for row, is_done, mark, begin, end in zip(rows.tolist(), done.tolist(), marks, [0, *ends], ends, strict=False):
            if is_done:
                self._made[row] = b"".join((head, mark, packed[begin:end]))


class _Candidates(NamedTuple):
    """What a batch of readers may be shown, a row each. ``found``: all places looked at, sorted; ``places``: those of
    candidates, of no post elsewhere; ``tagged``: which have a followed tag, None where nobody follows one; ``valid``:
    how many there were before the limit."""

    found: Array
    places: Array
    tagged: Array | None
    valid: Array


class _Opinions:
    """What readers think of authors: a table of a batch's readers and all authors, used again for the next batch.

    A cell is 0, or twice the place of the reader's number of reactions among the different ones, or LEFT_OUT.
    ``parts`` is the own part, as it is added to a key: by class (the cell, and 1 for a followed tag), by times shown.
    """

    def __init__(self, posts: Standings, readers: _Readers, weights: Weights) -> None:
        self._posts = posts
        self._width = posts.nobody + 1
        self._table = np.zeros((0, self._width), np.uint16)
        count = len(readers.ranked)
        liker, author, times = readers.liked
        different, cell = np.unique(np.append(times, np.uint32(0)), return_inverse=True)
        self._liked = by_reader(liker, posts.indices(author), 2 * cell[:-1], count, posts.nobody)
        hider, hidden = readers.hidden
        self._hidden = by_reader(hider, posts.indices(hidden), np.full(len(hider), _LEFT_OUT), count, posts.nobody)
        parts = [
            [1000 * part_of(tagged, reactions, shown, weights) for shown in range(MOST_SHOWN + 1)]
            for reactions in different.tolist()
            for tagged in (False, True)
        ]
        self.parts = np.array(parts, np.int64) << posts.bits

    def hidden(self, rows: Array, places: Array) -> Array:
        """Return which of these places are by an author whom the reader does not see."""
        cells = self._cells(self._hidden.of(rows), places)
        return np.zeros((1, 1), bool) if cells is None else cells == _LEFT_OUT

    def classes(self, rows: Array, made: _Candidates) -> Array | None:
        """Return the class of each candidate; None where all are of class 0."""
        cells = self._cells(self._liked.of(rows), made.places)
        if made.tagged is None:
            return cells
        return made.tagged.astype(np.uint16) + (0 if cells is None else cells)

    def _cells(self, opinions: tuple[Array, Array, Array], places: Array) -> Array | None:
        which, authors, cells = opinions
        if not len(which):
            return None
        if len(self._table) < len(places):
            self._table = np.zeros((len(places), self._width), np.uint16)
        self._table[which, authors] = cells
        at = self._posts.author.take(places) + np.arange(len(places), dtype=np.int32)[:, None] * np.int32(self._width)
        found: Array = self._table.ravel().take(at)
        self._table[which, authors] = 0
        return found
