"""The applications of `serve`, put together: what each needs, and nothing more."""

import asyncio
import logging
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from edgebake.readers import signing
from edgebake.settings import Settings
from feeds import keys
from feeds.activity import Activity
from feeds.followers import Followers
from feeds.jobs import Jobs
from feeds.progress import Board
from feeds.record import Record
from feeds.refusing import Flag
from feeds.timeline import Timelines
from feeds.visits import Visits

logger = logging.getLogger(__name__)


class Waker:
    """Wakes the relay after a commit. A message that is lost costs a poll's time and nothing else."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._sending: set[asyncio.Task[None]] = set()

    def __call__(self) -> None:
        """Send a message; nobody waits for it."""
        task = asyncio.create_task(self._send())
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _send(self) -> None:
        try:
            await self._redis.publish(keys.WAKE_RELAY, "")
        except RedisError as error:
            logger.warning("The relay was not woken and looks for itself: %s", error)


def api(settings: Settings, record: Record, redis: Redis) -> Any:
    """Return the write API."""
    from publisher.app import create_app

    record.on_commit = Waker(redis)
    active = activity(settings, record, redis)
    return create_app(
        record,
        token=settings.api_token.reveal(),
        progress=Board(redis, record).of,
        activity=active.seen,
        visits=Visits(redis, record, active, days=settings.active_days).note,
        jobs=Jobs(redis),
        refuse=Flag(redis).read,
        signing=signing(settings),
    )


def timelines(settings: Settings, record: Record, redis: Redis) -> Timelines:
    """Return the timelines."""
    return Timelines(redis, record, cap=settings.timeline_cap, own_posts=settings.own_posts, weights=settings.weights)


def activity(settings: Settings, record: Record, redis: Redis) -> Activity:
    """Return who is active and who a guest."""
    return Activity(
        redis,
        record,
        Followers(redis, record),
        timelines(settings, record, redis),
        days=settings.active_days,
        per_hour=settings.activations,
        linger_ms=settings.linger_ms,
    )


def feeds(settings: Settings, record: Record, redis: Redis) -> tuple[Any, str]:
    """Return the baker, which the CDN may reach, and the version of its templates."""
    from baker.app import Headers
    from baker.bake import Limits
    from baker.kitchen import Audience, Config, create_app
    from baker.oven import Bounds
    from templates import FOLDER

    config = Config(
        FOLDER,
        settings.public,
        image_hosts=frozenset(settings.image_hosts),
        memory_bytes=settings.memory_mb * 1_000_000,
        timeline_cap=settings.timeline_cap,
        freshness=settings.freshness,
        audience=Audience(settings.active_days, settings.activations, settings.linger_ms),
        limits=Limits(
            max_pages=settings.max_pages,
            own_posts=settings.own_posts,
            order=settings.feed_order,
            weights=settings.weights,
            explore_ttl=settings.explore_ttl,
        ),
        headers=Headers(settings.tag_header, settings.robots),
        bounds=Bounds(settings.bakes_at_once, settings.bake_queue, patience_s=0.8 * settings.origin_timeout_s),
        transit_ms=settings.transit_ms,
        taps_all=settings.taps_all,
    )
    app, renderer = create_app(redis, record, config)
    return app, renderer.version


def ops(record: Record, redis: Redis, template_version: str) -> Any:
    """Return health, readiness and metrics, which the CDN may not reach. The API has no templates, so no version."""
    from baker.ops import create_app

    return create_app(redis, record, template_version)
