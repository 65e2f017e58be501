"""Standings: the catalogue as arrays, for one recalculation: posts newest first, their scores, each source's posts.

Packed, they are what a shard's map is given beside its users (all integers little-endian): ``<4I`` how many posts,
how many tags of them all, and twice 0; then arrays, the newest post first: number (u32), author (u32), published ms
(i64), score ms (i64), place of its id among all ids (u32); where its tags begin (u32, one more than posts) and the tags
(u32).
"""

import struct
from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import log1p
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feeds.model import TAG, Epoch
from feeds.packing import MOST
from feeds.ranking import Weights

Array = NDArray[Any]

LEVELS = 48
"""How far down a reader looks is one of so many depths: the next deeper one has about a seventh more posts."""
SHALLOWEST = 256
NOTHING = -(1 << 62)
"""The key of no post: below that of any."""
_HEAD = struct.Struct("<4I")
_ENTRY = np.dtype(
    {
        "names": ["live", "version", "generation", "author", "published_ms", "likes", "comments", "views", "tags"],
        "formats": ["u1", "<u4", "<u4", "<u4", "<i8", "<u4", "<u4", "<u4", "u1"],
    }
)
"""An entry of the catalogue up to its tags, as ``feeds.packing`` packs it: nothing between the fields."""


class Standings(NamedTuple):
    """What ranking needs of all posts. A *place* is a post's index, newest first; the last place is that of no post.

    ``marks`` are the times as a timeline's header has them. ``key`` orders as the ranked feed does: score, then id; its
    low ``bits`` are the id's place, which ``by_id`` turns into the post's number. ``starts`` and ``places`` list each
    source's posts, and ``counts`` tells how many of them stand above each of the ``depths``; the last source is that of
    nobody. ``authors``, ``tags`` and ``by_num`` find an index or a place by number.
    """

    num: Array
    marks: Sequence[bytes]
    author: Array
    key: Array
    bits: int
    by_id: Array
    sources: Array
    starts: Array
    places: Array
    depths: Array
    counts: Array
    authors: Array
    tags: Array
    by_num: Array

    @property
    def nobody(self) -> int:
        """Return the index of the source that has no posts."""
        return len(self.sources)

    def indices(self, sources: Array) -> Array:
        """Return the index of each source number."""
        found = self.authors[np.minimum(sources, len(self.authors) - 1)]
        tags = np.flatnonzero(sources >= TAG)
        found[tags] = self.tags[np.minimum(sources[tags] - TAG, len(self.tags) - 1)]
        return found

    def places_of(self, nums: Array) -> Array:
        """Return the place of each post number, that of no post where the catalogue has it not."""
        below = nums.astype(np.int64) - int(self.num[:-1].min(initial=MOST))
        below[(below < 0) | (below >= len(self.by_num))] = len(self.by_num) - 1
        return self.by_num[below]


def pack(packed: Mapping[int, bytes], epoch: Epoch, weights: Weights) -> bytes:
    """Return the standings of the catalogue's entries, by post number; posts that are not published are left out."""
    nums = np.fromiter(packed, np.uint32, len(packed))
    values = list(packed.values())
    heads = np.frombuffer(b"".join([value[: _ENTRY.itemsize] for value in values]), _ENTRY)
    ends = _ENTRY.itemsize + 4 * heads["tags"].astype(np.int64)
    ids = np.array([value[end:] for value, end in zip(values, ends.tolist(), strict=True)], "S64")
    id_place = np.empty(len(ids), np.uint32)
    id_place[np.argsort(ids, kind="stable")] = np.arange(len(ids), dtype=np.uint32)
    order = np.lexsort((id_place, heads["published_ms"]))[::-1]
    order = order[heads["live"][order] == 1]
    kept = heads[order]
    score_ms = kept["published_ms"] + 1000 * _boosts_s(kept, epoch, weights)
    tags = b"".join(
        [values[i][_ENTRY.itemsize : end] for i, end in zip(order.tolist(), ends[order].tolist(), strict=True)]
    )
    begins = np.concatenate(([0], np.cumsum(kept["tags"], dtype=np.uint32))).astype(np.uint32)
    arrays = (nums[order], kept["author"], kept["published_ms"], score_ms, id_place[order], begins)
    return _HEAD.pack(len(order), len(tags) // 4, 0, 0) + b"".join([array.tobytes() for array in arrays]) + tags


def _boosts_s(heads: Array, epoch: Epoch, weights: Weights) -> Array:
    """Return ``ranking.boost_s`` of each, by the same operations in the same order."""
    engagement = weights.likes * _logs(heads["likes"], epoch.likes)
    engagement = engagement + weights.comments * _logs(heads["comments"], epoch.comments)
    engagement = engagement + weights.views * _logs(heads["views"], epoch.views)
    return np.rint(weights.tau_s * engagement).astype(np.int64)


def _logs(counts: Array, mean: float) -> Array:
    """Return ``log1p(count / mean)`` of each: of each different count once, by ``math``, whose last bit may differ."""
    different, which = np.unique(counts, return_inverse=True)
    logs = [log1p(count / max(mean, 1.0)) for count in different.tolist()]
    return np.array(logs, np.float64)[which]


@lru_cache(maxsize=2)
def read(packed: bytes) -> Standings:
    """Return the standings that were packed. Raises ValueError where there are too many posts over too long a time."""
    posts, tags, *_ = _HEAD.unpack_from(packed)
    kinds = [("<u4", posts), ("<u4", posts), ("<i8", posts), ("<i8", posts), ("<u4", posts)]
    num, author, published_ms, score_ms, id_place, begins, tag = _cut(
        packed, _HEAD.size, [*kinds, ("<u4", posts + 1), ("<u4", tags)]
    )
    key, bits, by_id = _keys(num, score_ms, id_place)
    drawn = np.concatenate((author, tag))
    at = np.concatenate((np.arange(posts), np.repeat(np.arange(posts), begins[1:] - begins[:-1])))
    sources, which = np.unique(drawn, return_inverse=True)
    order = np.lexsort((at, which))
    starts = np.concatenate(([0], np.cumsum(np.bincount(which, minlength=len(sources))))).astype(np.int32)
    depths = _depths(posts)
    is_author = sources < TAG
    index = np.arange(len(sources), dtype=np.int32)
    return Standings(
        num=np.append(num, np.uint32(0)),
        marks=[*(b"%d\n" % ms for ms in published_ms.tolist()), b""],
        author=np.append(which[:posts], len(sources)).astype(np.int32),
        key=key,
        bits=bits,
        by_id=by_id,
        sources=sources,
        starts=np.append(starts, starts[-1]),
        places=at[order].astype(np.int32),
        depths=depths,
        counts=_counts(which, at, depths, len(sources)),
        authors=_table(sources[is_author], index[is_author], len(sources)),
        tags=_table(sources[~is_author] - np.uint32(TAG), index[~is_author], len(sources)),
        by_num=_table(num - num.min(initial=MOST), np.arange(posts, dtype=np.int32), posts),
    )


def _cut(packed: bytes, at: int, kinds: Sequence[tuple[str, int]]) -> list[Array]:
    arrays = []
    for kind, count in kinds:
        arrays.append(np.frombuffer(packed, kind, count, at))
        at += arrays[-1].nbytes
    return arrays


def _keys(num: Array, score_ms: Array, id_place: Array) -> tuple[Array, int, Array]:
    """Return keys with that of no post behind them, how many of their bits are the id's place, and numbers by that."""
    bits = int(id_place.max(initial=0)).bit_length()
    lowest = int(score_ms.min(initial=1 << 62))
    span = int(score_ms.max(initial=lowest)) - lowest
    if span.bit_length() + bits > 61:
        raise ValueError(f"{len(num)} posts over {span} ms are too many to rank: lower EDGEBAKE_POST_DAYS")
    by_id = np.zeros(1 << bits, np.uint32)
    by_id[id_place] = num
    return np.append((score_ms - lowest) << bits | id_place, NOTHING), bits, by_id


def _depths(posts: int) -> Array:
    """Return the depths to which a reader may look, the last being all posts."""
    if posts <= SHALLOWEST:
        return np.array([posts])
    return np.unique(np.geomspace(SHALLOWEST, posts, LEVELS).round().astype(np.int64))


def _counts(which: Array, at: Array, depths: Array, sources: int) -> Array:
    """Return how many posts each source has above each depth."""
    level = np.searchsorted(depths, at, side="right")
    found = np.bincount(which * len(depths) + level, minlength=sources * len(depths))
    counts = found.reshape(sources, len(depths)).cumsum(axis=1, dtype=np.int32)
    return np.vstack((counts, np.zeros(len(depths), np.int32)))


def _table(numbers: Array, values: Array, missing: int) -> Array:
    """Return a table from number to value, ``missing`` where there is none; its last row is always that."""
    table = np.full(int(numbers.max(initial=0)) + 2, missing, np.int32)
    table[numbers] = values
    return table
