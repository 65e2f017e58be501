"""Chunks of an import into the system of record."""

from feeds.change import FollowsChanged, Imported
from feeds.command import (
    Block,
    CreatePost,
    DeletePost,
    DeleteUser,
    Follow,
    FollowTag,
    PutSettings,
    PutUser,
    UnfollowTag,
)
from feeds.ids import is_id
from feeds.model import TAG, PostState, UserState
from feeds.record import ImportOutcome, Record
from tests.integration.records import NOW, a_post, changes, number, one, tag_number, with_follows, with_users

NOBODY = Imported((), (), (), ())


async def test_imported_users_are_one_change(record: Record) -> None:
    outcome = await record.import_users([PutUser(user="ada", name="Ada"), PutUser(user="bob", name="Bob", about="B")])
    assert outcome.refused == []
    assert outcome.change is not None
    assert await changes(record) == [Imported(("ada", "bob"), (), (), ())]
    bob = await record.user("bob")
    assert bob is not None
    assert (bob.name, bob.about, bob.version, bob.profile_version) == ("Bob", "B", 1, 1)


async def test_a_chunk_that_says_nothing_new_makes_no_change(record: Record) -> None:
    await with_users(record, "ada", "bob")
    await with_follows(record, "ada", "bob")
    await record.apply([a_post("p-1")])
    await changes(record)
    assert await record.import_users([PutUser(user="ada", name="Ada")]) == ImportOutcome(None, [])
    assert await record.import_posts([a_post("p-1")]) == ImportOutcome(None, [])
    assert await record.import_follows([Follow(user="ada", author="bob")]) == ImportOutcome(None, [])
    assert await record.import_users([]) == ImportOutcome(None, [])
    assert await record.import_follows([]) == ImportOutcome(None, [])
    assert await changes(record) == []


async def test_an_import_changes_profiles_and_leaves_settings(record: Record) -> None:
    await with_users(record, "ada")
    await record.apply([PutSettings(user="ada", page_size=5, muted_tags=("x",))])
    await record.import_users([PutUser(user="ada", name="Countess")])
    ada = await record.user("ada")
    assert ada is not None
    assert (ada.name, ada.settings.page_size, ada.settings.muted_tags) == ("Countess", 5, ("x",))
    assert (ada.version, ada.profile_version) == (3, 2)


async def test_an_import_creates_a_deleted_user_again_above_their_versions(record: Record) -> None:
    await with_users(record, "ada")
    await record.apply([DeleteUser(user="ada")])
    await record.import_users([PutUser(user="ada", name="Ada")])
    ada = await record.user("ada")
    assert ada is not None
    assert (ada.state, ada.version) == (UserState.LIVE, 3)


async def test_the_last_of_several_rows_about_one_user_counts(record: Record) -> None:
    await record.import_users([PutUser(user="ada", name="A"), PutUser(user="ada", name="B")])
    ada = await record.user("ada")
    assert ada is not None
    assert ada.name == "B"
    assert await changes(record) == [Imported(("ada",), (), (), ())]


async def test_older_rows_of_the_source_are_ignored(record: Record) -> None:
    await record.import_users([PutUser(user="ada", name="B", version=2), PutUser(user="ada", name="A", version=1)])
    assert await record.import_users([PutUser(user="ada", name="C", version=2)]) == ImportOutcome(None, [])
    ada = await record.user("ada")
    assert ada is not None
    assert ada.name == "B"
    assert (await one(record, PutUser(user="ada", name="C", version=2))).status == "ignored"


async def test_imported_posts_are_one_change_that_names_what_readers_can_see(record: Record) -> None:
    await with_users(record, "ada", "bob")
    rows = [
        a_post("p-1").model_copy(update={"tags": ("x",)}),
        a_post("p-2", "bob"),
        CreatePost(post="p-3", author="ada", draft=True),
        a_post("p-4", ms=1000),
        a_post("p-5"),
    ]
    assert (await record.import_posts(rows)).refused == []
    assert await changes(record) == [Imported((), (), ("p-1", "p-2", "p-5"), ("ada", "bob"), (TAG | 1,))]
    post = await record.post("p-1")
    assert post is not None
    assert (post.tags, post.version, post.published_ms) == (("x",), 1, NOW - 1000)


async def test_an_import_replaces_posts_and_their_tags(record: Record) -> None:
    await with_users(record, "ada", "bob")
    await with_follows(record, "bob", "ada")
    await record.apply(
        [PutSettings(user="bob", muted_tags=("cats",)), CreatePost(post="p-1", author="ada", tags=("x",))]
    )
    cats, x = await tag_number(record, "cats"), await tag_number(record, "x")
    await changes(record)
    await record.import_posts([a_post("p-1", title="B").model_copy(update={"tags": ("cats",)})])
    post = await record.post("p-1")
    assert post is not None
    assert (post.title, post.version) == ("B", 2)
    assert await record.proposals("bob", before=None, limit=5, own=True) == []
    assert await record.latest(x, before=None, limit=5) == []
    assert await changes(record) == [Imported((), (), ("p-1",), ("ada",), (cats, x))]


async def test_a_post_without_an_id_gets_one(record: Record) -> None:
    await with_users(record, "ada")
    await record.import_posts([CreatePost(author="ada"), CreatePost(author="ada")])
    ids = await record.post_ids("ada")
    assert len(ids) == 2
    assert all(is_id(post) for post in ids)


async def test_refused_rows_are_named_with_their_reasons_and_the_others_kept(record: Record) -> None:
    await with_users(record, "ada", "bob", "gone")
    await record.apply([DeleteUser(user="gone"), a_post("p-1"), a_post("p-2"), DeletePost(post="p-2")])
    rows = [a_post("q-1", "who"), a_post("q-2", "gone"), a_post("p-1", "bob"), a_post("p-2"), a_post("q-3")]
    assert (await record.import_posts(rows)).refused == [
        (0, "author is 'who': there is no such user"),
        (1, "author is 'gone': this user was deleted"),
        (2, "author is 'bob': post 'p-1' is by 'ada' and stays so"),
        (3, "post is 'p-2': this post was deleted; only a newer version of the source creates it again"),
    ]
    assert await record.posts(["q-1", "q-2"]) == {}
    assert await record.post_ids("ada") == ["p-1", "q-3"]


async def test_an_import_with_versions_creates_deleted_posts_again_only_when_newer(record: Record) -> None:
    await with_users(record, "ada")
    await record.apply([a_post("p-1").model_copy(update={"version": 1}), DeletePost(post="p-1", version=3)])
    await record.import_posts([a_post("p-1").model_copy(update={"version": 2})])
    post = await record.post("p-1")
    assert post is not None
    assert post.state is PostState.DELETED
    await record.import_posts([a_post("p-1").model_copy(update={"version": 4})])
    post = await record.post("p-1")
    assert post is not None
    assert (post.state, post.version) == (PostState.PUBLISHED, 3)


async def test_imported_follows_are_one_change_of_those_that_are_new(record: Record) -> None:
    await with_users(record, "ada", "bob", "eve")
    await with_follows(record, "bob", "eve")
    before = {user: (await record.follows(user)).version for user in ("ada", "bob", "eve")}
    pairs = [("ada", "bob"), ("ada", "eve"), ("bob", "eve"), ("ada", "bob")]
    outcome = await record.import_follows([Follow(user=user, author=author) for user, author in pairs])
    assert outcome.refused == []
    assert await changes(record) == [Imported((), ("ada",), (), ())]
    assert (await record.follows("ada")).authors == ("bob", "eve")
    after = {user: (await record.follows(user)).version for user in ("ada", "bob", "eve")}
    assert after == before | {"ada": before["ada"] + 1}


async def test_follows_of_absent_blocked_or_the_same_users_are_refused(record: Record) -> None:
    await with_users(record, "ada", "bob", "eve", "gone")
    await record.apply([DeleteUser(user="gone"), Block(user="eve", blocked="ada")])
    pairs = [("who", "ada"), ("ada", "gone"), ("ada", "ada"), ("ada", "eve"), ("eve", "ada"), ("ada", "bob")]
    outcome = await record.import_follows([Follow(user=user, author=author) for user, author in pairs])
    assert [index for index, _ in outcome.refused] == [0, 1, 2, 3, 4]
    assert outcome.refused[0][1] == "user is 'who': there is no such user"
    assert outcome.refused[1][1] == "author is 'gone': this user was deleted"
    assert "one blocks the other" in outcome.refused[3][1]
    assert (await record.follows("ada")).authors == ("bob",)


async def test_a_chunk_of_five_thousand_is_written_whole(record: Record) -> None:
    users = [f"u{n}" for n in range(5000)]
    await record.import_users([PutUser(user=user, name=user) for user in users])
    await record.import_posts([a_post(f"p-{user}", user) for user in users])
    follows = [Follow(user=user, author="u0") for user in users[1:]]
    assert (await record.import_follows(follows)).refused == []
    assert await record.followers(await number(record, "u0"), limit=6000) == sorted(users[1:])
    assert len(await record.users(users)) == 5000
    assert len(await record.posts([f"p-{user}" for user in users])) == 5000


async def test_imported_follows_of_tags_are_one_change_of_those_that_are_new(record: Record) -> None:
    await with_users(record, "ada", "bob", "gone")
    await record.apply([DeleteUser(user="gone"), FollowTag(user="bob", tag="cats")])
    await changes(record)
    pairs = [("ada", "dogs"), ("ada", "cats"), ("bob", "cats"), ("ada", "dogs"), ("gone", "dogs"), ("who", "dogs")]
    outcome = await record.import_tag_follows([FollowTag(user=user, tag=tag) for user, tag in pairs])
    assert outcome.refused == [
        (4, "user is 'gone': this user was deleted"),
        (5, "user is 'who': there is no such user"),
    ]
    assert await changes(record) == [Imported((), ("ada",), (), ())]
    assert len((await record.sources("ada")).tags) == 2
    assert await record.followers(await tag_number(record, "cats")) == ["ada", "bob"]


async def test_an_imported_follow_of_a_tag_older_than_its_end_is_ignored(record: Record) -> None:
    await with_users(record, "ada")
    await record.apply([UnfollowTag(user="ada", tag="cats", version=5)])
    await record.import_tag_follows([FollowTag(user="ada", tag="cats", version=4)])
    assert (await record.sources("ada")).tags == ()
    await record.import_tag_follows([FollowTag(user="ada", tag="cats", version=6)])
    assert len((await record.sources("ada")).tags) == 1


async def test_who_muted_an_id_before_there_was_a_user_of_it_mutes_the_user(record: Record) -> None:
    await with_users(record, "ada")
    await record.apply([PutSettings(user="ada", muted_authors=("eve", "zoe"))])
    before = await record.sources("ada")
    assert before.muted_authors == ()
    await changes(record)
    await record.import_users([PutUser(user="eve", name="Eve")])
    assert FollowsChanged(("ada",)) in await changes(record)
    await record.apply([PutUser(user="zoe", name="Zoe")])
    assert FollowsChanged(("ada",)) in await changes(record)
    after = await record.sources("ada")
    assert after.muted_authors == (await number(record, "eve"), await number(record, "zoe"))
    assert after.version == before.version + 2
