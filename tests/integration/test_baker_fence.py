"""The fence at the door: nothing that leaves the baker is older than what was recorded, or it says so."""

import asyncio

import pytest

from cdn import keys as cdn_keys
from cdn import scripts
from feeds.command import (
    Block,
    Command,
    DeletePost,
    EditPost,
    PutSettings,
    PutSite,
    RenameUser,
    Unfollow,
    UnpublishPost,
)
from feeds.ids import shard_of
from tests.integration.baking import (
    Baker,
    ada_follows_grace,
    bakes,
    before,
    config,
    during,
    follows,
    forgotten,
    held,
    late,
    ledger,
    meanwhile,
    open_bakers,
    post,
    tags_of,
    titles,
    turns,
    users,
)
from tests.integration.house import House

ADA = shard_of("ada")
LATE = "s-maxage=1, stale-while-revalidate=0, stale-if-error=0"
LASTING = "s-maxage=300, stale-while-revalidate=30, stale-if-error=30"
FEED = "/feed/ada/feed.json"


@pytest.mark.parametrize("where", ["users", "proposals", "posts", "after first", "after copies", "before fence"])
async def test_a_change_recorded_while_an_answer_is_baked_is_in_it(house: House, baker: Baker, where: str) -> None:
    await ada_follows_grace(house)
    baked = bakes()
    answer = await during(house, baker.hold(where), baker.get(FEED), EditPost(post="post-0001", title="New"))
    assert titles(answer) == ["Title 2", "New", "Title 0"]
    assert answer.headers["cache-control"] == LASTING
    assert bakes() == baked + 2


async def test_a_change_recorded_while_a_kept_answer_leaves_is_in_it(house: House, baker: Baker) -> None:
    await ada_follows_grace(house)
    old = await baker.get(FEED)
    for number, (method, headers) in enumerate(
        [("GET", {}), ("HEAD", {}), ("GET", {"if_none_match": old.headers["etag"]}), ("GET", {"if_none_match": "*"})]
    ):
        kept = await baker.get(FEED)
        reading = baker.get(FEED, method, **headers)
        edit = EditPost(post="post-0001", title=f"New {number}")
        answer = await during(house, baker.hold("before fence"), reading, edit)
        assert answer.status_code == (304 if headers == {"if_none_match": "*"} else 200)
        assert answer.headers["etag"] != kept.headers["etag"]
        assert answer.headers["etag"] == (await baker.get(FEED)).headers["etag"]


async def test_a_user_created_while_their_404_leaves_is_answered(house: House, baker: Baker) -> None:
    assert (await baker.get("/feed/eve")).status_code == 404
    answer = await during(house, baker.hold("before fence"), baker.get("/feed/eve"), *users("eve"))
    assert answer.status_code == 200


async def test_all_who_waited_for_a_bake_get_what_changed_meanwhile(house: House, baker: Baker) -> None:
    await ada_follows_grace(house)
    baked, hold = bakes(), baker.hold("before fence")
    waiting = [asyncio.ensure_future(baker.get(FEED)) for _ in range(20)]
    await meanwhile(house, hold, EditPost(post="post-0001", title="New"))
    for answer in await asyncio.gather(*waiting):
        assert titles(answer)[1] == "New"
        assert answer.headers["cache-control"] == LASTING
    assert bakes() == baked + 2


async def test_who_comes_while_an_answer_is_on_its_way_out_does_not_leave_with_its_verdict(
    house: House, baker: Baker
) -> None:
    await ada_follows_grace(house)
    hold = baker.hold("after fence")
    early = asyncio.ensure_future(baker.get(FEED))
    await held(hold)
    await house.read(EditPost(post="post-0001", title="New"))
    newcomer = asyncio.ensure_future(baker.get(FEED))
    await turns()
    hold.go.set()
    assert titles(await early)[1] == "Title 1"
    assert titles(await newcomer)[1] == "New"


async def test_a_change_after_the_fence_finds_the_answer_in_the_ledger(house: House, baker: Baker) -> None:
    await ada_follows_grace(house)
    edit = EditPost(post="post-0001", title="New")
    answer = await during(house, baker.hold("after fence"), baker.get(FEED), edit)
    assert titles(answer)[1] == "Title 1"
    assert await house.waiting() == {"p-post-0001": [ADA]}


@pytest.mark.parametrize("path", [FEED, "/feed/ada", "/author/grace/feed.atom", "/post/post-0001"])
async def test_an_answer_that_two_changes_overtook_leaves_late_and_is_not_kept(
    house: House, baker: Baker, path: str
) -> None:
    await ada_follows_grace(house)
    marked, baked = late(), bakes()
    first, second = baker.hold("before fence"), baker.hold("before fence")
    reading = asyncio.ensure_future(baker.get(path))
    await meanwhile(house, first, EditPost(post="post-0001", title="New"))
    await meanwhile(house, second, EditPost(post="post-0001", title="Newer"))
    answer = await reading
    assert "Newer" not in answer.text
    assert (answer.status_code, answer.headers["cache-control"]) == (200, LATE)
    assert answer.headers["edgebake-late"] == "1"
    assert (late(), bakes()) == (marked + 1, baked + 2)
    fresh = await baker.get(path)
    assert "Newer" in fresh.text
    assert fresh.headers["cache-control"] == LASTING
    assert "edgebake-late" not in fresh.headers
    assert bakes() == baked + 3


async def test_a_late_answer_is_late_for_all_who_waited_and_with_a_validator_too(house: House, baker: Baker) -> None:
    await ada_follows_grace(house)
    first, second = baker.hold("before fence"), baker.hold("before fence")
    waiting = [asyncio.ensure_future(baker.get(FEED, **({"if_none_match": "*"} if n else {}))) for n in range(3)]
    await meanwhile(house, first, EditPost(post="post-0001", title="New"))
    await meanwhile(house, second, EditPost(post="post-0001", title="Newer"))
    answers = await asyncio.gather(*waiting)
    assert [answer.status_code for answer in answers] == [200, 200, 200]  # a 304 would leave the mark with an edge
    assert {answer.headers["cache-control"] for answer in answers} == {LATE}


async def test_what_was_recorded_for_others_lets_an_answer_pass_and_its_count_moves_on(
    house: House, baker: Baker
) -> None:
    await ada_follows_grace(house)
    first = await baker.get(FEED)
    baked = bakes()
    stranger = next(name for name in (f"user-{n}" for n in range(1000)) if shard_of(name) == ADA)
    await house.read(*users(stranger))
    second = await baker.get(FEED)
    count = int(first.headers["edgebake-count"].partition(":")[2])
    assert second.headers["edgebake-count"] == f"{ADA:02x}:{count + 1}"
    assert second.headers["server-timing"].startswith("memory;dur=")
    assert bakes() == baked


CHANGES: dict[str, tuple[str, Command]] = {
    "a post was edited": ("/feed/ada", EditPost(post="post-0001", title="New")),
    "a post was deleted": ("/feed/ada/feed.atom", DeletePost(post="post-0000")),
    "a post was moved": ("/feed/ada/feed.json", EditPost(post="post-0001", tags=("new",))),
    "a post was published": ("/feed/ada", post(9)),
    "an author was renamed": ("/feed/ada/feed.json", RenameUser(user="grace", name="Rear Admiral")),
    "settings changed": ("/feed/ada", PutSettings(user="ada", page_size=1)),
    "somebody was followed": ("/feed/ada/feed.json", follows("ada", "alan")[0]),
    "an author's own page": ("/author/grace", post(8)),
    "a page for one post": ("/post/post-0001", RenameUser(user="grace", name="Admiral")),
    "an older page": ("/feed/ada/after/post-0002", EditPost(post="post-0001", title="Newest")),
    "a post was unpublished": ("/author/grace/feed.json", UnpublishPost(post="post-0001")),
    "somebody was unfollowed": ("/feed/ada/feed.atom", Unfollow(user="ada", author="alan")),
    "the site was renamed": ("/feed/ada", PutSite(title="Ours")),
    "an author blocked the reader": ("/feed/ada/feed.json", Block(user="grace", blocked="ada")),
}


async def test_two_replicas_that_both_keep_a_page_answer_fresh_after_a_change(house: House) -> None:
    await ada_follows_grace(house)
    await before(house, *users("alan"), post(50, "alan"))
    async with open_bakers(house, config(), config()) as replicas:
        for what, (path, command) in CHANGES.items():
            for encoding in ("", "gzip"):
                old = [await baker.get(path, accept_encoding=encoding) for baker in replicas]
                assert old[0].headers["etag"] == old[1].headers["etag"], what
            validator = old[0].headers["etag"]
            await house.read(command)
            for baker in replicas:
                asked = await baker.get(path, accept_encoding="gzip", if_none_match=validator)
                head = await baker.get(path, "HEAD", accept_encoding="gzip")
                fresh = await baker.get(path, accept_encoding="gzip")
                assert asked.status_code == 200, what
                assert validator != asked.headers["etag"] == head.headers["etag"] == fresh.headers["etag"], what
                assert old[0].content != asked.content == fresh.content, what
                assert fresh.headers["cache-control"] == LASTING


async def test_everything_that_left_is_in_the_ledger(house: House, baker: Baker) -> None:
    await ada_follows_grace(house)
    asks: list[tuple[str, str, dict[str, str]]] = [
        *(
            (path, "GET", {})
            for path in ("/feed/ada", FEED, "/author/grace", "/post/post-0001", "/feed/ada/after/post-0001")
        ),
        *((path, "GET", {}) for path in ("/feed/eve", "/post/none", "/feed/ada/after/none")),
        (FEED, "GET", {}),
        (FEED, "HEAD", {}),
        (FEED, "GET", {"if_none_match": "*"}),
        ("/feed/eve", "HEAD", {}),
    ]
    for path, method, headers in asks:
        shard = shard_of(path.split("/")[2])
        known = [key async for key in house.redis.scan_iter(f"{{{shard:02x}}}:l*") if b"log" not in key]
        if known:
            await house.redis.delete(*known)
        answer = await baker.get(path, method, **headers)
        assert set(tags_of(answer)) == await ledger(house, shard), (path, method, headers)


async def test_a_redis_that_forgot_all_lets_nothing_old_pass(house: House, baker: Baker) -> None:
    await ada_follows_grace(house)
    await baker.get(FEED)
    await house.read(PutSettings(user="ada", page_size=10))
    old = await baker.get(FEED)
    await before(house, EditPost(post="post-0001", title="New"))
    await forgotten(house)
    answer = await baker.get(FEED, if_none_match=old.headers["etag"])
    assert titles(answer) == ["Title 2", "New", "Title 0"]
    assert answer.headers["cache-control"] == LASTING


async def test_a_log_that_was_cut_lets_nothing_pass_that_was_noted_before(house: House, baker: Baker) -> None:
    await ada_follows_grace(house)
    await baker.get(FEED)
    await house.read(EditPost(post="post-0001", title="New"))
    words = [f'[["u-{number}"], [], []]' for number in range(3)]
    cut = [scripts.call(scripts.RECORD, cdn_keys.fence(ADA), 1, 0, each) for each in words]
    await scripts.execute(house.redis, cut)
    assert titles(await baker.get(FEED)) == ["Title 2", "New", "Title 0"]
