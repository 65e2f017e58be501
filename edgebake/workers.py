"""The loops of `work`, put together: relay and listener, fan-out, recorder and drain."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, assert_never

from redis.asyncio import Redis

from cdn.cloudfront import CloudFrontEdge
from cdn.edge import Edge
from cdn.errors import EdgeBusy
from cdn.ledger import Ledger
from cdn.load import Load
from cdn.pending import CallBudget
from edgebake.apps import Waker, activity, timelines
from edgebake.errors import CommandError
from edgebake.settings import Settings
from edgebake.wiring import EDGE, consumer
from feeds.fanout import Fanout
from feeds.listener import Listener
from feeds.progress import Board
from feeds.purge import Purge
from feeds.record import Record
from feeds.relay import Relay
from feeds.worker import Worker
from invalidator.budget import Budget
from invalidator.drain import Drain
from invalidator.plan import Limits
from invalidator.recorder import Recorder
from invalidator.rolling import Roller

Loop = Callable[[asyncio.Event], Coroutine[Any, Any, None]]

POLL_S = {"instant": 0.05, "cloudfront": 2.0}
"""Seconds between two looks at whether an invalidation is complete."""
COMPLETE_MS = {"instant": 1000, "cloudfront": 25_000}
"""How long an invalidation takes: what AWS announced as P95."""
FIRST_RETRY_S = 0.2
LONGEST_RETRY_S = 5.0

logger = logging.getLogger(__name__)


def relay(settings: Settings, record: Record, redis: Redis) -> list[Loop]:
    """Return the relay, and the listener on the channel for invalidations."""
    record.on_commit = Waker(redis)
    taken = Relay(redis, record, linger_ms=settings.linger_ms, replay_ms=1000 * settings.replay)
    return [taken.run, Listener(redis, record).run]


def fanout(settings: Settings, record: Record, redis: Redis) -> list[Loop]:
    """Return a fan-out worker, and the purge's schedule."""
    made, who = timelines(settings, record, redis), activity(settings, record, redis)
    fan = Fanout(redis, record, made, who, own_posts=settings.own_posts, linger_ms=settings.linger_ms)
    purge = Purge(redis, who, post_days=settings.post_days, every_s=settings.purge_every)
    return [Worker(redis, fan, consumer()).run, purge.run]


def invalidator(settings: Settings, record: Record, redis: Redis, edge: Edge) -> list[Loop]:
    """Return the recorder, the drain loop, the roller and the keeper of the budget."""
    board, origin = Board(redis, record), Load(redis)
    ledger = Ledger(redis, [edge.name], settings.transit_ms)
    account = settings.account
    calls = CallBudget(redis, account, round(settings.seconds_between_calls * 1000))
    least = 2 if settings.taps_all else 1
    budget = Budget(redis, record, account, limit=settings.item_limit, at_limit=settings.at_limit, least=least)
    poll_s = POLL_S[profile_of(settings)]
    drain = Drain(redis, edge, board, calls, _limits(settings, edge), poll_s=poll_s, origin=origin, money=budget)
    roller = Roller(
        redis,
        ledger,
        board,
        origin,
        interval_ms=round(settings.seconds_between_shards * 1000),
        forgotten_ms=settings.forgotten_ms,
        wake=drain.woken.set,
    )
    recorder = Recorder(redis, ledger, board, consumer(), wake=drain.woken.set, roll=roller.woken.set)
    return [recorder.run, drain.run, roller.run, budget.run]


def _limits(settings: Settings, edge: Edge) -> Limits:
    return Limits(
        edge.max_items,
        forgotten_ms=settings.forgotten_ms,
        transit_ms=settings.transit_ms,
        complete_ms=COMPLETE_MS[profile_of(settings)],
        max_in_progress=settings.items_in_progress,
        call_ms=round(settings.seconds_between_calls * 1000),
        tap_all=settings.taps_all,
        overflow_items=settings.overflow_items,
    )


def recompute(settings: Settings, record: Record, redis: Redis) -> list[Loop]:
    """Return the runner of recalculations, and of their schedule."""
    from edgebake.wiring import recomputation
    from feeds.runner import Runner

    return [Runner(redis, recomputation(settings, record, redis), every_s=settings.recompute_every).run]


def profile_of(settings: Settings) -> str:
    """Return how the edge behaves: the local edge as it is told, Varnish at once, CloudFront as CloudFront."""
    return "instant" if settings.is_instant else "cloudfront"


@asynccontextmanager
async def opened_edge(settings: Settings, stop: asyncio.Event) -> AsyncIterator[Edge]:
    """Open the edge's driver, and wait until the edge answers. Raises EdgeMisconfigured and EdgeDenied."""
    edge = driver(settings)
    try:
        wait = FIRST_RETRY_S
        while not stop.is_set() and not await _is_there(edge, wait):
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), wait)
            wait = min(LONGEST_RETRY_S, wait * 2)
        yield edge
    finally:
        await edge.close()


async def _is_there(edge: Edge, wait: float) -> bool:
    try:
        await edge.check()
    except EdgeBusy as error:
        logger.warning("%s It is asked again in %.1f s.", error, wait)
        return False
    return True


def driver(settings: Settings) -> Edge:
    """Return the driver of the edge that is set. Raises CommandError where something of it is not."""
    match settings.edge:
        case "local":
            return CloudFrontEdge.local(EDGE, settings.edge_api, tag_header=settings.tag_header)
        case "cloudfront":
            return CloudFrontEdge(
                EDGE,
                settings.distribution_id,
                tag_header=settings.tag_header,
                endpoint_url=settings.cloudfront_endpoint_url or None,
            )
        case "varnish":
            return _varnish(settings)
        case _:
            assert_never(settings.edge)


def _varnish(settings: Settings) -> Edge:
    from cdn.varnish import VarnishEdge

    for name in ("varnish_urls", "varnish_secret"):
        if not getattr(settings, name):
            raise CommandError(
                f"EDGEBAKE_{name.upper()} is not set, and EDGEBAKE_EDGE=varnish needs it: set it, or use "
                "`edgebake up --edge varnish`, which starts a Varnish."
            )
    return VarnishEdge(
        EDGE,
        settings.varnish_urls,
        settings.varnish_secret.reveal(),
        tag_header=settings.tag_header,
        origin_timeout_s=settings.origin_timeout_s,
        max_ttl_s=settings.max_ttl,
    )
