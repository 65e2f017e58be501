"""Epochs: every connection compares as it opens; what Redis counts is raised before anything else is done."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError, ReadOnlyError

from cdn import epoch, scripts
from cdn import keys as cdn_keys
from cdn.errors import RedisForgot
from cdn.ledger import ALL_SHARDS
from edgebake.epochs import Epochs
from edgebake.valkey import EmbeddedValkey
from feeds import keys, redis_epoch
from feeds.errors import RecordUnavailable
from feeds.record import Record
from tests.integration.ground import EDGE, MINUTE_MS
from tests.integration.house import House
from tests.integration.wired import epochs_of, wired, wired_house
from tests.service import Service

SECOND = epoch.first_count(2)


@pytest.fixture
async def bare(valkey: str) -> AsyncIterator[Redis]:
    """A client that compares nothing."""
    async with Redis.from_url(valkey, protocol=2) as client:
        yield client


@pytest.fixture
def file(sqlite_ready: Path, tmp_path: Path) -> Path:
    """A SQLite file that has the tables."""
    path = tmp_path / "house.db"
    path.write_bytes(sqlite_ready.read_bytes())
    return path


@pytest.fixture
async def house(valkey: str, file: Path, bare: Redis) -> AsyncIterator[House]:
    """A house whose connections are as a process's, over a Redis that is in epoch 1 by that."""
    await bare.flushall()
    async with wired_house(valkey, file) as opened:
        await opened.redis.ping()
        yield opened


async def forget(house: House) -> None:
    """Let Redis be another than before, with the same data: its last changes may be lost."""
    await house.redis.set(keys.EPOCH, "1 another one")
    await house.redis.connection_pool.disconnect()


async def flush(house: House, bare: Redis) -> None:
    """Let Redis forget everything, and let connections open anew."""
    await bare.flushall()
    await house.redis.connection_pool.disconnect()


async def counts(redis: Redis) -> set[int]:
    """Return the counts of all shards."""
    (found,) = await scripts.execute(redis, [("MGET", *(cdn_keys.count(shard) for shard in ALL_SHARDS))])
    return set(map(int, found))


async def number(redis: Redis) -> int:
    """Return the number of the epoch that stands."""
    return int((await standing(redis)).split()[0])


async def standing(redis: Redis) -> bytes:
    """Return the epoch that stands, as Redis has it."""
    (found,) = await scripts.execute(redis, [("GET", keys.EPOCH)])
    return bytes(found or b"0")


async def test_the_first_epoch_of_all_has_lost_nothing(house: House, bare: Redis) -> None:
    assert (await number(bare), await counts(bare)) == (1, {0})
    assert await bare.exists(cdn_keys.unsure(5)) == 0
    assert await house.waiting() == {}


async def test_a_connection_to_the_same_redis_begins_nothing(house: House, bare: Redis) -> None:
    await house.recorded("p-1", shards=[5])
    await house.redis.connection_pool.disconnect()
    await house.redis.ping()
    assert await number(bare) == 1
    assert await counts(bare) == {0, 1}


async def test_another_run_raises_counts_and_floors_and_makes_the_ledger_unsure(house: House, bare: Redis) -> None:
    noted = await house.note(5)
    await forget(house)
    await house.redis.ping()
    assert (await number(bare), await counts(bare)) == (2, {SECOND})
    assert await house.leave(5, "u-ada", noted=noted) is None
    assert await house.leave(5, "u-ada") == SECOND
    assert int(await bare.get(keys.floor(5)) or 0) == 2 << redis_epoch.FLOOR_SHIFT
    assert await house.waiting() == {}
    assert (await house.recorded("p-unknown", shards=[5]))[5] == 1


async def test_a_redis_without_its_ledger_drops_everything_at_once_and_taps(house: House, bare: Redis) -> None:
    await flush(house, bare)
    waiting = await house.waiting()
    assert waiting == {"g": list(ALL_SHARDS)}
    (entry,) = (await house.pending.read([5], 10))[5].waiting
    assert (entry.oldest, int(entry.flags)) == (SECOND, 3)
    await house.step()
    assert set(house.edge.items) == {"g"}


async def test_a_shard_without_its_count_is_a_loss(house: House, bare: Redis) -> None:
    await bare.delete(cdn_keys.count(5))
    await house.redis.connection_pool.disconnect()
    assert await house.waiting() == {"g": list(ALL_SHARDS)}


async def test_a_script_that_finds_nothing_opens_its_connection_anew(house: House, bare: Redis) -> None:
    await house.note(5)
    await bare.flushall()
    with pytest.raises(RedisForgot):
        await house.note(5)
    assert await house.note(5) == SECOND


async def test_many_who_notice_at_once_make_one_epoch(house: House, valkey: str, bare: Redis, file: Path) -> None:
    await flush(house, bare)
    async with AsyncExitStack() as stack:
        clients = []
        for _ in range(8):
            record = await Record.open(f"sqlite:///{file}", migrate=False)
            stack.push_async_callback(record.close)
            clients.append(await stack.enter_async_context(wired(valkey, epochs_of(record))))
        await asyncio.gather(*(client.ping() for client in clients))
    assert (await number(bare), await counts(bare)) == (2, {SECOND})
    assert (await house.record.redis_epoch()).number == 2
    assert await bare.exists(cdn_keys.MAKING) == 0


async def test_an_epoch_whose_maker_died_is_made_by_the_next(house: House, bare: Redis) -> None:
    """Killed after it raised some shards: the key is as it was, so the others do it all again, under one number."""
    await flush(house, bare)

    class Dying(Record):
        async def next_redis_epoch(self, token: str, known: int) -> redis_epoch.RedisEpoch:
            begun = await super().next_redis_epoch(token, known)
            assert begun.number == 2
            raises = epoch.raised(begun.number, edges=[EDGE], unsure_ms=MINUTE_MS, is_gone=True)
            for command in raises[:7]:
                await bare.eval(scripts.TEXTS[command[1]], *command[2:])
            raise SystemExit

    dying = wired_client(bare, Dying(house.record._database))
    with pytest.raises(SystemExit):
        await dying.ping()
    assert await bare.exists(keys.EPOCH) == 0
    await house.redis.ping()
    assert (await number(bare), await counts(bare)) == (2, {SECOND})
    await dying.aclose()


def wired_client(bare: Redis, record: Record) -> Redis:
    """Return the client of another process, to the same Redis."""
    path = bare.connection_pool.connection_kwargs["path"]
    return wired(f"unix://{path}", epochs_of(record))


async def test_what_a_dead_maker_raised_is_not_raised_twice(house: House, bare: Redis) -> None:
    """A batch may have gone meanwhile: `g` is not to wait again."""
    await flush(house, bare)
    await house.step()
    await bare.delete(keys.EPOCH)
    await bare.set(cdn_keys.MAKING, (await token(house)).encode())
    await house.redis.connection_pool.disconnect()
    assert await house.waiting() == {}
    assert await number(bare) == 2


async def token(house: House) -> str:
    """Return the token under which the newest epoch was made."""
    return (await house.record.redis_epoch()).token


async def test_a_second_loss_makes_another_epoch(house: House, bare: Redis) -> None:
    for expected in (2, 3, 4):
        await flush(house, bare)
        await house.redis.ping()
        assert await number(bare) == expected


async def test_a_token_of_before_another_loss_is_not_taken_up(house: House, bare: Redis) -> None:
    """A replica that was promoted has the token of an epoch that was being made on the one before it."""
    await flush(house, bare)
    await house.redis.ping()
    await bare.set(keys.EPOCH, "1 run replication")
    await bare.set(cdn_keys.MAKING, "run replication 0123")
    house_epoch = await house.record.next_redis_epoch("run replication 0123", 1)
    await house.redis.connection_pool.disconnect()
    await house.redis.ping()
    assert await number(bare) == house_epoch.number + 1


async def test_a_number_is_above_that_of_redis_where_the_record_was_restored(house: House, bare: Redis) -> None:
    await bare.set(keys.EPOCH, "41 another one")
    await house.redis.connection_pool.disconnect()
    await house.redis.ping()
    assert await number(bare) == 42


async def test_an_old_primary_that_comes_back_is_in_an_old_epoch(house: House, bare: Redis, file: Path) -> None:
    """Its ids match, and its counts are there; but there was a later epoch, of which this process knows."""
    before = await standing(bare)
    await forget(house)
    await house.redis.ping()
    await bare.set(keys.EPOCH, before)
    await house.redis.connection_pool.disconnect()
    await house.redis.ping()
    assert await number(bare) == 3


async def test_a_process_that_starts_learns_the_newest_epoch_from_the_record(house: House, bare: Redis) -> None:
    before = await standing(bare)
    await forget(house)
    await house.redis.ping()
    await bare.set(keys.EPOCH, before)
    client = wired_client(bare, house.record)
    await client.ping()
    await client.aclose()
    assert await number(bare) == 3


async def test_a_connection_that_could_not_compare_is_not_used(house: House, bare: Redis) -> None:
    class Away(Record):
        away = True

        async def next_redis_epoch(self, token: str, known: int) -> redis_epoch.RedisEpoch:
            if self.away:
                raise RecordUnavailable("the record is away")
            return await super().next_redis_epoch(token, known)

    record = Away(house.record._database)
    client = wired_client(bare, record)
    await bare.flushall()
    for _ in range(2):
        with pytest.raises(ConnectionError, match="the record is away"):
            await client.ping()
    record.away = False
    await client.ping()
    assert await number(bare) == 2
    await client.aclose()


async def test_connections_that_listen_and_that_block_compare_too(house: House, bare: Redis) -> None:
    await forget(house)
    async with house.redis.pubsub() as pubsub:
        await pubsub.subscribe("somewhere")
        assert await number(bare) == 2
    await forget(house)
    await house.redis.blpop(["nothing"], timeout=0.01)
    assert await number(bare) == 3


async def test_a_replica_is_refused(house: House, bare: Redis, tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path / "replica")
    server.start()
    try:
        async with Redis.from_url(server.url, protocol=2) as client:
            port: Any = (await bare.config_get("port"))["port"]
            await client.replicaof("127.0.0.1", port)
        replica = wired(server.url, Epochs(house.record, edges=[EDGE], unsure_ms=0))
        with pytest.raises(ConnectionError, match="a replica"):
            await replica.ping()
        await replica.aclose()
    finally:
        server.stop()


async def test_log_numbers_go_on_above_all_that_were_used(house: House, bare: Redis) -> None:
    used = await house.timelines.numbers.take()
    await flush(house, bare)
    assert await house.timelines.numbers.take() > used + redis_epoch.AHEAD // 2


async def test_follower_lists_are_built_anew(house: House, bare: Redis) -> None:
    await bare.set(keys.LISTS, 7)
    await forget(house)
    await house.redis.ping()
    assert int(await bare.get(keys.LISTS) or 0) > 7


async def test_a_connection_to_what_is_no_primary_any_more_is_left(file: Path, tmp_path: Path) -> None:
    service = Service(tmp_path)
    record = await Record.open(f"sqlite:///{file}", migrate=False)
    try:
        async with wired(service.url, epochs_of(record)) as client:
            await client.set("key", 1)
            await asyncio.to_thread(service.replicate)
            service.promote()
            service.demote()
            with pytest.raises(ReadOnlyError):
                await client.set("key", 2)
            await client.set("key", 3)
            assert await client.get("key") == b"3"
            assert await number(client) > 1
    finally:
        await record.close()
        service.close()
