"""The catalogue: what ranking knows of each post, in Redis by post number, 128 to a hash.

An entry is written wherever a post's copy is (``truth``), newest version wins, and one of an older generation counts
as missing. A reader that misses reads the system of record and writes back what it found.
"""

from array import array
from collections.abc import Collection, Iterable, Sequence

from redis.asyncio import Redis

from feeds import keys, packing, scripts
from feeds.copies import Copies, Seen
from feeds.model import Entry
from feeds.record import Record

SWEPT = 5000
"""Entries that one step of a sweep reads and writes: some 40 chunks."""

CHUNKS_A_TRIP = 64


class Catalogue:
    """Entries by post number."""

    def __init__(self, redis: Redis, record: Record) -> None:
        self._redis = redis
        self._record = record
        self._copies = Copies(redis)

    async def get(self, nums: Collection[int]) -> dict[int, Entry]:
        """Return entries; of numbers that no post has, none."""
        found = await self.kept(nums)
        if missing := [num for num in dict.fromkeys(nums) if num not in found]:
            seen = await self._copies.look()
            posts = await self._record.posts_by_num(missing)
            read = {num: post.entry for num, post in posts.items()}
            await self.put(read.values(), seen)
            found |= read
        return found

    async def kept(self, nums: Collection[int]) -> dict[int, Entry]:
        """Return those of the entries that Redis has."""
        by_chunk: dict[int, list[int]] = {}
        for num in dict.fromkeys(nums):
            by_chunk.setdefault(keys.chunk_of(num), []).append(num)
        commands: list[scripts.Command] = []
        for chunk, listed in by_chunk.items():
            key = keys.chunk(chunk)
            commands += (("GET", keys.generation(keys.shard_in(key))), ("HMGET", key, *listed))
        replies = await scripts.execute(self._redis, commands)
        found: dict[int, Entry] = {}
        for listed, generation, values in zip(by_chunk.values(), replies[::2], replies[1::2], strict=True):
            current = int(generation or 0)
            for num, packed in zip(listed, values, strict=True):
                if packed is not None and packing.generation_of(packed) >= current:
                    found[num] = packing.read_entry(num, packed)
        return found

    async def put(self, entries: Iterable[Entry], seen: Seen) -> int:
        """Write entries of posts that were read after ``seen``; return how many were written, not refused."""
        commands = writes(entries, seen)
        written = 0
        for start in range(0, len(commands), CHUNKS_A_TRIP):
            replies = await scripts.execute(self._redis, commands[start : start + CHUNKS_A_TRIP])
            written += sum(max(0, reply) for reply in replies)
        return written

    async def fill(self, since_ms: int) -> Sequence[int]:
        """Write what is missing or old of all published posts since then; return their numbers, in order.

        What is dropped meanwhile stays missing.
        """
        nums = array("I")
        while True:
            seen = await self._copies.look()
            entries = await self._record.entries(since_ms=since_ms, after=nums[-1] if nums else 0, limit=SWEPT)
            if not entries:
                return nums
            await self.put(entries, seen)
            nums.extend(entry.num for entry in entries)

    async def drop(self, nums: Collection[int]) -> None:
        """Drop entries, so that they are read again; what was read before now is not written any more."""
        by_chunk: dict[str, list[int]] = {}
        for num in nums:
            by_chunk.setdefault(keys.chunk(keys.chunk_of(num)), []).append(num)
        drops = [
            scripts.call(scripts.FLOOR, (keys.floor(keys.shard_in(chunk)), chunk), *listed)
            for chunk, listed in by_chunk.items()
        ]
        await scripts.execute(self._redis, drops)


def writes(entries: Iterable[Entry], seen: Seen) -> list[scripts.Command]:
    """Return the commands that write entries of the truth that was read after ``seen``, one a chunk."""
    by_chunk: dict[int, list[int | bytes]] = {}
    for entry in entries:
        words = by_chunk.setdefault(keys.chunk_of(entry.num), [])
        words += (entry.num, packing.pack_entry(entry, seen.generation))
    return [_write(keys.chunk(chunk), words, seen) for chunk, words in by_chunk.items()]


def _write(chunk: str, words: Sequence[int | bytes], seen: Seen) -> scripts.Command:
    shard = keys.shard_in(chunk)
    names = (chunk, keys.generation(shard), keys.floor(shard))
    return scripts.call(scripts.ENTRY, names, seen.generation, seen.floors[shard], *words)
