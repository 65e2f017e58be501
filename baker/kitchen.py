"""The kitchen: everything that the feeds port needs, put together from plain values."""

from dataclasses import dataclass, field
from pathlib import Path

from redis.asyncio import Redis

from baker.app import Feeds, Headers
from baker.bake import Bakery, Limits
from baker.door import Door
from baker.drawn import Draws
from baker.fragments import Fragments
from baker.freshness import Freshness
from baker.guard import Guard
from baker.lists import Lists
from baker.memory import Memory
from baker.oven import Bounds, Oven
from baker.proposals import Proposals
from baker.reads import Reads
from baker.render import Renderer
from baker.reporter import Reporter
from baker.resources import Resources
from baker.rows import Rows
from baker.seen import Seen
from baker.selection import Selector
from baker.shelf import Shelf
from baker.table import Table
from cdn.fence import TRANSIT_MS, Fence
from cdn.load import Load
from feeds.activity import Activity
from feeds.discovery import Discovery
from feeds.followers import Followers
from feeds.latest import Latest
from feeds.record import Record
from feeds.timeline import CAP, Timelines
from feeds.truth import Truth


@dataclass(frozen=True, slots=True)
class Audience:
    """Who has a timeline: days without activity that end it, and how many users bakes make active an hour.

    ``linger_ms``: how long an answer may be at an edge or in a baker's memory, with a margin.
    """

    active_days: int = 30
    per_hour: int = 10_000
    linger_ms: int = 1_320_000


@dataclass(frozen=True, slots=True)
class Config:
    """What a deployment sets of the baker. ``public_url`` begins every absolute URL.

    ``memory_bytes`` is for artifacts, and as much again for the posts in them, which are kept ready to be joined;
    ``artifact_bytes`` is another amount for artifacts alone: with none of it each read is a bake.
    """

    templates: Path
    public_url: str
    image_hosts: frozenset[str] = frozenset()
    memory_bytes: int = 64_000_000
    artifact_bytes: int | None = None
    timeline_cap: int = CAP
    audience: Audience = field(default_factory=Audience)
    freshness: Freshness = field(default_factory=Freshness)
    limits: Limits = field(default_factory=Limits)
    headers: Headers = field(default_factory=Headers)
    bounds: Bounds = field(default_factory=Bounds)
    transit_ms: int = TRANSIT_MS
    taps_all: bool = False


def create_app(redis: Redis, record: Record, config: Config) -> tuple[Feeds, Renderer]:
    """Return the application of the feeds port, and its renderer (which knows the version of the templates)."""
    renderer = Renderer(config.templates, public_url=config.public_url, image_hosts=config.image_hosts)
    renderer.warm()
    guard = Guard()
    fence = Fence(redis, guard, config.transit_ms, taps_all=config.taps_all)
    reads, truth = Reads(redis, fence), Truth(redis, record)
    table = Table(guard, config.limits.weights)
    proposals, seen = _proposals(redis, record, config), Seen(redis)
    fragments = Fragments(renderer, config.memory_bytes)
    rows = Rows(reads, truth, fragments, Shelf(guard, config.memory_bytes), guard)
    bakery = Bakery(
        reads,
        Resources(truth, Draws(own=config.limits.own_posts)),
        rows,
        _selector(rows, truth, table, guard, config.limits),
        proposals=proposals,
        lists=Lists(guard, Latest(redis, record)),
        discovery=Discovery(redis, record, config.limits.weights, ttl_s=config.limits.explore_ttl),
        table=table,
        renderer=renderer,
        fragments=fragments,
        freshness=config.freshness,
        limits=config.limits,
    )
    memory = Memory(config.memory_bytes if config.artifact_bytes is None else config.artifact_bytes)
    oven = Oven(config.bounds)
    door = Door(fence, bakery, memory, seen, oven)
    reporter = Reporter(Load(redis), oven)

    async def close() -> None:
        await reporter.close()
        await door.close()
        await proposals.close()
        await seen.close()

    return Feeds(door, renderer, config.headers, begin=reporter.begin, close=close), renderer


def _selector(rows: Rows, truth: Truth, table: Table, guard: Guard, limits: Limits) -> Selector:
    return Selector(
        rows, truth.record, truth.catalogue, table, guard, weights=limits.weights, own_posts=limits.own_posts
    )


def _proposals(redis: Redis, record: Record, config: Config) -> Proposals:
    limits, audience = config.limits, config.audience
    timelines = Timelines(redis, record, cap=config.timeline_cap, own_posts=limits.own_posts, weights=limits.weights)
    activity = Activity(
        redis,
        record,
        Followers(redis, record),
        timelines,
        days=audience.active_days,
        per_hour=audience.per_hour,
        linger_ms=audience.linger_ms,
    )
    return Proposals(timelines, activity)
