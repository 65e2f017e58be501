"""Paths: one spelling for each artifact, and nothing else."""

from itertools import product
from typing import Literal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from baker.card import ENDINGS, Format, in_format
from baker.paths import EXPLORE, Target, parse
from feeds.ids import PATTERN, RESERVED, is_id, map_id

IDS = st.from_regex(PATTERN.removesuffix("$"), fullmatch=True)


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/feed/ada", Target("feed", "ada", "html", None)),
        ("/feed/ada/feed.json", Target("feed", "ada", "json", None)),
        ("/feed/ada/feed.atom", Target("feed", "ada", "atom", None)),
        ("/feed/ada/after/hn-1", Target("feed", "ada", "html", "hn-1")),
        ("/feed/ada/after/hn-1/feed.json", Target("feed", "ada", "json", "hn-1")),
        ("/author/0/after/0/feed.atom", Target("author", "0", "atom", "0")),
        ("/author/x_y-z", Target("author", "x_y-z", "html", None)),
        ("/post/hn-1", Target("post", "hn-1", "html", None)),
        ("/feed/after", Target("feed", "after", "html", None)),  # a user may be called so
        ("/feed/explore", Target("explore", "explore", "html", None)),
        ("/feed/explore/after/hn-1/feed.json", Target("explore", "explore", "json", "hn-1")),
        ("/feed/explore/tag/lisp/feed.atom", Target("explore", "lisp", "atom", None)),
        ("/author/explore", Target("author", "explore", "html", None)),
        ("/private/ada/", Target("feed", "ada", "html", None, private=True)),
        ("/private/ada/feed.json", Target("feed", "ada", "json", None, private=True)),
        ("/private/ada/after/hn-1", Target("feed", "ada", "html", "hn-1", private=True)),
        ("/private/ada/after/hn-1/feed.atom", Target("feed", "ada", "atom", "hn-1", private=True)),
        ("/private/after/after/after", Target("feed", "after", "html", "after", private=True)),
        ("/feed/" + "a" * 64, Target("feed", "a" * 64, "html", None)),
    ],
)
def test_each_artifact_has_its_path(path: str, target: Target) -> None:
    assert parse(path) == target


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "feed/ada",
        "/feed/ada\n",
        "\n/feed/ada",
        "/feed/ada/",
        "//feed/ada",
        "/feed//ada",
        "/feed/ada/feed.json/",
        "/feed/ada/feed.json\n",
        "/feed/ada//feed.json",
        "/feed/ada/feed/json",
        "/feed/ada/feedxjson",
        "/feed/ada/after",
        "/feed/ada/after/",
        "/feed/ada/after//feed.json",
        "/feed/ada/before/hn-1",
        "/feed/_ada",
        "/feed/-ada",
        "/feed/Ada",
        "/feed/ad\u0131",
        "/feed/ada\u0660",  # a digit, though not one of ours
        "/feed/%61da",
        "/feed/ada?x=1",
        "/feed/ada#x",
        "/feed/" + "a" * 65,
        "/feed/ada/after/" + "a" * 65,
        "/post/hn-1/after/hn-2",
        "/post/hn-1/feed.json",
        "/private/ada",  # outside of what a signature for /private/ada/* opens
        "/private/ada//feed.json",
        "/private/ada/feed.json/",
        "/private/ada/after/",
        "/private/ada/after/hn-1/",
        "/feeds/ada",
    ],
)
def test_whatever_is_spelt_otherwise_is_no_artifact(path: str) -> None:
    assert parse(path) is None


def test_no_user_stands_in_the_way_of_discovery() -> None:
    assert EXPLORE in RESERVED


def test_the_tag_explore_has_its_page_too() -> None:
    assert parse("/feed/explore/tag/explore") is None
    assert parse(f"/feed/explore/tag/{map_id(EXPLORE)}") == Target("explore", map_id(EXPLORE), "html", None)


KINDS: tuple[Literal["feed", "author"], ...] = ("feed", "author")
FORMATS: tuple[Format, ...] = ("html", "json", "atom")


@given(user=IDS, after=st.none() | IDS, way=st.sampled_from(list(product(KINDS, FORMATS))), private=st.booleans())
def test_a_target_is_read_back_from_its_path(
    user: str, after: str | None, way: tuple[Literal["feed", "author"], Format], private: bool
) -> None:
    kind, format = way
    private = private and kind == "feed"
    assume(private or (kind, user) != ("feed", EXPLORE))
    target = Target(kind, user, format, after, private)
    assert parse(in_format(target.page, format)) == target


@given(user=IDS, after=st.none() | IDS, format=st.sampled_from(FORMATS))
def test_all_of_a_private_feed_is_below_one_path(user: str, after: str | None, format: Format) -> None:
    path = in_format(Target("feed", user, format, after, private=True).page, format)
    assert path.startswith(f"/private/{user}/"), "a signature for /private/<user>/* opens it, and nobody else's"


@given(path=st.text(st.sampled_from("/feda.jsontr-_A%\n\x00é"), max_size=12))
def test_a_path_that_is_read_has_ids_of_the_grammar(path: str) -> None:
    target = parse("/feed/" + path)
    if target is not None:
        assert is_id(target.subject)
        assert target.after is None or is_id(target.after)
        assert "/feed/" + path == target.page + ENDINGS[target.format]


def test_all_pages_and_formats_of_a_user_are_in_one_shard() -> None:
    targets = [parse(f"/{kind}/ada{rest}") for kind in KINDS for rest in ("", "/feed.json", "/after/x/feed.atom")]
    assert len({target.shard for target in targets if target is not None}) == 1
