"""bench day: a day of a social network in two systems on one Redis: writes, how soon they are visible, and reads.

Both get the same posts for the same followers and read the same pages. Stream-Framework writes into feeds and stops
there; Edgebake commits each post to its system of record first, and what is read from it is a whole page over HTTP.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import urlsplit

import orjson
import uvloop

from bench.crowd import name
from bench.days import Edgebake, Framework, System
from bench.load import Generator, request
from bench.report import Report, Say, machine, percentile, rounded
from bench.server import Server, serving
from bench.social import KEPT, Network, Story
from bench.streamframework.client import Kind, stream_framework
from bench.world import options, read, valkey
from edgebake.settings import Settings
from edgebake.valkey import socket_path
from edgebake.wiring import opened_record, opened_redis

CONNECTIONS = 64
COMPARED = 20
"""Users whose first pages are compared, post by post."""
OURS, SHIPPED, MENDED = "Edgebake", "Stream-Framework as shipped", "Stream-Framework mended"
KINDS: Mapping[str, Kind] = {SHIPPED: "shipped", MENDED: "mended"}


def run(*, full: bool, say: Say) -> Report:
    """Measure."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(measure(10_000 if full else 1_000, say))


async def measure(users: int, say: Say) -> Report:
    """Measure a day of so many users."""
    story = Story(Network(users))
    report = Report("day", machine() | story.figures())
    with valkey() as settings:
        async with systems(settings, story, say) as (baker, ours, framework):
            await _write(report, story, framework, ours, say)
            await _delay(report, story, {**framework, OURS: ours}, say)
            say("reads")
            paths = await asyncio.to_thread(walked, baker.port, story)
            _compare(paths, framework[SHIPPED])
            await _read(report, story, framework[SHIPPED], ours)
            await asyncio.to_thread(_bake, report, baker, paths)
    return report


@asynccontextmanager
async def systems(
    settings: Settings, story: Story, say: Say
) -> AsyncIterator[tuple[Server, Edgebake, Mapping[str, Framework]]]:
    """Start both systems, and give each the feeds of the day before."""
    async with AsyncExitStack() as stack:
        record = await stack.enter_async_context(opened_record(settings))
        redis = await stack.enter_async_context(opened_redis(settings, record))
        ours = Edgebake(settings, record, redis)
        say("the day before, for Edgebake")
        await ours.fill(story)
        baker = stack.enter_context(serving("baker", memory=0, own_posts=False, **options(settings)))
        framework: dict[str, Framework] = {}
        for title, kind in KINDS.items():
            say(f"the day before, for {title}")
            socket = socket_path(settings.data_dir / "valkey")
            framework[title] = Framework(stack.enter_context(stream_framework(socket, kind, KEPT)))
            framework[title].fill(story)
        yield baker, ours, framework


async def _write(report: Report, story: Story, framework: Mapping[str, Framework], ours: Edgebake, say: Say) -> None:
    """Publish half of the day as fast as it goes."""
    half, _ = story.halves()
    for title, system in framework.items():
        say(f"{title} writes")
        _note_writes(report, story, title, (await system.write(half)).seconds)
    say(f"{OURS} writes")
    committed, fanned = (await ours.commit(half)).seconds, (await ours.fan_out(half)).seconds
    _note_writes(report, story, f"{OURS}, fan-out", fanned)
    _note_writes(report, story, f"{OURS}, commit and fan-out", committed + fanned)


def _note_writes(report: Report, story: Story, title: str, seconds: float) -> None:
    half, _ = story.halves()
    report.figures[f"writes: {title}"] = {
        "posts a second": rounded(len(half) / seconds),
        "feeds a second": rounded(story.reach(half) / seconds),
    }


async def _delay(report: Report, story: Story, several: Mapping[str, System], say: Say) -> None:
    """Publish the other half at a rate that all can keep up with: half of the slowest one's."""
    _, half = story.halves()
    rate = min(row["posts a second"] for title, row in report.figures.items() if title.startswith("writes: ")) / 2
    report.figures["posts a second, for the delay"] = rounded(rate)
    for title, system in several.items():
        say(f"{title} writes {rate:.1f} posts a second")
        delays = [delay * 1000 for delay in (await system.write(half, rate)).each]
        report.figures[f"visible after: {title}"] = {
            "p50 ms": rounded(percentile(delays, 0.5)),
            "p90 ms": rounded(percentile(delays, 0.9)),
            "p99 ms": rounded(percentile(delays, 0.99)),
        }


def walked(port: int, story: Story) -> dict[tuple[int, int], tuple[str, list[int]]]:
    """Walk down the feeds of those who read; return path and posts of each page that is read."""
    last: dict[int, int] = {}
    for user, page in story.pages:
        last[user] = max(last.get(user, 0), page)
    found: dict[tuple[int, int], tuple[str, list[int]]] = {}
    for user, deepest in last.items():
        path = _path(user)
        for page in range(deepest + 1):
            feed = orjson.loads(read(port, path))
            found[user, page] = (path, [int(item["id"].rpartition("/b")[2]) for item in feed["items"]])
            path = urlsplit(feed.get("next_url", "")).path
    return found


def _compare(paths: Mapping[tuple[int, int], tuple[str, list[int]]], framework: Framework) -> None:
    """See that both show the same. Raises AssertionError where a first page is another."""
    for user in [user for user, page in paths if page == 0][:COMPARED]:
        ours, theirs = paths[user, 0][1], framework.first_page(user)
        assert ours == theirs, f"the first page of {name(user)} is {ours} here and {theirs} there"


async def _read(report: Report, story: Story, framework: Framework, ours: Edgebake) -> None:
    """Read the day's pages, one after the other, from feeds and from timelines."""
    await ours.read(story.pages)  # what each process keeps of posts is there from here on
    for title, system in ((SHIPPED, framework), (f"{OURS}, timelines", ours)):
        took = await system.read(story.pages)
        _note(report, f"reads: {title}", took.each, len(took.each) / took.seconds)


def _bake(report: Report, baker: Server, paths: Mapping[tuple[int, int], tuple[str, list[int]]]) -> None:
    """Read the day's pages from the baker, one at a time and many at once. Raises AssertionError where one was kept."""
    asked = [request(path) for path, _ in paths.values()]
    for connections, how in ((1, "one at a time"), (CONNECTIONS, f"{CONNECTIONS} at once")):
        with Generator(baker.port, asked, connections) as generator:
            before = baker.used()
            load = generator.each_once()
            bakes = baker.used().since(before).bakes
        assert bakes == len(load.latencies), f"{bakes:.0f} bakes for {len(load.latencies)} answers"
        _note(report, f"reads: {OURS}, bakes over HTTP, {how}", load.latencies, load.rate)


def _note(report: Report, title: str, latencies: Sequence[float], rate: float) -> None:
    report.figures[title] = {
        "pages a second": rounded(rate),
        "p50 ms": rounded(percentile(latencies, 0.5) * 1000),
        "p99 ms": rounded(percentile(latencies, 0.99) * 1000),
    }


def _path(user: int) -> str:
    return f"/feed/{name(user)}/feed.json"
