"""Users in the system of record: profile, settings, deletion."""

import pytest

from feeds.change import ProfileChanged, SettingsChanged, UserCreated, UserDeleted
from feeds.command import Block, CreatePost, DeletePost, DeleteUser, Follow, PutSettings, PutUser, RenameUser
from feeds.errors import Gone, NotFound
from feeds.model import Follows, PostState, Settings, UserState
from feeds.record import Outcome, Record
from tests.integration.records import a_post, changes, one, with_follows, with_users


async def test_a_new_user_has_the_default_settings_and_one_change(record: Record) -> None:
    outcome = await one(record, PutUser(user="ada", name="Ada", about="Counts"))
    user = await record.user("ada")
    assert user is not None
    assert (user.name, user.about, user.state, user.settings) == ("Ada", "Counts", UserState.LIVE, Settings())
    assert (user.version, user.profile_version) == (1, 1)
    assert outcome == Outcome("accepted", outcome.change, "ada", 1)
    assert await changes(record) == [UserCreated("ada")]


async def test_a_changed_profile_raises_both_versions(record: Record) -> None:
    await with_users(record, "ada")
    await one(record, RenameUser(user="ada", name="Countess"))
    await one(record, PutUser(user="ada", name="Countess", about="Counts"))
    user = await record.user("ada")
    assert user is not None
    assert (user.name, user.about, user.version, user.profile_version) == ("Countess", "Counts", 3, 3)
    assert await changes(record) == [ProfileChanged("ada"), ProfileChanged("ada")]


async def test_settings_raise_the_version_but_not_the_profiles(record: Record) -> None:
    await with_users(record, "ada")
    await one(record, PutSettings(user="ada", language="de", muted_tags=("b", "a", "b"), muted_authors=("eve",)))
    user = await record.user("ada")
    assert user is not None
    assert user.settings == Settings(language="de", muted_tags=("a", "b"), muted_authors=("eve",))
    assert (user.version, user.profile_version) == (2, 1)
    assert await changes(record) == [SettingsChanged("ada", privacy=False)]


async def test_going_private_is_named_in_the_change(record: Record) -> None:
    await with_users(record, "ada")
    await one(record, PutSettings(user="ada", feed_visibility="private"))
    assert await changes(record) == [SettingsChanged("ada", privacy=True)]


async def test_settings_left_out_take_their_defaults_again(record: Record) -> None:
    await with_users(record, "ada")
    await one(record, PutSettings(user="ada", muted_tags=("a",), page_size=5))
    await one(record, PutSettings(user="ada"))
    user = await record.user("ada")
    assert user is not None
    assert user.settings == Settings()


@pytest.mark.parametrize(
    "command",
    [
        PutUser(user="ada", name="Ada"),
        RenameUser(user="ada", name="Ada"),
        PutSettings(user="ada"),
        PutSettings(user="ada", muted_tags=()),
    ],
)
async def test_what_the_record_says_already_makes_no_change(
    record: Record, command: PutUser | RenameUser | PutSettings
) -> None:
    await with_users(record, "ada")
    assert await one(record, command) == Outcome("unchanged", None, "ada", 1)
    assert await changes(record) == []


@pytest.mark.parametrize(
    "command", [RenameUser(user="eve", name="Eve"), PutSettings(user="eve"), DeleteUser(user="eve")]
)
async def test_an_unknown_user_is_not_found(record: Record, command: RenameUser | PutSettings | DeleteUser) -> None:
    with pytest.raises(NotFound, match="user is 'eve': there is no such user"):
        await record.apply([command])
    assert await record.user("eve") is None


async def test_a_deleted_user_is_erased_and_leaves_tombstones(record: Record) -> None:
    await with_users(record, "ada", "bob", "eve")
    await record.apply([a_post("p-1"), a_post("p-2"), a_post("p-3"), DeletePost(post="p-3"), a_post("b-1", "bob")])
    await with_follows(record, "bob", "ada", "eve")
    await with_follows(record, "ada", "bob")
    await record.apply([PutSettings(user="ada", muted_tags=("x",)), Block(user="ada", blocked="eve")])
    await changes(record)

    outcome = await one(record, DeleteUser(user="ada"))

    assert await changes(record) == [UserDeleted("ada", ("p-1", "p-2"), ("bob", "eve"))]
    user, post, kept = await record.user("ada"), await record.post("p-1"), await record.post("b-1")
    assert user is not None
    assert (user.state, user.name, user.settings, user.version) == (UserState.DELETED, "", Settings(), 3)
    assert outcome.version == 3
    assert post is not None
    assert (post.state, post.author, post.title, post.version) == (PostState.DELETED, "ada", "", 2)
    assert kept is not None
    assert kept.state is PostState.PUBLISHED
    assert (await record.follows("ada")).authors == ()
    assert await record.follows("bob") == Follows("bob", ("eve",), 4)
    assert await record.post_ids("ada") == []


async def test_a_user_deleted_again_is_unchanged_and_anything_else_is_refused_as_gone(record: Record) -> None:
    await with_users(record, "ada", "bob")
    await record.apply([DeleteUser(user="ada")])
    assert (await one(record, DeleteUser(user="ada"))).status == "unchanged"
    for command in (
        RenameUser(user="ada", name="A"),
        PutSettings(user="ada"),
        CreatePost(author="ada"),
        Follow(user="bob", author="ada"),
        Follow(user="ada", author="bob"),
    ):
        with pytest.raises(Gone, match="'ada': this user was deleted"):
            await record.apply([command])


async def test_a_user_created_again_goes_on_from_the_old_versions(record: Record) -> None:
    await with_users(record, "ada", "bob")
    await with_follows(record, "ada", "bob")
    before = await record.follows("ada")
    await record.apply([DeleteUser(user="ada"), PutUser(user="ada", name="Ada")])
    user, follows = await record.user("ada"), await record.follows("ada")
    assert user is not None
    assert (user.state, user.name, user.version, user.profile_version) == (UserState.LIVE, "Ada", 3, 3)
    assert follows.authors == ()
    assert follows.version > before.version


async def test_many_users_are_read_at_once_and_absent_ones_left_out(record: Record) -> None:
    await with_users(record, "ada", "bob")
    await record.apply([PutSettings(user="bob", muted_tags=("x",))])
    found = await record.users(["bob", "ada", "eve"])
    assert sorted(found) == ["ada", "bob"]
    assert found["bob"].settings.muted_tags == ("x",)
    assert await record.users([]) == {}


async def test_deleting_a_user_never_seen_keeps_the_sources_version(record: Record) -> None:
    assert (await one(record, DeleteUser(user="ada", version=5))).status == "unchanged"
    assert (await one(record, PutUser(user="ada", name="Ada", version=4))).status == "ignored"
    assert await record.user("ada") is None
    assert (await one(record, PutUser(user="ada", name="Ada", version=6))).status == "accepted"
