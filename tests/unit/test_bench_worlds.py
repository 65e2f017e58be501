"""The worlds that benches are run in: crowds, audiences, a day of a social network, and who else is put into them."""

import random
from collections import Counter
from itertools import chain
from pathlib import Path

import pytest

from bench import fanout, memory, world
from bench.audiences import Author, authors
from bench.contenders import Done, Look
from bench.contents import CARRIED, Contents, answer
from bench.crowd import Crowd, degrees, name
from bench.fanout import AIMED_AT, AT_HAND, COLD, MENDED, OURS, PLAIN, SHIPPED, Turns
from bench.handlers import make_page
from bench.memory import Taken
from bench.report import Report
from bench.social import KEPT, PAGE, Network, Story
from bench.streamframework import environment, shims
from feeds.ids import SHARDS, shard_of
from feeds.model import Settings, User, UserState
from feeds.packing import pack_fresh, read_timeline


def test_a_power_law_keeps_its_mean_and_its_bound() -> None:
    drawn = degrees(10_000, 30, 2_000)
    assert 28 < sum(drawn) / len(drawn) < 32
    assert max(drawn) <= 2_000
    assert drawn == degrees(10_000, 30, 2_000)


def test_a_few_shards_of_a_crowd_are_their_share_of_it() -> None:
    crowd = Crowd(64_000, 2)
    assert all(shard_of(user) < 2 for _, user in crowd.looked_at())
    assert 0.95 < len(crowd.looked_at()) / (crowd.users * crowd.share) < 1.05
    assert [number % SHARDS < 2 for number in crowd.numbers(200)] == [True] * 7


def test_what_memory_writes_is_what_feeds_read() -> None:
    contents = Contents(Crowd(640, SHARDS))
    _, key, user, packed = next(contents.bases())
    assert (key[5:10], user) == ("base:", name(1))
    assert len(read_timeline(packed).nums) == KEPT
    assert len({part.name for part in contents.parts()}) == len(contents.parts())


def test_an_answer_in_the_ledger_carries_as_many_tags_as_it_may() -> None:
    assert len(set(answer("ada", 30, random.Random(1)).tags)) == CARRIED


def test_authors_have_so_many_followers_and_ids_that_the_query_builds() -> None:
    world = authors([(10, 3), (25, 2)])
    assert [len(author.followers) for author in world[10]] == [10] * 3
    assert [len(author.followers) for author in world[25]] == [25] * 2
    everybody = list(chain.from_iterable(author.followers for author in world[10]))
    assert len(set(everybody)) == 30
    assert Author(7, ()).id == "w7"


@pytest.mark.parametrize(
    ("place", "posts", "pages", "audience"),
    [  # the counts of Stream-Framework's own benchmark, for 10,000 users
        (0, 0, 1, 5),
        (49, 0, 1, 5),
        (50, 1, 5, 50),
        (75, 5, 10, 100),
        (85, 10, 20, 500),
        (95, 25, 50, 500),
        (98, 25, 50, 1000),
    ],
)
def test_a_user_does_what_the_social_model_says(place: int, posts: int, pages: int, audience: int) -> None:
    network = Network(10_000)
    assert (network.posts(place), network.pages(place), network.audience(place)) == (posts, pages, audience)


def test_a_tenth_is_active_as_many_of_each_kind() -> None:
    active = Network(10_000).active
    assert len(active) == 1000
    assert set(Counter(user % 100 for user in active).values()) == {10}


def test_nobody_follows_themselves_or_anybody_twice() -> None:
    network = Network(200)
    for user in range(1, 201):
        followers = network.followers(user)
        assert len(set(followers)) == len(followers) == min(network.audience(user), 199)
        assert user not in followers
        assert set(followers) <= set(range(1, 201))


def test_a_day_is_the_same_for_both_systems_and_each_time() -> None:
    story, again = Story(Network(200)), Story(Network(200))
    assert [row[:2] for row in story.today] == [row[:2] for row in again.today]
    assert story.pages == again.pages
    first, second = story.halves()
    assert [*first, *second] == list(story.today)


def test_feeds_of_the_day_before_are_newest_first_and_capped() -> None:
    story = Story(Network(200))
    for feed in story.feeds.values():
        assert len(feed) <= KEPT
        assert [row[2] for row in feed] == sorted((row[2] for row in feed), reverse=True)
    assert all((page + 1) * PAGE <= len(story.feeds[user]) for user, page in story.pages)


def test_parameters_called_async_are_renamed_where_they_stand_alone() -> None:
    source = b"def follow(user, async=True):\n    asynchronous = async\n    return asynchronous\n"
    found: dict[str, object] = {}
    exec(shims.Renaming("module", "module.py").source_to_code(source, "module.py"), found)  # noqa: S102 - our text
    assert found["follow"]("ada") is True  # type: ignore[operator]  # it is a function


def test_an_environment_that_is_there_is_not_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    environment.folder().mkdir(parents=True)
    assert environment.python() == environment.folder() / "bin" / "python"
    assert [made.parent for made in tmp_path.rglob("*")] == [tmp_path, tmp_path / "edgebake-bench"]


def test_memory_is_said_for_the_whole_crowd() -> None:
    report = Report("memory")
    memory.compose(report, {"bases": Taken(2**30, 3), "fresh": Taken(2**30, 61)}, Crowd(1_000_000, 32))
    assert report.figures["all"] == {"bytes a user": 4295.0, "keys a user": 0.000128, "GiB": 4.0}
    assert report.aims["GiB for a million active users"].met is False  # less than four, not four


def test_a_post_is_found_where_it_is_once() -> None:
    look = Look(("LRANGE", "key", 0, -1), 7)
    assert look.finds([b"%d" % pack_fresh(6, 1), b"%d" % pack_fresh(7, 2)])
    assert not look.finds([b"%d" % pack_fresh(7, 1), b"%d" % pack_fresh(7, 2)])
    assert not look.finds([])
    assert not Look(("ZSCORE", "key", 7)).finds(None)


def turns(*rates: float) -> Turns:
    """Return turns at these rates."""
    made = Turns()
    for rate in rates:
        made.add(Done(100 / rate, 0.1, [Look(("ZSCORE", "key", 1))] * 100), 0.2)
    return made


def test_fan_out_is_compared_round_by_round_and_aims_stand_at_the_largest_author() -> None:
    of_size = {OURS: turns(300.0, 30.0), SHIPPED: turns(15.0, 1.0), MENDED: turns(60.0, 6.0), PLAIN: turns(100.0, 10.0)}
    report = Report("fanout")
    fanout.compose(report, {(10, AT_HAND): of_size, (AIMED_AT, AT_HAND): of_size, (AIMED_AT, COLD): of_size})
    assert report.figures["10: Edgebake to pipeline"] == 3.0
    assert report.figures["100,000: Edgebake"]["followers a second"] == 165.0
    assert {name: (aim.measured, aim.met) for name, aim in report.aims.items()} == {
        "100,000: Edgebake to Stream-Framework as shipped": (25.0, True),
        "100,000: Edgebake to pipeline": (3.0, True),
        "100,000, cold lists: Edgebake to Stream-Framework as shipped": (25.0, True),
        "100,000, cold lists: Edgebake to pipeline": (3.0, True),
    }


def test_the_page_that_the_baker_is_compared_with_renders_with_todays_templates() -> None:
    page = make_page()
    ada = User("ada", "Ada", "", UserState.LIVE, Settings(), 1, 1, 0)
    values = world._page(ada, {"next_url": "http://x/feed/ada/after/p1/feed.json"}, [], page.locale)
    rendered = page.render(values, [])
    for path in (b"/feed/ada/feed.json", b"/feed/ada/feed.atom", b"/feed/ada/after/p1"):
        assert b'href="' + path + b'"' in rendered
