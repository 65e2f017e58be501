"""What the system of record keeps for a Redis that forgets: the number of its epoch, and what was done about it.

Everything that Redis counts is raised above what it may have counted before it forgot: the fence's counts, and the
floors under copies, by the epoch's number; the fan-out log by a number that was reserved before it was reached.
"""

from dataclasses import asdict, dataclass, replace

from sqlalchemy import func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from feeds import keys, scripts
from feeds.schema import is_parked, outbox, redis_epoch
from feeds.writes.locks import hold_name
from feeds.writes.unit import Unit

ROW = "redis"
AHEAD = 1 << 20
"""How far log numbers are reserved ahead. Half of it is more than are ever taken between two looks at the record."""

FLOOR_SHIFT = 32


@dataclass(frozen=True, slots=True)
class RedisEpoch:
    """``number`` of the newest epoch, made for the loss that ``token`` names; ``replayed``: the newest one that the
    outbox was replayed for. No log number above ``log`` was ever used.
    """

    number: int = 0
    token: str = ""
    replayed: int = 0
    log: int = 0


async def find(conn: AsyncConnection) -> RedisEpoch:
    """Return the newest epoch, number 0 before the first."""
    row = (await conn.execute(select(redis_epoch))).one_or_none()
    return RedisEpoch() if row is None else RedisEpoch(row.number, row.token, row.replayed, row.log)


async def begin(unit: Unit, token: str, known: int) -> RedisEpoch:
    """Return the epoch that was made under a token, or make it: above ``known``, and above all that there were."""
    await hold_name(unit.conn, ROW)
    found = await find(unit.conn)
    if found.token == token:
        return found
    return await _put(unit, replace(found, number=max(found.number, known) + 1, token=token))


async def reserve_log(unit: Unit, number: int) -> int:
    """Return up to where log numbers are reserved, at least half of ``AHEAD`` above ``number``."""
    await hold_name(unit.conn, ROW)
    found = await find(unit.conn)
    if found.log < number + AHEAD // 2:
        found = await _put(unit, replace(found, log=number + AHEAD))
    return found.log


async def replay(unit: Unit, number: int, margin_ms: int, kept_ms: int | None) -> int:
    """Let the relay take again what an epoch's Redis may not know; return how many changes that are.

    All that are not live, and those that became so less than ``margin_ms`` before the newest did, or before
    ``kept_ms``, the moment up to which Redis says that it has everything; none that is parked, for its cover is among
    them. Once an epoch: 0 the next time.
    """
    await hold_name(unit.conn, ROW)
    found = await find(unit.conn)
    if found.replayed >= number:
        return 0
    await _put(unit, replace(found, number=max(found.number, number), replayed=number))
    c = outbox.c
    newest = (await unit.conn.execute(select(func.max(c.live_ms)))).scalar() or 0
    since_ms = min(newest, kept_ms or newest) - margin_ms
    late = or_(c.live_ms.is_(None), c.live_ms > since_ms)
    again = update(outbox).where(c.relayed_ms.is_not(None), late, ~is_parked).values(relayed_ms=None, live_ms=None)
    return (await unit.conn.execute(again)).rowcount


def raised(number: int, log: int) -> list[scripts.Command]:
    """Return the commands that raise what feeds count in Redis into an epoch; each may run again, by whomever.

    Copies and entries that were read before are not written any more, follower lists are built anew, and log numbers
    go on above all that were ever used.
    """
    floor = number << FLOOR_SHIFT
    numbers = {keys.LISTS: floor, keys.LOG: log} | {keys.floor(shard): floor for shard in keys.ALL_SHARDS}
    return [scripts.call(scripts.RAISE, (key,), least) for key, least in numbers.items()]


async def _put(unit: Unit, epoch: RedisEpoch) -> RedisEpoch:
    await unit.put(redis_epoch, [{"id": ROW, **asdict(epoch)}])
    return epoch
