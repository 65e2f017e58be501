"""What covers a change that always fails."""

from typing import get_args

import pytest

from feeds.change import (
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
    UserCreated,
    UserDeleted,
    encode,
    kind_of,
)
from feeds.cover import EVERYTHING, cover_of

COVERS: list[tuple[Change, Change | None]] = [
    (PostPublished("p", "ada"), Covered("c", posts=("p",), authors=("ada",))),
    (PostEdited("p", "ada", moved=False), Covered("c", posts=("p",), authors=("ada",))),
    (PostWithdrawn("p", "ada", deleted=False), Covered("c", posts=("p",), authors=("ada",), urgent=True)),
    (UserCreated("ada"), Covered("c", users=("ada",))),
    (ProfileChanged("ada"), Covered("c", profiles=("ada",))),
    (
        UserDeleted("ada", ("p",), ("bob",)),
        Covered("c", users=("bob",), posts=("p",), profiles=("ada",), urgent=True),
    ),
    (SettingsChanged("ada", privacy=False), Covered("c", users=("ada",))),
    (SettingsChanged("ada", privacy=True), Covered("c", users=("ada",), urgent=True)),
    (FollowsChanged(("ada", "bob")), Covered("c", users=("ada", "bob"))),
    (PostScored(("p", "q")), Covered("c", posts=("p", "q"))),
    (
        Imported(("ada",), ("bob",), ("p",), ("eve",), (7,)),
        Covered("c", users=("bob",), posts=("p",), authors=("eve",), profiles=("ada",), tags=(7,)),
    ),
    (SiteChanged(), EVERYTHING),
    (Invalidated("ada"), Covered("c", profiles=("ada",))),
    (Invalidated(None), None),
    (SourceCrossed(7, "ada", is_tag=False, state="pull"), None),
    (Reranked((1,), ("ada",)), None),
    (Covered("d", users=("ada",)), None),
]


def test_the_examples_are_of_every_kind() -> None:
    assert {type(change) for change, _ in COVERS} == set(get_args(Change))


@pytest.mark.parametrize(("change", "cover"), COVERS, ids=lambda each: type(each).__name__)
def test_a_change_is_covered_by_what_it_names(change: Change, cover: Change | None) -> None:
    assert cover_of("c", kind_of(change), encode(change)) == cover


def test_what_nobody_knows_is_covered_by_the_names_in_it() -> None:
    body = b'{"post":"p","author":"ada","followers":["bob","Not An Id",7],"mood":"bad"}'
    cover = Covered("c", posts=("p",), authors=("ada",), profiles=("bob",), urgent=True)
    assert cover_of("c", "post-teleported", body) == cover


@pytest.mark.parametrize("body", [b"{", b"{}", b"[1]", b'{"mood":"bad"}', b'{"user":7}', b"\xff"])
def test_what_names_nothing_is_covered_by_everything(body: bytes) -> None:
    assert cover_of("c", "post-teleported", body) == EVERYTHING
