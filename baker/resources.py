"""What bakes read besides posts: site, user, sources, ranking epoch, and which sources are pulled.

Each is taken from its copy in the first trip where that counts, else from the system of record.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Generic, NamedTuple, TypeVar

from baker.drawn import Drawn, Draws
from baker.metrics import READ_THROUGH
from baker.reads import First
from cdn import tags
from feeds import copies
from feeds.model import TAG, Epoch, Site, Sources, User
from feeds.tick import Tick
from feeds.truth import Truth

READS = 2
"""How often users are read who had no copy: many are read together, and a drop in any of their shards comes between."""

T = TypeVar("T")


class _Last(Generic[T]):
    """What was read from a copy last: it is the same for all bakes until it changes."""

    def __init__(self, read: Callable[[bytes], T]) -> None:
        self._read = read
        self._value: bytes | None = None
        self._found: T

    def of(self, value: bytes) -> T:
        """Return what a copy says."""
        if value != self._value:
            self._value, self._found = value, self._read(copies.body_of(value))
        return self._found


class Missing(NamedTuple):
    """Whom Redis has no copy of, and whether one is to be written: not for guests."""

    user: str
    keep: bool


class Resources:
    """Reads resources for bakes."""

    def __init__(self, truth: Truth, draws: Draws) -> None:
        self._truth = truth
        self._draws = draws
        self._site = _Last(copies.read_site)
        self._epoch = _Last(copies.read_epoch)
        self._pulled = _Last(_tags_of)
        self._reading: asyncio.Future[Mapping[int, tuple[str, str]]] | None = None
        self._users: Tick[Missing, User | None] = Tick(self._read_users)
        self._sources: Tick[Missing, Sources] = Tick(self._read_sources)

    async def site(self, first: First) -> Site:
        """Return the site."""
        if first.site is not None and copies.counts(first.site, first.generation):
            return self._site.of(first.site)
        return await self._truth.site()

    async def epoch(self, first: First) -> Epoch:
        """Return the ranking epoch."""
        if first.ranking is not None and copies.counts(first.ranking, first.generation):
            return self._epoch.of(first.ranking)
        return await self._truth.epoch()

    async def user(self, user: str, first: First, *, keep: bool) -> User | None:
        """Return a user; where there is no copy, it is written if ``keep``."""
        if first.user is not None and copies.counts(first.user, first.generation):
            return copies.read_user(copies.body_of(first.user))
        READ_THROUGH.labels("user").inc()
        return await self._users.ask(Missing(user, keep))

    async def drawn(self, user: str, first: First, *, keep: bool) -> Drawn:
        """Return what a user's feed draws from; where there is no copy, it is written if ``keep``."""
        if first.sources is not None and copies.counts(first.sources, first.generation):
            return self._draws.of_copy(user, first.sources)
        READ_THROUGH.labels("sources").inc()
        return self._draws.of(await self._sources.ask(Missing(user, keep)))

    def pulled(self, first: First) -> Mapping[int, str] | None:
        """Return the tags of the pulled sources by number, or None where there is no copy.

        In the first trip it is read before the timelines. Read later it could say that a source is pulled no more,
        beside a timeline from before that source was written into it.
        """
        if first.pulled is None or not copies.counts(first.pulled, first.generation):
            return None
        return self._pulled.of(first.pulled)

    async def pulled_now(self) -> Mapping[int, str]:
        """Return the same from the system of record, read once however many ask. Timelines are read after it."""
        if self._reading is None or self._reading.done():
            READ_THROUGH.labels("pulled").inc()
            self._reading = asyncio.ensure_future(self._truth.pulled())
        return _named(await asyncio.shield(self._reading))

    async def _read_users(self, asked: list[Missing]) -> list[User | None]:
        """Read the users that the bakes of a turn of the loop ask for: one query costs little more for many."""
        found: dict[str, User] = {}
        for keep, users in _by_keep(asked):
            found |= await self._truth.users(users, keep=keep, reads=READS)
        return [found.get(missing.user) for missing in asked]

    async def _read_sources(self, asked: list[Missing]) -> list[Sources]:
        found: dict[str, Sources] = {}
        for keep, users in _by_keep(asked):
            found |= await self._truth.sources_of(users, keep=keep, reads=READS)
        return [found[missing.user] for missing in asked]


def _by_keep(asked: Iterable[Missing]) -> Iterator[tuple[bool, list[str]]]:
    """Yield whose copies are written, and whose are not, where there are any."""
    for keep in (True, False):
        if users := list(dict.fromkeys(missing.user for missing in asked if missing.keep is keep)):
            yield keep, users


def _tags_of(body: bytes) -> Mapping[int, str]:
    return _named(copies.read_pulled(body))


def _named(pulled: Mapping[int, tuple[str, str]]) -> Mapping[int, str]:
    return {
        source: tags.topic_tag(name) if source & TAG else tags.author_tag(name) for source, (name, _) in pulled.items()
    }
