"""The budget: what an AWS account's items cost this month, what they will, and what is left of the limit.

The count is in the system of record (``feeds.items``), with a hash in Redis before it: a batch costs no write of the
database. At the limit ``ttl`` lets items wait for their horizon (the plan does so: nothing is *left*); ``refuse`` has
the API take no more writes besides, by a flag that feeds own. Deletions and privacy go whatever is left.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from redis.asyncio import Redis
from redis.exceptions import RedisError

from feeds.errors import RecordUnavailable
from feeds.items import Counter, Items, month_of
from feeds.progress import now_ms
from feeds.record import Record
from feeds.refusing import Flag, Refusing
from feeds.stream import came
from invalidator import metrics

FREE_ITEMS = 1000
"""Items a month and account that AWS does not bill."""
DOLLARS_AN_ITEM = 0.005
KEEP_S = 5.0
"""Seconds between two writes of the count into the system of record: what a lost Redis loses of it at the most."""
LOOK_S = 1.0
DAY_MS = 86_400_000

AtLimit = Literal["ttl", "refuse"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a month costs: so far, and at its end where it goes on as it went. Money in US dollars."""

    account: str
    counted: Items
    limit: int
    at_limit: AtLimit
    end_ms: int
    items_at_end: int

    @property
    def cost(self) -> float:
        """What is to be paid so far."""
        return cost_of(self.counted.total)

    @property
    def cost_at_end(self) -> float:
        """What is to be paid for the whole month."""
        return cost_of(self.items_at_end)

    @property
    def left(self) -> int | None:
        """Items that may still be sent this month; None where there is no limit."""
        return max(0, self.limit - self.counted.total) if self.limit else None


def cost_of(items: int) -> float:
    """Return what AWS bills for a month's items of an account that has no other, in US dollars."""
    return max(0, items - FREE_ITEMS) * DOLLARS_AN_ITEM


def bounds_of(month: str) -> tuple[int, int]:
    """Return when a month begins and when the next one does, in Unix milliseconds."""
    begin = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC)
    end = begin.replace(year=begin.year + begin.month // 12, month=begin.month % 12 + 1)
    return int(begin.timestamp() * 1000), int(end.timestamp() * 1000)


def at_end(counted: Items, begun_ms: int, now_ms: int, end_ms: int) -> int:
    """Return the items of a whole month, at the rate since ``begun_ms``; a rate is that of a day at least."""
    if not counted.total:
        return 0
    rate = counted.total / max(DAY_MS, now_ms - begun_ms)
    return counted.total + round(rate * max(0, end_ms - now_ms))


class Budget:
    """The budget of one AWS account. ``limit`` is how many items a month may have, 0 for any number.

    ``least`` is what a change costs at least: 2 where every item is tapped twice. Where less is left, the limit is
    reached: nothing more goes but deletions and privacy.
    """

    def __init__(
        self,
        redis: Redis,
        record: Record,
        account: str,
        *,
        limit: int = 0,
        at_limit: AtLimit = "ttl",
        least: int = 1,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._record = record
        self._account = account
        self._limit = limit
        self._at_limit: AtLimit = at_limit
        self._least_cost = least
        self._clock = clock
        self._counter = Counter(redis, account)
        self._flag = Flag(redis)
        self._kept: dict[str, Items] | None = None
        self._told: str | None = None

    async def spent(self, first: int, taps: int, batch: str) -> None:
        """Count the items of a batch that the edge took, once however often this is said of it."""
        least = await self._least()
        counted = await self._counter.add(batch, first, taps, least, self._clock())
        if self._limit and self._is_reached(self._limit - counted.total):
            await self.look()

    async def left(self) -> int | None:
        """Return how many items may still be sent this month; None where there is no limit."""
        return max(0, self._limit - (await self.counted()).total) if self._limit else None

    async def counted(self) -> Items:
        """Return this month's items: never fewer than the system of record has."""
        least = await self._least()
        return (await self._counter.read(least.month)).raised_to(least)

    async def adopt(self) -> None:
        """Take the limit that the invalidator works with, in place of one's own; where none has said so, keep that."""
        if (found := await self._counter.limit(month_of(self._clock()))) is not None:
            self._limit, self._at_limit = found[0], "refuse" if found[1] == "refuse" else "ttl"

    async def forecast(self) -> Forecast:
        """Return what this month costs, and what it will."""
        counted, now = await self.counted(), self._clock()
        begin_ms, end_ms = bounds_of(counted.month)
        is_first = all(month >= counted.month for month in self._kept or ())
        begun_ms = max(begin_ms, counted.since_ms) if is_first else begin_ms
        items = at_end(counted, begun_ms, now, end_ms)
        return Forecast(self._account, counted, self._limit, self._at_limit, end_ms, items)

    async def run(self, stop: asyncio.Event) -> None:
        """Keep the count, the flag and the metrics, until ``stop`` is set."""
        kept_s = float("-inf")
        loop = asyncio.get_running_loop()
        while not stop.is_set():
            try:
                if loop.time() - kept_s >= KEEP_S:
                    await self.keep()
                    kept_s = loop.time()
                await self.look()
            except (RedisError, RecordUnavailable, TimeoutError) as error:
                log.warning("The month's items are not kept now, and will be: %r", error)
            await came(stop, LOOK_S)
        await self.keep()

    async def keep(self) -> None:
        """Write into the system of record what was counted since: of this month, and of the one that ended."""
        self._kept = {items.month: items for items in await self._record.items(self._account)}
        now = self._clock()
        for month in sorted({month_of(now - DAY_MS), month_of(now)}):
            counted = await self._counter.read(month)
            kept = self._kept.get(month, Items(month))
            if (raised := counted.raised_to(kept)) != kept:
                await self._record.raise_items(self._account, raised)
                self._kept[month] = raised

    async def look(self) -> None:
        """Set the flag or take it back, set the metrics, and say so where the limit is reached."""
        forecast = await self.forecast()
        reached = self._is_reached(forecast.left)
        _measure(forecast, refusing=reached and self._at_limit == "refuse")
        await self._counter.set_limit(forecast.counted.month, self._limit, self._at_limit)
        if reached and self._at_limit == "refuse":
            await self._flag.put(Refusing(refusal(forecast), forecast.end_ms))
        else:
            await self._flag.clear()
        if reached and self._told != forecast.counted.month:
            log.error("%s", told(forecast))
        self._told = forecast.counted.month if reached else None

    def _is_reached(self, left: int | None) -> bool:
        return left is not None and left < self._least_cost

    async def _least(self) -> Items:
        """Return what the system of record has of this month; it is asked once, and by ``keep``."""
        if self._kept is None:
            self._kept = {items.month: items for items in await self._record.items(self._account)}
        month = month_of(self._clock())
        return self._kept.get(month, Items(month))


def refusal(forecast: Forecast) -> str:
    """Return what the API says when it refuses a write."""
    return (
        f"{_spent(forecast)}, and writes are refused until {_moment(forecast.end_ms)}: have "
        "EDGEBAKE_MONTHLY_ITEMS raised or EDGEBAKE_AT_LIMIT set to ttl, and the invalidator started again, to go on "
        "before. Deletions, unpublishing, "
        "blocks, making a feed private, drafts and reactions are taken as ever"
    )


def told(forecast: Forecast) -> str:
    """Return what the log says when the limit is reached."""
    effect = "the API refuses writes" if forecast.at_limit == "refuse" else "changes show when feeds expire at the edge"
    return (
        f"{_spent(forecast)} (account {forecast.account!r}): until {_moment(forecast.end_ms)} {effect}; deletions and "
        "privacy go as ever. To go on before, raise EDGEBAKE_MONTHLY_ITEMS and start the invalidator again; "
        "`edgebake budget` says what that would cost."
    )


def _spent(forecast: Forecast) -> str:
    return f"The {forecast.limit:,} invalidation items of {forecast.counted.month} are spent"


def _measure(forecast: Forecast, *, refusing: bool) -> None:
    account, counted = forecast.account, forecast.counted
    metrics.MONTH_ITEMS.labels(account, "first").set(counted.first)
    metrics.MONTH_ITEMS.labels(account, "second").set(counted.taps)
    metrics.MONTH_COST.labels(account).set(forecast.cost)
    metrics.MONTH_FORECAST.labels(account).set(forecast.cost_at_end)
    if forecast.left is not None:
        metrics.ITEMS_LEFT.labels(account).set(forecast.left)
    metrics.REFUSING.set(refusing)


def _moment(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M} UTC"
