"""Changes: their kinds, their subjects, and the bytes that they travel as."""

from typing import get_args

import pytest

from feeds.change import (
    KINDS,
    Change,
    Covered,
    FollowsChanged,
    Imported,
    Invalidated,
    PostEdited,
    PostPublished,
    PostScored,
    PostWithdrawn,
    ProfileChanged,
    Reranked,
    SettingsChanged,
    SiteChanged,
    SourceCrossed,
    Undecodable,
    UserCreated,
    UserDeleted,
    decode,
    encode,
    kind_of,
    subject_of,
)

EVERY_KIND: list[tuple[Change, str]] = [
    (PostPublished("p-1", "ada"), "post p-1"),
    (PostEdited("p-1", "ada", moved=True), "post p-1"),
    (PostWithdrawn("p-1", "ada", deleted=False), "post p-1"),
    (UserCreated("ada"), "user ada"),
    (ProfileChanged("ada"), "user ada"),
    (UserDeleted("ada", ("p-1", "p-2"), ("bob",)), "user ada"),
    (SettingsChanged("ada", privacy=True), "user ada"),
    (FollowsChanged(("ada", "bob"), left=(7,)), "follows of ada, bob"),
    (PostScored(("p-1",)), "post p-1"),
    (PostScored(("p-1", "p-2")), "posts p-1, p-2"),
    (SourceCrossed(7, "ada", is_tag=False, state="rising"), "author ada"),
    (SourceCrossed(2**31 + 7, "dogs", is_tag=True, state="pull"), "tag dogs"),
    (Reranked((0, 63), ("ada",)), "ranking of 2 shards and 1 users"),
    (SiteChanged(), "site"),
    (Imported(("ada",), ("bob", "eve"), (), ("ada",)), "3 imported rows"),
    (Invalidated("ada"), "user ada"),
    (Invalidated(None), "everything"),
    (Covered("c-1", users=("ada",), posts=("p-1",)), "what change c-1 is about"),
]


def test_the_examples_are_of_every_kind() -> None:
    assert {type(change) for change, _ in EVERY_KIND} == set(get_args(Change)) == set(KINDS.values())


@pytest.mark.parametrize(("change", "subject"), EVERY_KIND)
def test_a_change_travels_and_comes_back_the_same(change: Change, subject: str) -> None:
    assert decode(kind_of(change), encode(change)) == change
    assert subject_of(change) == subject


def test_a_change_travels_as_plain_json_without_its_kind() -> None:
    assert encode(PostEdited("p-1", "ada", moved=False)) == b'{"post":"p-1","author":"ada","moved":false}'
    assert encode(UserCreated("ada")) == b'{"user":"ada"}'


def test_a_kind_of_a_version_to_come_is_not_guessed() -> None:
    with pytest.raises(Undecodable, match="post-teleported"):
        decode("post-teleported", b"{}")


@pytest.mark.parametrize("body", [b'{"user":"ada","mood":"bad"}', b"{}", b"[1]", b"{", b"\xff", b"7"])
def test_fields_that_are_not_the_kinds_own_are_not_guessed(body: bytes) -> None:
    with pytest.raises(Undecodable, match="user-created"):
        decode("user-created", body)
