"""Copies of resources in Redis: versioned, never from before their shard's floor, dropped all at once by generation.

A copy is ``<state><version>.<generation>.<digest> <body>``: JSON, of sources ``packing``. Its header, all before the
space, names its content: two copies with one header show the same, so whatever is rendered from it may be kept under
it. Each drop raises its shard's floor, and a writer who saw a lower one before it read the truth is refused.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import orjson
from redis.asyncio import Redis

from feeds import keys, packing, scripts
from feeds.model import Epoch, Post, PostState, Pulled, Settings, Site, Sources, User, UserState

LIVE = b"L"
DELETED = b"D"
TOO_LATE = -1
"""The answer to a write of what was read before a drop. What is there may be older: it has to be read again."""


class Seen(NamedTuple):
    """What a writer saw before it read the truth: the generation, and each shard's floor. A drop since refuses it."""

    generation: int
    floors: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Copy:
    """A resource as it is kept: under which key, at which version, alive or a tombstone."""

    key: str
    version: int
    state: bytes
    body: bytes

    @property
    def digest(self) -> str:
        """Name the content: 16 hexadecimal digits."""
        return hashlib.blake2b(self.state + self.body, digest_size=8).hexdigest()

    def value(self, generation: bytes) -> bytes:
        """Return the copy as Redis holds it."""
        return b"%s%d.%s.%s %s" % (self.state, self.version, generation, self.digest.encode(), self.body)


def of_user(user: User) -> Copy:
    """Return the copy of a user; a deleted one is a tombstone."""
    state = LIVE if user.state is UserState.LIVE else DELETED
    return Copy(keys.user(user.id), user.version, state, orjson.dumps(asdict(user)))


def of_sources(sources: Sources) -> Copy:
    """Return the copy of a user's sources."""
    return Copy(keys.sources(sources.user), sources.version, LIVE, packing.pack_sources(sources))


def of_post(post: Post) -> Copy:
    """Return the copy of a post. One that is in no feed is a tombstone that keeps its place."""
    state = LIVE if post.state is PostState.PUBLISHED else DELETED
    return Copy(keys.post(post.id), post.version, state, orjson.dumps(asdict(post)))


def of_site(site: Site) -> Copy:
    """Return the copy of the site."""
    return Copy(keys.SITE, site.version, LIVE, orjson.dumps(asdict(site)))


def of_pulled(pulled: Pulled) -> Copy:
    """Return the copy of the sources that are pulled, or about to be or not: number → name and state."""
    named = {str(number): [source.name, source.state] for number, source in pulled.sources.items()}
    return Copy(keys.PULLED, pulled.version, LIVE, orjson.dumps(named))


def of_epoch(epoch: Epoch) -> Copy:
    """Return the copy of the ranking epoch."""
    return Copy(keys.RANKING, epoch.number, LIVE, orjson.dumps(asdict(epoch)))


def read_user(body: bytes) -> User:
    """Return the user whose copy holds this JSON."""
    fields: dict[str, Any] = orjson.loads(body)
    settings: dict[str, Any] = fields.pop("settings")
    for muted in ("muted_authors", "muted_tags"):
        settings[muted] = tuple(settings[muted])
    fields["state"] = UserState(fields["state"])
    return User(settings=Settings(**settings), **fields)


def read_sources(user: str, value: bytes) -> Sources:
    """Return the sources of a user from their whole copy, for its header has the version."""
    header, _, body = value.partition(b" ")
    return packing.read_sources(user, body, int(header[1 : header.index(b".")]))


def read_pulled(body: bytes) -> Mapping[int, tuple[str, str]]:
    """Return name and state of the sources whose copy holds this JSON, by number."""
    return {int(number): (name, state) for number, (name, state) in orjson.loads(body).items()}


def read_epoch(body: bytes) -> Epoch:
    """Return the ranking epoch whose copy holds this JSON."""
    return Epoch(**orjson.loads(body))


def read_post(body: bytes) -> Post:
    """Return the post whose copy holds this JSON."""
    fields: dict[str, Any] = orjson.loads(body)
    fields["tags"], fields["tag_nums"] = tuple(fields["tags"]), tuple(fields["tag_nums"])
    fields["state"] = PostState(fields["state"])
    return Post(**fields)


def read_site(body: bytes) -> Site:
    """Return the site whose copy holds this JSON."""
    return Site(**orjson.loads(body))


def counts(value: bytes | None, generation: bytes) -> bool:
    """Tell whether what Redis holds is a copy: not missing, not of an older generation."""
    if value is None:
        return False
    header = value[: value.index(b" ")]
    return header.split(b".", 2)[1] == generation


def is_live(value: bytes) -> bool:
    """Tell whether a copy is of something that is there, not a tombstone."""
    return value.startswith(LIVE)


def body_of(value: bytes) -> bytes:
    """Return a copy's JSON, or what else it holds."""
    return value[value.index(b" ") + 1 :]


class Copies:
    """The copies in Redis."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def look(self) -> Seen:
        """Return what a writer must have seen before it reads the truth."""
        floors = map(keys.floor, keys.ALL_SHARDS)
        generation, found = await scripts.execute(self._redis, [("GET", keys.GENERATION), ("MGET", *floors)])
        return Seen(int(generation or 0), [floor or b"0" for floor in found])

    async def put(self, copies: Iterable[Copy], seen: Seen) -> list[int]:
        """Write copies of the truth that was read after ``seen``; return what came of each, as put.lua says."""
        return await scripts.execute(self._redis, writes(copies, seen))

    async def drop(self, names: Iterable[str]) -> None:
        """Drop copies by key; what was read before now is not written any more."""
        by_shard: dict[int, list[str]] = {}
        for key in names:
            by_shard.setdefault(keys.shard_in(key), []).append(key)
        drops = [scripts.call(scripts.FLOOR, (keys.floor(shard), *listed)) for shard, listed in by_shard.items()]
        await scripts.execute(self._redis, drops)

    async def drop_all(self) -> None:
        """Drop every copy there is: each shard's generation rises, and what is older counts as missing.

        The number is one for all shards, so that they agree again where somebody died half way.
        """
        (generation,) = await scripts.execute(self._redis, [("INCR", keys.GENERATION)])
        raises = [scripts.call(scripts.RAISE, (keys.generation(shard),), generation) for shard in keys.ALL_SHARDS]
        await scripts.execute(self._redis, raises)


def writes(copies: Iterable[Copy], seen: Seen) -> list[scripts.Command]:
    """Return the commands that write copies of the truth that was read after ``seen``."""
    return [_write(copy, keys.shard_in(copy.key), seen) for copy in copies]


def _write(copy: Copy, shard: int, seen: Seen) -> scripts.Command:
    words = (copy.version, seen.generation, seen.floors[shard], copy.state, copy.digest, copy.body)
    return scripts.call(scripts.PUT, (copy.key, keys.generation(shard), keys.floor(shard)), *words)
