"""Wrong parts: each stands in the place of a real one, and the simulation has to find it.

Each is a subclass, put in at the place where the product puts itself together. A number is that of the interleavings.
"""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from baker.artifact import Artifact
from baker.bake import Bakery
from baker.door import Answer, Door
from baker.freshness import Freshness
from baker.reads import Reads
from cdn import keys, scripts
from cdn.edge import Batch, Receipt
from cdn.fence import Fence, Leaving
from cdn.ledger import Ledger, Recorded, Tags
from cdn.pending import Minted, PendingSet, Waiting
from feeds import scripts as feeds_scripts
from feeds.affected import Affected
from feeds.copies import TOO_LATE
from feeds.model import Site
from feeds.parts import Parts
from feeds.truth import Truth
from tests.simulation.edge import Api


class Open(Fence):
    """A fence that always passes."""

    async def passes(self, answers: Sequence[Leaving]) -> list[int | None]:
        await super().passes(answers)
        return [self._cursor(answer.shard) for answer in answers]


class NotedLate(Reads):
    """The count is noted after the first read."""

    async def _first(self, asks: Any) -> Any:
        found = await super()._first(asks)
        again = await super()._first(asks)
        for first, later in zip(found, again, strict=True):
            first.noted = later.noted
        return found


class LookedBefore(Ledger):
    """The ledger is read before the record (1b)."""

    async def record(self, tags: Mapping[int, Tags]) -> dict[int, Recorded]:
        known = {shard: await self._known(shard) for shard in tags}
        tags = {
            shard: replace(need, dropped=dict(need.dropped), guards=set(need.guards)) for shard, need in tags.items()
        }
        for shard, need in tags.items():
            for tag in [tag for tag in need.dropped if tag not in known[shard]]:
                del need.dropped[tag]
                need.guards.add(tag)
        return await super().record(tags)

    async def _known(self, shard: int) -> set[str]:
        prefix = f"{{{shard:02x}}}:ledger:"
        span, living = await scripts.execute(self._redis, [("GET", prefix + "span"), ("HKEYS", keys.fence(shard)[4])])
        _, *listed = (span or b"0").decode().split()
        buckets = [("SMEMBERS", f"{prefix}{bucket}") for bucket in listed]
        held = await scripts.execute(self._redis, buckets) if buckets else []
        return {tag.decode() for tags in held for tag in tags} | {f"u-{user.decode()}" for user in living}


class Unlooked(Ledger):
    """The ledger is never sure, and so does not look at which answers live."""

    async def record(self, tags: Mapping[int, Tags]) -> dict[int, Recorded]:
        await scripts.execute(self._redis, [("SET", keys.unsure(shard), 2**53) for shard in tags])
        return await super().record(tags)


class WrittenLate(Truth):
    """What is read is written behind the back of whoever records: the tag comes before the data is readable (1c)."""

    async def _through(self, read: Any, writes: Any, *, keep: bool = True, **more: Any) -> Any:
        seen = await self.copies.look()
        found = await read()
        if keep:
            asyncio.get_running_loop().create_task(self._later(found, seen, writes))
        return found

    async def _later(self, found: Any, seen: Any, writes: Any) -> None:
        await feeds_scripts.execute(self._redis, writes(found, seen))


class SharedFirst(Parts):
    """What all parts share goes with the first that is finished (7a)."""

    async def _send(self, waiting: tuple[Sequence[scripts.Command], Affected]) -> None:
        after, part = waiting
        part = replace(part, shared=part.part == 0, overflow=self._overflow and part.part == 0)
        await super()._send((after, part))


class Released(PendingSet):
    """What a batch dropped is forgotten when it is complete, whatever merged into it since (3a)."""

    async def completed(self, minted: Minted) -> Minted | None:
        done = await super().completed(minted)
        for shard in minted.shards:
            unsent, *_ = self._keys(shard)
            await scripts.execute(self._redis, [("ZREM", unsent, *minted.batch.tags)])
        return done


class Untapped(PendingSet):
    """No second tap (1e, 8a)."""

    async def mint(self, tags: Sequence[str], waiting: Mapping[int, Sequence[Waiting]], **more: Any) -> Minted:
        return await super().mint(tags, waiting, **{**more, "taps": ()})


class Hashed(Api):
    """The reference of a batch is a hash of its items."""

    async def invalidate(self, batch: Batch) -> Receipt:
        digest = hashlib.sha1(" ".join(batch.tags).encode(), usedforsecurity=False).hexdigest()
        return await super().invalidate(Batch(digest, batch.tags))


class Unfloored(Truth):
    """A copy is written back under the floor of that moment, not the one from before the truth was read (2a)."""

    async def _through(self, read: Any, writes: Any, *, keep: bool = True, **more: Any) -> Any:
        while True:
            found = await read()
            seen = await self.copies.look()
            if not keep or TOO_LATE not in await feeds_scripts.execute(self._redis, writes(found, seen)):
                return found


class Short(Freshness):
    """A horizon of ``s-maxage`` alone: no stale window, no second tier."""

    @property
    def horizon_ms(self) -> int:
        return self.ttl * 1000


class Proud(Bakery):
    """A baker takes the templates that it has for the current ones."""

    def _is_foreign(self, site: Site) -> bool:
        return False


class Unfenced(Door):
    """What the memory has leaves without the fence (4a)."""

    async def _again(self, kept: Artifact) -> Answer | None:
        return Answer(kept, "memory", kept.noted)


WRONGS: Mapping[str, Mapping[str, Any]] = {
    "a fence that always passes": {"baker.kitchen.Fence": Open},
    "a fence noted after the first read": {"baker.kitchen.Reads": NotedLate},
    "a ledger read before the record": {"edgebake.workers.Ledger": LookedBefore},
    "a ledger that does not look at living answers": {"edgebake.workers.Ledger": Unlooked},
    "a tag recorded before the data is readable": {"feeds.fanout.Truth": WrittenLate},
    "a shared tag sent by the first finished part": {"feeds.fanout.Parts": SharedFirst},
    "a released pending entry with something newer in it": {"invalidator.drain.PendingSet": Released},
    "no second tap": {"invalidator.drain.PendingSet": Untapped},
    "a batch reference hashed from its items": {"tests.simulation.house.Api": Hashed},
    "a copy written back without its floor": {"baker.kitchen.Truth": Unfloored, "feeds.fanout.Truth": Unfloored},
    "a horizon of s-maxage alone": {"baker.freshness.Freshness": Short},
    "templates that nobody compares with the current ones": {"baker.kitchen.Bakery": Proud},
    "memory hits that skip the fence": {"baker.kitchen.Door": Unfenced},
}
