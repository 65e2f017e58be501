"""Copies of resources in Redis: versioned, never older than the floor of their id, dropped all at once by generation.

A copy is ``<state><version>.<generation>.<digest> <JSON>``. Its header, all before the space, names its content: two
copies with one header show the same, so whatever is rendered from it may be kept under it.
"""

import hashlib
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import orjson
from redis.asyncio import Redis

from feeds import keys, scripts
from feeds.ids import shard_of
from feeds.model import Follows, Post, PostState, Settings, Site, User, UserState

LIVE = b"L"
DELETED = b"D"
FLOOR = b"F"
HEADER_BYTES = 96


class Seen(NamedTuple):
    """What a writer saw before it read the truth; a drop since then makes the write refused."""

    header: bytes
    generation: bytes


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


def of_follows(follows: Follows) -> Copy:
    """Return the copy of a user's follows."""
    return Copy(keys.follows(follows.user), follows.version, LIVE, orjson.dumps(follows.authors))


def of_post(post: Post) -> Copy:
    """Return the copy of a post. One that is in no feed is a tombstone that keeps its place."""
    state = LIVE if post.state is PostState.PUBLISHED else DELETED
    return Copy(keys.post(post.id), post.version, state, orjson.dumps(asdict(post)))


def of_site(site: Site) -> Copy:
    """Return the copy of the site."""
    return Copy(keys.SITE, site.version, LIVE, orjson.dumps(asdict(site)))


def read_user(body: bytes) -> User:
    """Return the user whose copy holds this JSON."""
    fields: dict[str, Any] = orjson.loads(body)
    settings: dict[str, Any] = fields.pop("settings")
    for muted in ("muted_authors", "muted_tags"):
        settings[muted] = tuple(settings[muted])
    fields["state"] = UserState(fields["state"])
    return User(settings=Settings(**settings), **fields)


def read_follows(body: bytes) -> frozenset[str]:
    """Return the authors in a copy of follows."""
    return frozenset(orjson.loads(body))


def read_post(body: bytes) -> Post:
    """Return the post whose copy holds this JSON."""
    fields: dict[str, Any] = orjson.loads(body)
    fields["tags"] = tuple(fields["tags"])
    fields["state"] = PostState(fields["state"])
    return Post(**fields)


def read_site(body: bytes) -> Site:
    """Return the site whose copy holds this JSON."""
    return Site(**orjson.loads(body))


def counts(value: bytes | None, generation: bytes) -> bool:
    """Tell whether what Redis holds is a copy: not missing, not dropped, not of an older generation."""
    if value is None or value.startswith(FLOOR):
        return False
    header = value[: value.index(b" ")]
    return header.split(b".", 2)[1] == generation


def is_live(value: bytes) -> bool:
    """Tell whether a copy is of something that is there, not a tombstone."""
    return value.startswith(LIVE)


def body_of(value: bytes) -> bytes:
    """Return a copy's JSON."""
    return value[value.index(b" ") + 1 :]


class Copies:
    """The copies in Redis."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def look(self, names: Sequence[str]) -> list[Seen]:
        """Return what is there under these keys: the first half of a write, before the truth is read."""
        commands: list[scripts.Command] = []
        for key in names:
            commands.append(("GET", keys.generation_of(key)))
            commands.append(("GETRANGE", key, 0, HEADER_BYTES - 1))
        replies = await scripts.execute(self._redis, commands)
        pairs = zip(replies[::2], replies[1::2], strict=True)
        return [Seen(value.partition(b" ")[0], generation or b"0") for generation, value in pairs]

    async def put(self, copies: Sequence[Copy], seen: Sequence[Seen]) -> list[bool]:
        """Write copies of the truth that was read after ``seen``; tell of each whether it was written or refused."""
        commands = [
            scripts.call(
                scripts.PUT,
                (copy.key, keys.generation_of(copy.key)),
                *(copy.version, before.generation, before.header, copy.state, copy.digest, copy.body),
            )
            for copy, before in zip(copies, seen, strict=True)
        ]
        return [bool(written) for written in await scripts.execute(self._redis, commands)]

    async def drop(self, floors: Iterable[tuple[str, str, int]]) -> None:
        """Drop copies and leave floors: (id that gives the shard, key, version of the truth now)."""
        by_shard: dict[int, list[tuple[str, int]]] = {}
        for id_, key, version in floors:
            by_shard.setdefault(shard_of(id_), []).append((key, version))
        nonce = uuid.uuid4().hex[:16]
        await scripts.execute(
            self._redis,
            [
                scripts.call(
                    scripts.DROP,
                    (keys.generation(shard), *(key for key, _ in rows)),
                    *(nonce, *(version for _, version in rows)),
                )
                for shard, rows in by_shard.items()
            ],
        )

    async def drop_all(self) -> None:
        """Drop every copy there is: each shard's generation rises, and what is older counts as missing.

        The number is one for all shards, so that they agree again where somebody died half way.
        """
        (generation,) = await scripts.execute(self._redis, [("INCR", keys.GENERATION)])
        raises = [scripts.call(scripts.RAISE, (keys.generation(shard),), generation) for shard in keys.ALL_SHARDS]
        await scripts.execute(self._redis, raises)
