"""What bakes read of users where Redis has no copies: together, and kept for those whose copies are to be kept."""

import asyncio
from collections.abc import Sequence

from baker.drawn import Draws
from baker.reads import First
from baker.resources import READS, Resources
from feeds import keys
from feeds.command import Follow, PutUser
from feeds.model import Sources, User
from feeds.record import Record
from feeds.truth import Truth
from tests.integration.house import House

NOTHING = First(0, b"0", None, None, None)
USERS = [f"reader-{number}" for number in range(20)]


class Asked(Record):
    """The system of record, and what was asked of it."""

    def __init__(self, record: Record) -> None:
        super().__init__(record._database)
        self.asked: list[list[str]] = []

    async def users(self, ids: Sequence[str]) -> dict[str, User]:
        """Read users, and note which."""
        self.asked.append(list(ids))
        return await super().users(ids)

    async def sources_of(self, users: Sequence[str]) -> dict[str, Sources]:
        """Read sources, and note whose."""
        self.asked.append(list(users))
        return await super().sources_of(users)


async def test_bakes_of_a_turn_read_their_users_and_sources_together(house: House) -> None:
    await house.record.apply([PutUser(user=user, name=user) for user in ("grace", *USERS)])
    await house.record.apply([Follow(user=user, author="grace") for user in USERS])
    record = Asked(house.record)
    resources = Resources(Truth(house.redis, record), Draws(own=True))
    found = await asyncio.gather(*(resources.user(user, NOTHING, keep=True) for user in (*USERS, "nobody", USERS[0])))
    assert [user and user.id for user in found] == [*USERS, None, USERS[0]]
    await asyncio.gather(*(resources.drawn(user, NOTHING, keep=True) for user in USERS))
    assert record.asked == [[*USERS, "nobody"], USERS]


async def test_a_guest_who_is_read_with_others_leaves_no_copies(house: House) -> None:
    await house.record.apply([PutUser(user=user, name=user) for user in ("ada", "eve")])
    resources = Resources(Truth(house.redis, house.record), Draws(own=True))
    asked = [resources.user("ada", NOTHING, keep=True), resources.user("eve", NOTHING, keep=False)]
    assert [user and user.id for user in await asyncio.gather(*asked)] == ["ada", "eve"]
    drawn = [resources.drawn("ada", NOTHING, keep=True), resources.drawn("eve", NOTHING, keep=False)]
    await asyncio.gather(*drawn)
    for user, there in (("ada", 1), ("eve", 0)):
        assert await house.redis.exists(keys.user(user)) == there
        assert await house.redis.exists(keys.sources(user)) == there


class Dropping(Asked):
    """The system of record, while copies of somebody else are dropped at each read of it."""

    def __init__(self, record: Record, house: House) -> None:
        super().__init__(record)
        self._house = house

    async def sources_of(self, users: Sequence[str]) -> dict[str, Sources]:
        """Read sources, and drop copies in all their shards meanwhile."""
        found = await super().sources_of(users)
        await self._house.copies.drop([keys.sources(user) for user in USERS])
        return found


async def test_drops_that_come_all_the_time_let_bakes_end(house: House) -> None:
    await house.record.apply([PutUser(user=user, name=user) for user in USERS])
    record = Dropping(house.record, house)
    resources = Resources(Truth(house.redis, record), Draws(own=True))
    await asyncio.gather(*(resources.drawn(user, NOTHING, keep=True) for user in USERS))
    assert len(record.asked) == READS
    assert not await house.redis.exists(*map(keys.sources, USERS)), "what may be old by now is no copy"
