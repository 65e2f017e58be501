"""Which commands are refused while no more writes are taken."""

import pytest

from feeds.command import (
    Block,
    Command,
    CreatePost,
    DeletePost,
    DeleteUser,
    EditPost,
    Follow,
    Invalidate,
    PublishPost,
    PutSettings,
    PutSite,
    PutUser,
    React,
    Reaction,
    Unblock,
    UnpublishPost,
)
from feeds.refusing import may_wait


@pytest.mark.parametrize(
    "command",
    [
        DeletePost(post="p"),
        DeleteUser(user="ada"),
        UnpublishPost(post="p"),
        Block(user="ada", blocked="bob"),
        PutSettings(user="ada", feed_visibility="private"),
        CreatePost(author="ada", draft=True),
        React(post="p", reactions=(Reaction(kind="like", by="ada"),)),
    ],
    ids=lambda command: command.kind,
)
def test_nobody_waits_for_this(command: Command) -> None:
    assert not may_wait([command])
    assert may_wait([command, PutUser(user="bob", name="Bob")]), "a batch is kept whole or not at all"


@pytest.mark.parametrize(
    "command",
    [
        CreatePost(author="ada"),
        EditPost(post="p", title="New"),
        PublishPost(post="p"),
        Follow(user="ada", author="bob"),
        Unblock(user="ada", blocked="bob"),
        PutSettings(user="ada", page_size=5),
        PutSite(title="A site"),
        Invalidate(scope="global"),
    ],
    ids=lambda command: command.kind,
)
def test_this_waits(command: Command) -> None:
    assert may_wait([command])


def test_an_edit_of_what_is_unpublished_first_goes_with_it() -> None:
    unpublish, edit = UnpublishPost(post="p"), EditPost(post="p", title="New")
    assert not may_wait([unpublish, edit])
    assert may_wait([edit, unpublish]), "the edit was in feeds"
    assert may_wait([unpublish, edit, PublishPost(post="p")])
    assert may_wait([unpublish, EditPost(post="q", title="New")])
