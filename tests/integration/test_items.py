"""What changes cost in items, where every feed of the demo's slice is cached; of the whole graph with ``--data``."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
from redis.asyncio import Redis

from bench.graph import World, demo, whole
from bench.items import AT_ONCE, LEVELS, NO_OVERFLOW, OVERFLOW, Cost, Edge, Graph, totals
from cdn import keys
from cdn.pending import CallBudget
from cdn.tags import author_tag
from feeds.affected import Affected
from feeds.change import PostEdited, PostPublished, PostWithdrawn, SettingsChanged
from feeds.ids import shard_of
from invalidator.drain import Drain
from invalidator.plan import Limits
from tests.integration.house import FakeEdge, House


@pytest.fixture(scope="module")
def graph() -> Graph:
    """The demo's users, and what their first pages carry."""
    return Graph(demo())


@pytest.fixture
async def edge(valkey: str, graph: Graph) -> AsyncIterator[Edge]:
    """An edge that has every page of the graph."""
    async with Redis.from_url(valkey, protocol=2) as redis:
        edge = Edge(redis, graph)
        await edge.register(graph.pages)
        yield edge


async def check(edge: Edge, graph: Graph, author: int) -> Cost:
    """Publish a post; compare what it costs with what is counted. ``publish`` checks that each page is reached."""
    cost = await edge.publish(author)
    left, readers = graph.without_room[author], graph.readers(author)
    named = int(left < len(readers))
    assert cost.items == {
        NO_OVERFLOW: named + left,
        OVERFLOW: named + (left if left <= OVERFLOW else 1),
        AT_ONCE: named + min(left, 1),
    }
    assert cost.items[AT_ONCE] <= 2
    return cost


async def test_a_post_costs_two_items_at_the_most_and_leaves_no_page_stale(edge: Edge, graph: Graph) -> None:
    costs = [await check(edge, graph, author) for level in (0, 10, 100, 400) for author in graph.authors(level, 3)]
    again = [await check(edge, graph, author) for author in graph.authors(400, 3)]
    assert again == costs[-len(again) :], "what a post dropped is there again, in the ledger too"
    assert sum(cost.items[OVERFLOW] for cost in costs) < sum(cost.items[NO_OVERFLOW] for cost in costs)
    assert sum(cost.items[NO_OVERFLOW] for cost in costs) < sum(cost.paths for cost in costs) / 2


async def test_what_concerns_no_page_costs_nothing(edge: Edge, graph: Graph) -> None:
    stranger = "nobody-reads-this"
    changes = (
        PostPublished("unread", stranger),
        PostEdited("unread", stranger, moved=True),
        PostWithdrawn("unread", stranger, deleted=True),
        SettingsChanged(stranger, privacy=True),
    )
    users = (stranger, "another")
    await edge.record([Affected("1", each, "1", 0, 1, users=users, sources=(10**6,), shared=True) for each in changes])
    assert await edge.items() == 0


async def test_a_thousand_changes_to_one_user_cost_two_items(house: House, graph: Graph) -> None:
    """The drain loop sends the first at once, the others in the call after; somebody reads all the while."""
    sink = FakeEdge()
    calls, limits = CallBudget(house.redis, "account", 60_000), Limits(sink.max_items, 660_000, 60_000, 1000)
    drain = Drain(house.redis, sink, house.board, calls, limits, poll_s=0.0)
    page = graph.pages[1]
    change = Affected("1", SettingsChanged(page.user, privacy=False), "1", 0, 1, shared=True)
    for _ in range(20):
        await house.note(shard_of(page.user))
        await house.fence.passes([page.leaving])
        await house.recorder.record([change] * 50)
        await drain.step()
    await house.redis.delete(keys.last_call("account"))  # the interval between two calls is over
    await drain.step()
    assert await house.waiting() == {}
    assert sink.items == [f"u-{page.user}"] * 2


def test_all_posts_together_cost_a_small_part_of_a_path_each(graph: Graph) -> None:
    found: Mapping[str, int] = totals(graph)
    assert found["all posts, without o"] < found["all posts, a path each"] / 4
    assert found["all posts, o above 20"] < 4 * found["all posts"]
    assert found["all posts, o above 1"] <= 2 * found["all posts"]


def test_who_has_no_room_for_an_author_is_counted(graph: Graph) -> None:
    author = graph.authors(400, 1)[0]
    pages = [graph.pages[reader] for reader in graph.readers(author)]
    without = [page for page in pages if author_tag(f"u{author:07d}") not in page.tags]
    assert graph.without_room[author] == len(without) > 0
    assert all(page.carried is not None and author not in page.carried for page in without)


@pytest.mark.long
async def test_posts_of_the_whole_graph_leave_no_page_stale(real_data: Path, valkey: str) -> None:
    world: World | None = whole(real_data)
    assert world is not None
    graph = Graph(world)
    async with Redis.from_url(valkey, protocol=2) as redis:
        edge = Edge(redis, graph)
        await edge.register(graph.pages)
        for author in [author for level in LEVELS for author in graph.authors(level, 20)]:
            await check(edge, graph, author)
