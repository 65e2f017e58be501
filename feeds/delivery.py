"""Delivery: a published post on its way to whoever draws from its sources.

1. The post's copy and its entry in the catalogue are written (``truth``).
2. A log number is taken; then, and only then, it is read who follows: who draws from the sources later is rebuilt
   from a later number (``timeline``).
3. The post is pushed to those who are active, and to the newest posts of its sources where these are kept. Sources
   that are pulled are not pushed: bakes merge them.
4. Whom it concerns is reported, with the post's sources. Guests, who have no timeline, are looked for in the system of
   record.

The pages of all readers are told by the cache tags of the post's sources. Whoever is named is asked for only where an
edge may have a page of theirs that carries none of these tags: not all sources found room on it. So it is enough that
readers are named who drew from a source when its post was readable. Who begins or ceases to draw from it, or to mute
it, has had all their pages dropped for that (``readers``). A source that rises over the pull line has its readers named
for as long as a page may live from before bakes put pulled sources first (``_held``); one that falls is named again
before bakes put it last. A source is drawn from by who has a number, and numbers and names stay.

An edit that takes a tag away names nobody for that. Pages that showed the post by this tag carry its ``p-``, and so do
those on which it would have come next, or which stand below it. On all others it stood above the page or below its
end, and a page is what is below its place, whatever is above. (How many pages a list has, at the most, counts what is
above: the last page that is allowed may say so late, as after a withdrawal. Ranks are soft.)
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import islice

from feeds import copies, keys, scripts
from feeds.followers import Followers
from feeds.latest import Latest
from feeds.lognumbers import NEXT
from feeds.model import Post
from feeds.parts import Parts, chunks
from feeds.progress import now_ms
from feeds.timeline import PUSHED, PUSHES_A_TRIP, Timelines
from feeds.trips import Trips
from feeds.truth import Truth

PART = 12
"""Pushes that one part reports: some 5,000 users."""

LARGE = 20 * PUSHED
"""Followers from which on a post waits for its turn: so many at once hold up no smaller one."""

LARGE_AT_ONCE = 2
GUESTS = 5000


@dataclass(frozen=True, slots=True)
class Reach:
    """Where a post goes. ``log`` is its log number, ``sections`` who draws from its pushed sources.

    ``overflow``: some of its sources are not pushed.
    """

    log: int
    pushed: Sequence[int]
    sections: Sequence[bytes]
    overflow: bool
    guests: int


class Delivery:
    """Delivers posts."""

    def __init__(
        self,
        trips: Trips,
        truth: Truth,
        timelines: Timelines,
        followers: Followers,
        latest: Latest,
        *,
        own_posts: bool,
        linger_ms: int,
    ) -> None:
        self._redis = trips.redis
        self._trips = trips
        self._truth = truth
        self._timelines = timelines
        self._followers = followers
        self._latest = latest
        self._own_posts = own_posts
        self._linger_ms = linger_ms
        self._pulled: frozenset[int] = frozenset()
        self._large = asyncio.Semaphore(LARGE_AT_ONCE)

    async def deliver(self, post: Post, parts: Parts) -> None:
        """Push a post whose copy is written, and report whom it concerns."""
        sources = list(dict.fromkeys((post.author_num, *post.tag_nums)))
        reach = await self._reach(sources)
        parts.gained(sources, post.tags, overflow=reach.overflow)
        own = [post.author.encode()] if self._own_posts else []
        pushes = self._timelines.pushes(post.num, reach.log, [*own, *reach.sections])
        latest = [self._latest.pushed(post.entry, source) for source in sources]
        async with self._large if len(pushes) > LARGE // PUSHED else nullcontext():
            await self._push(pushes, latest, parts)
        if reach.guests and reach.pushed:
            await self._tell_guests(reach.pushed, parts)

    async def _push(
        self, pushes: Sequence[tuple[bytes, scripts.Command]], first: Sequence[scripts.Command], parts: Parts
    ) -> None:
        """Push in parts. A part's last trip goes with its report, with the first one what is to be done ``first``."""
        rest = iter(pushes)
        while (part := list(islice(rest, PART))) or first:
            commands = [command for _, command in part]
            last = max(0, (len(commands) - 1) // PUSHES_A_TRIP * PUSHES_A_TRIP)
            for start in range(0, last, PUSHES_A_TRIP):
                await scripts.execute(self._redis, commands[start : start + PUSHES_A_TRIP])
            await parts.report(sections=[piece.decode() for piece, _ in part], after=[*first, *commands[last:]])
            first = ()

    async def _tell_guests(self, sources: Sequence[int], parts: Parts) -> None:
        (found,) = await scripts.execute(self._redis, [("ZRANGE", keys.GUESTS, 0, -1)])
        for some in chunks((user.decode() for user in found), GUESTS):
            if users := await self._truth.record.followers_among(sources, some):
                await parts.report(users=users)

    async def _reach(self, sources: Sequence[int]) -> Reach:
        """Take a log number, then read who draws from these sources: in this order, in one trip."""
        asked = [source for source in sources if source not in self._pulled]
        replies = await self._trips.execute(
            [
                NEXT,
                ("GET", keys.PULLED),
                ("GET", keys.generation(0)),
                ("ZCARD", keys.GUESTS),
                *self._followers.reads(asked),
            ]
        )
        pulled = await self._states(replies[1], replies[2])
        held = await self._held(sources, pulled)
        pushed = [source for source in sources if source not in held]
        self._pulled = frozenset(source for source, (_, state) in pulled.items() if state == "pull")
        lists = dict(zip(asked, replies[5:], strict=True))
        if any(source not in lists for source in pushed):
            found = await self._followers.sections(pushed)
        else:
            found = await self._followers.taken(pushed, [replies[4], *(lists[source] for source in pushed)])
        sections = [section for source in pushed for section in found[source]]
        log = await self._timelines.numbers.reserved(replies[0])
        return Reach(log, pushed, sections, bool(held), int(replies[3]))

    async def _states(self, value: bytes | None, generation: bytes | None) -> Mapping[int, tuple[str, str]]:
        """Return the sources that are pulled, or about to be or not, from their copy or the system of record."""
        if value is None or not copies.counts(value, generation or b"0"):
            return await self._truth.pulled()
        return copies.read_pulled(copies.body_of(value))

    async def _held(self, sources: Sequence[int], pulled: Mapping[int, tuple[str, str]]) -> set[int]:
        """Return those that are not pushed: bakes have merged them for as long as an answer may live that does not."""
        asked = [source for source in sources if source in pulled and pulled[source][1] == "pull"]
        if not asked:
            return set()
        now = now_ms()
        commands: list[scripts.Command] = [("HSETNX", keys.RISING, source, now) for source in asked]
        replies = await scripts.execute(self._redis, [*commands, ("HMGET", keys.RISING, *asked)])
        known = zip(asked, replies[-1], strict=True)
        return {source for source, since_ms in known if int(since_ms) + self._linger_ms <= now}


def everybody(sections: Sequence[bytes]) -> Iterator[str]:
    """Yield the users of sections."""
    for section in sections:
        yield from section.decode().split("\n")
