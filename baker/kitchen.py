"""The kitchen: everything that the feeds port needs, put together from plain values."""

from dataclasses import dataclass, field
from pathlib import Path

from redis.asyncio import Redis

from baker.app import Feeds, Headers
from baker.bake import Bakery, Limits
from baker.door import Door
from baker.fragments import Fragments
from baker.freshness import Freshness
from baker.memory import Memory
from baker.reads import Reads
from baker.render import Renderer
from baker.shelf import Shelf
from cdn.fence import Fence
from feeds.record import Record
from feeds.timeline import CAP, Timelines
from feeds.truth import Truth


@dataclass(frozen=True, slots=True)
class Config:
    """What a deployment sets of the baker. ``public_url`` begins every absolute URL.

    ``memory_bytes`` is for artifacts, and as much again for the posts in them, which are kept ready to be joined.
    """

    templates: Path
    public_url: str
    image_hosts: frozenset[str] = frozenset()
    memory_bytes: int = 64_000_000
    timeline_cap: int = CAP
    freshness: Freshness = field(default_factory=Freshness)
    limits: Limits = field(default_factory=Limits)
    headers: Headers = field(default_factory=Headers)


def create_app(redis: Redis, record: Record, config: Config) -> tuple[Feeds, Renderer]:
    """Return the application of the feeds port, and its renderer (which knows the version of the templates)."""
    renderer = Renderer(config.templates, public_url=config.public_url, image_hosts=config.image_hosts)
    renderer.warm()
    timelines = Timelines(redis, record, cap=config.timeline_cap, own_posts=config.limits.own_posts)
    shelf = Shelf(config.memory_bytes)
    fence = Fence(redis, shelf)
    bakery = Bakery(
        Reads(redis, fence),
        Truth(redis, record),
        timelines,
        renderer,
        fragments=Fragments(renderer, config.memory_bytes),
        shelf=shelf,
        freshness=config.freshness,
        limits=config.limits,
    )
    door = Door(fence, bakery, Memory(config.memory_bytes))
    return Feeds(door, renderer, config.headers), renderer
