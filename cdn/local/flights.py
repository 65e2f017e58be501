"""Request collapsing: many who want one key wait for one fetch; what cannot be cached never queues."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from cdn.local.decision import Failed
from cdn.local.objects import Key, Object
from cdn.local.results import Result

REMEMBERED = 10_000


class Landing(NamedTuple):
    """What a fetch came to. ``shared``: it answers everybody who waited, not only who asked first."""

    reply: Object
    result: Result
    shared: bool
    failed: Failed | None = None
    """Why the origin gave no answer, where it gave none."""


Fetcher = Callable[[], Awaitable[Landing]]


class Flights:
    """The fetches under way, at most one a key; and the keys whose last answer could not be shared."""

    def __init__(self) -> None:
        self._under_way: dict[Key, asyncio.Task[Landing]] = {}
        self._alone: OrderedDict[Key, None] = OrderedDict()

    async def join(self, key: Key, fetch: Fetcher) -> Landing:
        """Return what the fetch for this key comes to, one that is under way or one of its own.

        Who waited for an answer that cannot be shared fetches on its own then, beside the others; and so does
        whoever comes later, until an answer can be shared again: no queue forms behind such a key.
        """
        if key in self._alone:
            return self._note(key, await fetch())
        task = self._under_way.get(key)
        if task is None:
            return await asyncio.shield(self.start(key, fetch))
        landing = await asyncio.shield(task)
        if not landing.shared:
            return self._note(key, await fetch())
        return landing._replace(result=landing.result.for_followers())

    def start(self, key: Key, fetch: Fetcher) -> asyncio.Task[Landing]:
        """Start a fetch, unless one is under way, and let whoever comes join it."""
        task = self._under_way.get(key)
        if task is None:
            # A task of its own: it goes on when the viewer who began it has left.
            task = self._under_way[key] = asyncio.create_task(self._fly(key, fetch))
        return task

    async def landed(self) -> None:
        """Wait for all that is under way now."""
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)

    async def close(self) -> None:
        """Give up what is under way."""
        for task in self._under_way.values():
            task.cancel()
        await self.landed()

    async def _fly(self, key: Key, fetch: Fetcher) -> Landing:
        try:
            return self._note(key, await fetch())
        finally:
            del self._under_way[key]

    def _note(self, key: Key, landing: Landing) -> Landing:
        if landing.shared:
            self._alone.pop(key, None)
        else:
            self._alone[key] = None
            if len(self._alone) > REMEMBERED:
                self._alone.popitem(last=False)
        return landing
