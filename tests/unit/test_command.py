"""Commands: what is taken, and what is refused with which reason."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from feeds.command import (
    MAX_CONTENT,
    Command,
    CreatePost,
    EditPost,
    Follow,
    FollowTag,
    Invalidate,
    PutSettings,
    PutUser,
    milliseconds,
)

COMMANDS: TypeAdapter[Command] = TypeAdapter(Command)


def test_a_command_is_known_by_its_kind() -> None:
    assert COMMANDS.validate_python({"kind": "follow", "user": "ada", "author": "bob", "version": 3}) == Follow(
        user="ada", author="bob", version=3
    )


def test_only_the_fields_that_an_edit_was_given_count_as_given() -> None:
    edit = COMMANDS.validate_json('{"kind": "edit_post", "post": "p-1", "title": "New", "likes": 0}')
    assert isinstance(edit, EditPost)
    assert edit.model_fields_set == {"kind", "post", "title", "likes"}


def test_tags_are_lower_case_and_trimmed() -> None:
    assert CreatePost(author="ada", tags=(" Cats ", "DOGS")).tags == ("cats", "dogs")


def test_a_followed_tag_is_spelt_as_posts_spell_it() -> None:
    assert FollowTag(user="ada", tag=" Dogs") == FollowTag(user="ada", tag="dogs")


def test_a_time_is_kept_whatever_zone_it_was_written_in() -> None:
    post = CreatePost.model_validate({"author": "ada", "published": "2026-01-31T13:00:00.250+01:00"})
    assert post.published is not None
    assert milliseconds(post.published) == 1_769_860_800_250


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("an unknown kind", {"kind": "drop_table"}, "does not match any of the expected tags"),
    ("an unknown field", {"kind": "put_user", "user": "ada", "name": "Ada", "admin": True}, "Extra inputs"),
    ("an id in upper case", {"kind": "put_user", "user": "Ada", "name": "Ada"}, "should match pattern"),
    ("an id with a newline", {"kind": "put_user", "user": "ada\n", "name": "Ada"}, "should match pattern"),
    ("an id with a slash", {"kind": "delete_user", "user": "a/b"}, "should match pattern"),
    ("an id of 65 characters", {"kind": "delete_user", "user": "a" * 65}, "at most 64|should match pattern"),
    ("a reserved id", {"kind": "put_user", "user": "explore", "name": "Ada"}, "reserved: /feed/explore is no user's"),
    ("an empty name", {"kind": "put_user", "user": "ada", "name": ""}, "at least 1"),
    ("a name of two lines", {"kind": "put_user", "user": "ada", "name": "A\nB"}, "must be one line"),
    ("a name with NUL", {"kind": "put_user", "user": "ada", "name": "A\x00"}, r"control character U\+0000"),
    (
        "a lone surrogate",
        {"kind": "put_user", "user": "ada", "name": "A\ud800"},
        "U.D800|surrogate",
    ),
    ("a page of 26", {"kind": "put_settings", "user": "ada", "page_size": 26}, "less than or equal to 25"),
    ("a page of none", {"kind": "put_settings", "user": "ada", "page_size": 0}, "greater than or equal to 1"),
    ("a number as text", {"kind": "put_settings", "user": "ada", "page_size": "5"}, "valid integer"),
    (
        "a language that is none",
        {"kind": "put_settings", "user": "ada", "language": "??"},
        "should match pattern",
    ),
    ("a script for a url", {"kind": "create_post", "author": "ada", "url": "javascript:alert(1)"}, "must be an http"),
    ("a url with a space", {"kind": "create_post", "author": "ada", "url": "https://e.test/a b"}, "without spaces"),
    ("a negative count", {"kind": "create_post", "author": "ada", "likes": -1}, "greater than or equal to 0"),
    ("a huge version", {"kind": "delete_post", "post": "p-1", "version": 2**53}, "less than or equal to"),
    ("a time without a zone", {"kind": "publish_post", "post": "p-1", "published": "2026-01-31T12:00:00"}, "zone"),
    ("a time as a number", {"kind": "publish_post", "post": "p-1", "published": "1700000000"}, "RFC 3339"),
    ("too much content", {"kind": "create_post", "author": "ada", "content": "x" * (MAX_CONTENT + 1)}, "at most"),
    ("an empty tag", {"kind": "create_post", "author": "ada", "tags": [" "]}, "at least 1"),
    ("21 tags", {"kind": "create_post", "author": "ada", "tags": [f"t{n}" for n in range(21)]}, "at most 20"),
    ("a user to invalidate without one", {"kind": "invalidate", "scope": "user"}, "user"),
    ("an order that is none", {"kind": "put_settings", "user": "ada", "order": "best"}, "newest"),
    ("a tag of two lines", {"kind": "follow_tag", "user": "ada", "tag": "a\nb"}, "must be one line"),
    ("no reaction", {"kind": "react", "post": "p-1", "reactions": []}, "at least 1"),
    ("1001 reactions", {"kind": "react", "post": "p-1", "reactions": [{"kind": "view", "id": "x"}] * 1001}, "at most"),
    ("a reaction of no kind", {"kind": "react", "post": "p-1", "reactions": [{"kind": "hate", "by": "a"}]}, "like"),
    ("a reaction by nobody", {"kind": "react", "post": "p-1", "reactions": [{"kind": "view"}]}, "wants by or id"),
    ("one user, rolling", {"kind": "invalidate", "scope": "user", "user": "ada", "rolling": True}, "one user is one"),
    ("a user where all are meant", {"kind": "invalidate", "scope": "global", "user": "ada"}, "user"),
]


@pytest.mark.parametrize(("command", "reason"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_a_command_outside_the_rules_is_refused_with_its_reason(command: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        COMMANDS.validate_python(command)


def test_what_a_command_leaves_out_takes_its_default() -> None:
    assert PutSettings(user="ada") == PutSettings(user="ada", language="en", page_size=25, feed_visibility="public")
    assert PutUser(user="ada", name="Ada").version is None
    assert PutSettings(user="ada").order == "default"
    assert Invalidate(scope="global").id is None


def test_a_command_does_not_change_after_it_was_checked() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        PutUser(user="ada", name="Ada").user = "../bob"
