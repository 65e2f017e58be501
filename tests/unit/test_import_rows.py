"""Rows: how a record becomes a command, and how it is refused."""

from datetime import UTC, datetime

import pytest

from feeds.ids import map_id
from publisher.rows import FOLLOWS, POSTS, TAG_FOLLOWS, USERS, ImportRefused, Reader

STORY = {"id": "p1", "user": "ada"}


def test_columns_may_have_their_usual_names() -> None:
    """Those that other systems export."""
    reader = Reader(POSTS, map_ids=False)
    reader.take_header(["id", "author_id", "title", "link", "created_at", "points", "tags", "draft"])
    post = reader.of_cells(["p1", "ada", "One", "https://a.example/", "1604686251", "12", "Rust; web;", "false"])
    assert (post.post, post.author, post.url, post.likes) == ("p1", "ada", "https://a.example/", 12)
    assert post.published == datetime(2020, 11, 6, 18, 10, 51, tzinfo=UTC)
    assert (post.tags, post.draft) == (("rust", "web"), False)


def test_an_empty_cell_is_left_out() -> None:
    """It takes its default."""
    reader = Reader(POSTS, map_ids=False)
    reader.take_header(["post", "author", "url", "published", "comments"])
    post = reader.of_cells(["p1", "ada", "", "2020-11-06T18:10:51Z", ""])
    assert (post.url, post.comments) == (None, 0)


@pytest.mark.parametrize(
    ("header", "named"),
    [
        (["id", "name", "age"], "'age'"),  # unknown: a misspelt column would be lost without a word
        (["id", "name", "user"], "'user'"),  # both are the user
        (["name"], "'user'"),  # missing
        (["id", "name", ""], "''"),  # a comma too many
    ],
)
def test_a_header_that_is_not_understood_is_refused(header: list[str], named: str) -> None:
    """Before anything is kept."""
    with pytest.raises(ImportRefused, match=named):
        Reader(USERS, map_ids=False).take_header(header)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"user": "ada"}, "post is missing"),  # an import without ids could not be repeated
        ({**STORY, "author": "bob"}, "author is there twice"),
        ({**STORY, "titel": "x"}, "'titel' is a field that this does not take"),
        ({**STORY, "likes": "many"}, "likes is 'many': must be a whole number from 0"),
        ({**STORY, "likes": "-1"}, "likes is '-1'"),
        ({**STORY, "likes": 1.5}, "likes is 1.5"),
        ({**STORY, "published": "yesterday"}, "published is 'yesterday': must be a time with its zone"),
        ({**STORY, "published": "999999999999"}, "published is '999999999999': must be RFC 3339 or Unix seconds"),
        ({**STORY, "published": True}, "published is True"),
        ({**STORY, "draft": "maybe"}, "draft is 'maybe': must be true or false"),
        ({**STORY, "title": "a\x00b"}, "title is 'a\\x00b': holds the control character U+0000"),
        ({**STORY, "url": "javascript:alert(1)"}, "url is 'javascript:alert(1)'"),
        ({**STORY, "tags": 7}, "tags is 7"),
        ({"id": "p1", "user": "Ada"}, "author is 'Ada': must match"),
        ({"id": "p1", "user": "Ada"}, "--map-ids maps any id into it"),
    ],
)
def test_a_refused_row_says_field_value_and_reason(values: dict[str, object], reason: str) -> None:
    """As the API does."""
    with pytest.raises(ValueError) as refused:  # noqa: PT011  # the reason is asserted below
        Reader(POSTS, map_ids=False).of_object(values)
    assert reason in str(refused.value)


def test_unix_seconds_and_rfc_3339_are_the_same_time() -> None:
    """As number or as text."""
    reader = Reader(POSTS, map_ids=False)
    spelt = [1604686251, "1604686251", 1604686251.0, "2020-11-06T18:10:51Z", "2020-11-06T19:10:51+01:00"]
    assert len({reader.of_object({**STORY, "published": value}).published for value in spelt}) == 1


def test_ids_are_mapped_where_asked_for() -> None:
    """All of a row's ids, and an id that fits stays as it is."""
    reader = Reader(FOLLOWS, map_ids=True)
    reader.take_header(["follower", "followed"])
    follow = reader.of_cells(["Ada L.", "bob"])
    assert (follow.user, follow.author) == (map_id("Ada L."), "bob")
    with pytest.raises(ValueError, match="1 to 38"):
        reader.of_cells(["x" * 65, "bob"])


def test_a_reserved_id_is_refused_and_mapped_where_asked_for() -> None:
    """With the way out in the reason."""
    explorer = {"id": "explore", "name": "Dora"}
    with pytest.raises(ValueError, match=r"user is 'explore': is reserved: .* \(--map-ids maps any id into it\)"):
        Reader(USERS, map_ids=False).of_object(explorer)
    assert Reader(USERS, map_ids=True).of_object(explorer).user == map_id("explore")


def test_a_followed_tag_is_spelt_as_posts_spell_it() -> None:
    """Trimmed and in lower case; ids are mapped, tags hold anything."""
    reader = Reader(TAG_FOLLOWS, map_ids=True)
    reader.take_header(["follower", "topic", "version"])
    follow = reader.of_cells(["Ada L.", " C++ / Großes ", "7"])
    assert (follow.user, follow.tag, follow.version) == (map_id("Ada L."), "c++ / großes", 7)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"user": "ada"}, "tag is missing"),
        ({"user": "ada", "tag": " "}, "tag is ' ': must have at least 1"),
        ({"user": "ada", "tag": "x" * 65}, "must have at most 64"),
        ({"user": "ada", "tag": "a\nb"}, "must be one line"),
        ({"user": "ada", "tag": 7}, "tag is 7"),
        ({"user": "ada", "tag": ["a", "b"]}, "tag is"),  # one row, one follow
        ({"user": "ada", "tags": "a;b"}, "'tags' is a field that this does not take"),
        ({"user": "Ada", "tag": "a"}, "user is 'Ada': must match"),
    ],
)
def test_a_refused_follow_of_a_tag_says_field_value_and_reason(values: dict[str, object], reason: str) -> None:
    """As the others do."""
    with pytest.raises(ValueError) as refused:  # noqa: PT011  # the reason is asserted below
        Reader(TAG_FOLLOWS, map_ids=False).of_object(values)
    assert reason in str(refused.value)


def test_a_row_of_another_width_is_refused() -> None:
    """Too few and too many cells."""
    reader = Reader(FOLLOWS, map_ids=False)
    reader.take_header(["user", "author"])
    for cells in (["ada"], ["ada", "bob", "cy"]):
        with pytest.raises(ValueError, match=f"has {len(cells)} columns where the header has 2"):
            reader.of_cells(cells)
