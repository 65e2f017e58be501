"""The parts of one change, reported one after the other; the last one completes them."""

import secrets
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

from feeds import scripts
from feeds.affected import Affected, entry
from feeds.change import Change
from feeds.record import Record
from feeds.trips import Trips

USERS = 5000
"""Users that one part concerns."""

POSTS = 200
"""Posts that one part concerns: each is looked for in the ledger of all shards."""


class Parts:
    """Reports what a change affects. The newest part waits for the next one, or to be the last."""

    def __init__(self, trips: Trips, change_id: str, change: Change) -> None:
        self._trips = trips
        self._empty = Affected(change_id, change, secrets.token_hex(4), 0, None)
        self._sent = 0
        self._overflow = False
        self._waiting: tuple[Sequence[scripts.Command], Affected] | None = None

    async def report(
        self,
        *,
        users: Iterable[str] = (),
        sections: Iterable[str] = (),
        posts: Iterable[str] = (),
        authors: Iterable[str] = (),
        guarded: Iterable[str] = (),
        after: Sequence[scripts.Command] = (),
    ) -> None:
        """Report the next part. Its data is readable once the commands ``after`` are done: they go in the same trip."""
        if self._waiting is not None:
            await self._send(self._waiting)
        part = replace(
            self._empty,
            part=self._sent,
            users=tuple(users),
            sections=tuple(sections),
            posts=tuple(posts),
            authors=tuple(authors),
            guarded=tuple(guarded),
        )
        self._waiting = (after, part)

    async def report_posts_of(self, record: Record, author: str) -> None:
        """Report the posts that show an author."""
        async for ids in ids_of(record, author):
            await self.report(posts=ids, authors=[author])

    def gained(self, sources: Iterable[int], topics: Iterable[str], *, overflow: bool) -> None:
        """Say whose readers the users of all parts are, and what else the last part is to drop."""
        self._empty = replace(self._empty, sources=tuple(sources), topics=tuple(topics))
        self._overflow = overflow

    async def finish(self) -> None:
        """Report the last part, which carries what all parts share."""
        if self._waiting is None:
            self._waiting = ((), replace(self._empty, part=self._sent))
        after, part = self._waiting
        last = replace(part, parts=self._sent + 1, shared=True, overflow=self._overflow)
        await self._send((after, last))

    async def _send(self, waiting: tuple[Sequence[scripts.Command], Affected]) -> None:
        after, part = waiting
        self._waiting = None
        self._sent += 1
        await self._trips.execute([*after, entry(part)])


async def ids_of(record: Record, author: str, *, hidden: bool = False) -> AsyncIterator[Sequence[str]]:
    """Yield the ids of an author's published posts, or of all, so many as one part takes."""
    after = ""
    while ids := await record.post_ids(author, after=after, limit=POSTS, hidden=hidden):
        yield ids
        after = ids[-1]


def chunks(ids: Iterable[str], size: int) -> Iterator[list[str]]:
    """Yield ids in lists of at most ``size``."""
    rest = iter(ids)
    while chunk := list(islice(rest, size)):
        yield chunk
