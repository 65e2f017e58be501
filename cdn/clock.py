"""The clock of Redis: the one that all processes share, for their hosts' clocks drift apart."""

from redis.asyncio import Redis

from cdn import scripts

TIME: scripts.Command = ("TIME",)


async def now_ms(redis: Redis) -> int:
    """Return the time in Unix milliseconds, by the clock of Redis (TIME). Raises what redis-py raises."""
    ((seconds, microseconds),) = await scripts.execute(redis, [TIME])
    return read_ms(seconds, microseconds)


def read_ms(seconds: bytes, microseconds: bytes) -> int:
    """Return the milliseconds of a reply to ``TIME``."""
    return int(seconds) * 1000 + int(microseconds) // 1000
