"""Whatever changes, no page that an edge keeps is older than that: sources that found room, and those that did not.

The edge here keeps every page until one of its tags is an item. After each change that was carried to it, all that it
kept is compared with what would be baked now. Nothing of that comparison is in the ledger.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace

import pytest

from baker.kitchen import Audience
from baker.paths import parse
from baker.splice import join
from cdn.tags import OVERFLOW, topic_tag
from feeds.command import (
    Block,
    Command,
    DeletePost,
    EditPost,
    Follow,
    FollowTag,
    PublishPost,
    PutSettings,
    RenameUser,
    Unblock,
    Unfollow,
    UnfollowTag,
    UnpublishPost,
)
from feeds.errors import Refused
from tests.integration.baking import (
    Baker,
    at,
    before,
    config,
    follows,
    held,
    next_path,
    open_bakers,
    post,
    tags_of,
    titles,
    users,
)
from tests.integration.house import House

AUTHORS = [f"author-{number:02}" for number in range(25)]
FEW = AUTHORS[:3]
READERS = ("ada", "bob", "cay")
GUEST = "gus"
TAGS = ("cats", "dogs", "birds")
STEPS = 30
FEEDS = [f"/feed/{user}" for user in (*READERS, GUEST)]
PATHS = [*FEEDS, "/feed/ada/feed.json", "/feed/cay/feed.atom", *(f"/author/{name}" for name in (FEW[0], "ada"))]


@dataclass
class Kept:
    """A page at the edge."""

    tags: set[str]
    body: bytes


@dataclass
class Shop:
    """An edge before two bakers: to one of them, whoever has no timeline is a guest."""

    house: House
    baker: Baker
    hosting: Baker
    kept: dict[str, Kept] = field(default_factory=dict)
    items: list[str] = field(default_factory=list)

    async def read(self, path: str) -> None:
        """Read a page, and the one below it."""
        here: str | None = path
        for _ in range(2):
            if here is None or here in self.kept:
                return
            answer = await self._baker(here).get(here)
            self.kept[here] = Kept(set(tags_of(answer)), answer.content)
            here = next_path(answer) if answer.status_code == 200 else None

    async def change(self, *commands: Command) -> set[str]:
        """Carry changes to the edge, drop there what they drop, and compare; return the items."""
        before = len(self.house.edge.items)
        await self.house.loop(*commands)
        while await self.house.waiting():
            await self.house.step()
        items = set(self.house.edge.items[before:])
        self.items += items
        self.kept = {path: page for path, page in self.kept.items() if page.tags.isdisjoint(items)}
        for path, page in self.kept.items():
            assert page.body == await self._baked(path), f"{path} is old after {commands}, which dropped {items}"
        return items

    async def _baked(self, path: str) -> bytes:
        target = parse(path)
        assert target is not None
        return join((await self._baker(path).app._door._bakery.bake(target)).parts)

    def _baker(self, path: str) -> Baker:
        return self.hosting if f"/{GUEST}" in path else self.baker


@asynccontextmanager
async def opened(house: House) -> AsyncIterator[Shop]:
    """Open a shop where ada follows so many that not all find room, bob half as many, cay few and the tags."""
    await before(house, *users(*READERS, GUEST, *AUTHORS))
    await before(house, *follows("ada", *AUTHORS), *follows("bob", *AUTHORS[8:]), *follows("cay", *FEW))
    await before(house, *follows(GUEST, *AUTHORS[2:]), *(FollowTag(user="cay", tag=tag) for tag in TAGS[:2]))
    await before(house, *(post(number, AUTHORS[number * 7 % 25], tags=tags_for(number)) for number in range(60)))
    async with open_bakers(house, config(), config(audience=Audience(per_hour=0))) as (baker, hosting):
        yield Shop(house, baker, hosting)


def tags_for(number: int) -> tuple[str, ...]:
    """Return the tags of a post: of some none, of few two."""
    return tuple(tag for at, tag in enumerate(TAGS) if number % (at + 3) == 0)


@pytest.fixture
async def shop(house: House) -> AsyncIterator[Shop]:
    """A shop of which everything was read: feeds in two formats with an older page each, and authors' pages."""
    async with opened(house) as shop:
        await read_all(shop)
        yield shop


async def read_all(shop: Shop) -> None:
    """Read every page that is not at the edge."""
    for path in PATHS:
        await shop.read(path)


def carried(shop: Shop, path: str) -> set[str]:
    """Return the tags of the sources that a page carries."""
    return {tag for tag in shop.kept[path].tags if tag[:2] in ("a-", "t-")}


def without_room(shop: Shop, user: str) -> str:
    """Return an author whom bob follows, and for whom this follower's first page has no room."""
    return next(name for name in AUTHORS[8:] if f"a-{name}" not in carried(shop, f"/feed/{user}"))


async def test_a_source_is_one_item_for_all_whose_page_has_room_and_others_go_by_name(shop: Shop) -> None:
    assert OVERFLOW in shop.kept["/feed/ada"].tags
    assert OVERFLOW not in shop.kept["/feed/cay"].tags | shop.kept["/feed/bob"].tags
    items = await shop.change(post(100, FEW[0]))
    assert not [path for path in shop.kept if path.startswith(("/feed/cay", f"/author/{FEW[0]}"))]
    assert not items & {"u-cay", f"u-{FEW[0]}"}
    await read_all(shop)
    author = without_room(shop, "ada")
    items = await shop.change(post(101, author))
    assert items >= {"u-ada", f"a-{author}"}
    assert "u-bob" not in items
    await read_all(shop)
    assert f"u-{GUEST}" in await shop.change(post(102, without_room(shop, GUEST)))
    await read_all(shop)
    assert "u-cay" not in await shop.change(post(103, "cay"))  # own posts are a source
    assert not [path for path in shop.kept if path.startswith("/feed/cay")]


async def test_who_follows_somebody_else_has_their_pages_dropped_and_then_carries_them(shop: Shop) -> None:
    assert "u-cay" in await shop.change(Follow(user="cay", author="bob"))
    await shop.read("/feed/cay")
    assert "a-bob" in carried(shop, "/feed/cay")
    assert await shop.change(post(100, "bob")) == {"a-bob"}
    await shop.read("/feed/cay")
    assert "u-cay" in await shop.change(Unfollow(user="cay", author="bob"))
    await shop.read("/feed/cay")
    assert "a-bob" not in carried(shop, "/feed/cay")
    assert "u-cay" not in await shop.change(post(101, "bob"))


async def test_a_source_that_is_left_out_is_not_carried(shop: Shop) -> None:
    author, cats = f"a-{FEW[0]}", topic_tag("cats")
    left_out: list[tuple[Command, str]] = [
        (PutSettings(user="cay", muted_authors=(FEW[0],)), author),
        (PutSettings(user="cay", muted_tags=("cats",)), cats),
        (UnfollowTag(user="cay", tag="cats"), cats),
        (Block(user=FEW[0], blocked="cay"), author),
    ]
    for number, (command, tag) in enumerate(left_out):
        assert tag in carried(shop, "/feed/cay")
        assert "u-cay" in await shop.change(command)
        await shop.read("/feed/cay")
        assert tag not in carried(shop, "/feed/cay")
        await shop.change(post(100 + number, FEW[0], tags=("cats",)))
        await shop.change(PutSettings(user="cay"))
        await shop.read("/feed/cay")


async def test_a_post_that_gains_a_tag_loses_one_or_moves_is_where_it_belongs_on_every_page(shop: Shop) -> None:
    """Who was shown it by the tag that it lost is reached by its own tag; so are pages that it stood next to."""
    await shop.change(post(100, "bob", tags=("birds",), published=at(30_500)))
    await read_all(shop)
    assert topic_tag("cats") in await shop.change(EditPost(post="post-0100", tags=("cats",)))
    await read_all(shop)
    assert "p-post-0100" in set().union(*(page.tags for path, page in shop.kept.items() if "/cay" in path))
    items = await shop.change(EditPost(post="post-0100", tags=("birds",)))
    assert "p-post-0100" in items
    assert topic_tag("cats") not in items
    await read_all(shop)
    for number in (59, 20):
        await shop.change(EditPost(post=f"post-{number:04}", tags=("cats", "birds")))
        await read_all(shop)
        await shop.change(EditPost(post=f"post-{number:04}", tags=()))
        await read_all(shop)
    for number, ms in ((59, 5), (3, 70_000), (30, 31_500), (45, 1)):
        await shop.change(EditPost(post=f"post-{number:04}", published=at(ms)))
        await read_all(shop)


async def test_a_bake_that_a_part_of_a_publish_overtook_is_made_anew_before_the_others_are_recorded(shop: Shop) -> None:
    """Its page has no room for the source, and its user is looked for in the ledger with this part alone."""
    without = [name for name in AUTHORS if f"a-{name}" not in carried(shop, "/feed/ada")][-1]
    await shop.change(PutSettings(user="ada", page_size=24))  # no answer of ada's is alive
    hold = shop.baker.hold("before fence")
    reading = asyncio.ensure_future(shop.baker.get("/feed/ada/feed.atom"))
    await held(hold)
    parts = await shop.house.fan_out(post(100, without))
    await shop.house.recorder.record([replace(part, parts=None, shared=False) for part in parts])
    hold.go.set()
    assert titles(await reading)[0] == "Title 100"


Step = Callable[[random.Random], Command]


WRITERS = (*AUTHORS, *READERS)


def a_post(draw: random.Random) -> str:
    """Draw a post."""
    return f"post-{draw.randrange(60):04}"


STEPS_OF: tuple[Step, ...] = (
    lambda draw: post(draw.randrange(200, 10**4), draw.choice(WRITERS), tags=tags_for(draw.randrange(60))),
    lambda draw: post(draw.randrange(200, 10**4), draw.choice(WRITERS), published=at(draw.randrange(60_000))),
    lambda draw: EditPost(post=a_post(draw), tags=tuple(draw.sample(TAGS, draw.randrange(3)))),
    lambda draw: EditPost(post=a_post(draw), published=at(draw.randrange(60_000))),
    lambda draw: EditPost(post=a_post(draw), title=f"Title {draw.random()}"),
    lambda draw: UnpublishPost(post=a_post(draw)),
    lambda draw: PublishPost(post=a_post(draw)),
    lambda draw: DeletePost(post=f"post-{draw.randrange(60):04}"),
    lambda draw: Follow(user=draw.choice(READERS), author=draw.choice(AUTHORS)),
    lambda draw: Unfollow(user=draw.choice((*READERS, GUEST)), author=draw.choice(AUTHORS)),
    lambda draw: FollowTag(user=draw.choice((*READERS, GUEST)), tag=draw.choice(TAGS)),
    lambda draw: UnfollowTag(user=draw.choice(READERS), tag=draw.choice(TAGS)),
    lambda draw: PutSettings(user=draw.choice(READERS), muted_authors=tuple(draw.sample(AUTHORS, 2))),
    lambda draw: PutSettings(user=draw.choice(READERS), muted_tags=(draw.choice(TAGS),)),
    lambda draw: Block(user=draw.choice(AUTHORS), blocked=draw.choice(READERS)),
    lambda draw: Unblock(user=draw.choice(AUTHORS), blocked=draw.choice(READERS)),
    lambda draw: RenameUser(user=draw.choice(AUTHORS), name=f"Name {draw.random()}"),
)


@pytest.mark.parametrize("steps", [STEPS, pytest.param(60 * STEPS, marks=pytest.mark.long)])
async def test_whatever_happens_in_whatever_order_nothing_old_stays(shop: Shop, steps: int) -> None:
    draw = random.Random(5)
    survived = 0
    for _ in range(steps):
        for step in draw.choices(STEPS_OF, k=draw.choice((1, 1, 1, 3))):
            with suppress(Refused):  # a follow of who blocks, a post that is gone
                await shop.house.apply(step(draw))
        await shop.change()
        survived += len(shop.kept)
        for path in draw.sample(PATHS, 5):
            await shop.read(path)
    assert {"a-", "t-", "p-", "u-"} <= {item[:2] for item in shop.items}
    assert survived > 3 * steps, "an edge that keeps nothing has nothing old"
