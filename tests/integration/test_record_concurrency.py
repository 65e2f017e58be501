"""Several writers, several processes' worth of connections, and a database that does not answer."""

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from sqlalchemy import insert, text, update
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from feeds.command import (
    Command,
    CreatePost,
    DeletePost,
    DeleteUser,
    EditPost,
    Follow,
    PutUser,
    React,
    Reaction,
    RenameUser,
)
from feeds.database import connect, database_url
from feeds.errors import Gone, RecordUnavailable, Refused
from feeds.model import PostState
from feeds.queries import find_users
from feeds.record import IdempotencyKey, Outcome, Record
from feeds.schema import users
from feeds.writes.users import new_user
from tests.integration.postgresql import Cluster
from tests.integration.records import Clock, a_post, changes, one, with_users


@pytest.fixture
async def other(any_record_url: str, clock: Clock) -> AsyncIterator[Record]:
    """The same system of record as another process has it open."""
    opened = await Record.open(any_record_url)
    opened.clock = clock
    yield opened
    await opened.close()


@pytest.fixture
def busy_path(sqlite_ready: Path, tmp_path: Path) -> Path:
    """A SQLite file that has the tables."""
    return Path(shutil.copy(sqlite_ready, tmp_path / "busy.db"))


async def test_versions_of_one_subject_only_rise_whoever_writes(record: Record, other: Record) -> None:
    await with_users(record, "ada")
    writers = [record, other]
    renames = [one(writers[n % 2], RenameUser(user="ada", name=f"Ada {n}")) for n in range(20)]
    outcomes = await asyncio.gather(*renames)
    assert sorted(outcome.version for outcome in outcomes) == list(range(2, 22))
    assert {row.id for row in await record.outbox_take(100)} == {outcome.change for outcome in outcomes}


async def test_a_post_created_twice_at_once_is_created_once(record: Record, other: Record) -> None:
    await with_users(record, "ada")
    both = await asyncio.gather(one(record, a_post("p-1")), one(other, a_post("p-1")))
    assert sorted(outcome.status for outcome in both) == ["accepted", "unchanged"]
    assert len(await changes(record)) == 1


async def test_a_keyed_request_sent_twice_at_once_is_done_once(record: Record, other: Record) -> None:
    await with_users(record, "ada")
    key = IdempotencyKey("k-1", "digest")
    both = await asyncio.gather(*(writer.apply([CreatePost(author="ada")], key=key) for writer in (record, other)))
    assert both[0] == both[1]
    assert len(await record.post_ids("ada")) == 1


async def test_batches_that_name_the_same_users_in_another_order_both_commit(record: Record, other: Record) -> None:
    users = [f"u{n}" for n in range(8)]
    await with_users(record, *users)
    there: list[Command] = [RenameUser(user=user, name="There") for user in users]
    back: list[Command] = [RenameUser(user=user, name="Back") for user in reversed(users)]
    for _ in range(3):
        await asyncio.gather(record.apply(there), other.apply(back))
    names = {user.name for user in (await record.users(users)).values()}
    assert len(names) == 1


async def test_an_edit_does_not_bring_back_what_its_authors_deletion_erased(record: Record, other: Record) -> None:
    for n in range(5):
        await with_users(record, "ada")
        await record.apply([a_post(f"p-{n}")])
        edit = one(other, EditPost(post=f"p-{n}", title="Back"))
        await asyncio.gather(edit, one(record, DeleteUser(user="ada")), return_exceptions=True)
        post = await record.post(f"p-{n}")
        assert post is not None
        assert (post.state, post.title) == (PostState.DELETED, "")


async def test_nobody_follows_a_user_deleted_at_the_same_time(record: Record, other: Record) -> None:
    for _ in range(5):
        await with_users(record, "ada", "bob")
        follow = one(other, Follow(user="bob", author="ada"))
        done = await asyncio.gather(follow, one(record, DeleteUser(user="ada")), return_exceptions=True)
        assert isinstance(done[0], (Outcome, Gone))
        assert (await record.follows("bob")).authors == ()


async def test_imports_and_single_writes_take_turns(record: Record, other: Record) -> None:
    chunks = [[PutUser(user=f"u{n}", name=f"{turn}") for n in range(50)] for turn in range(4)]
    renames = [one(other, PutUser(user="u7", name=f"single {n}")) for n in range(8)]
    await asyncio.gather(*(record.import_users(chunk) for chunk in chunks), *renames)
    seventh = await record.user("u7")
    assert seventh is not None
    assert seventh.version == seventh.profile_version
    assert seventh.version <= 12


async def test_reads_go_on_while_a_write_is_held(any_record_url: str, record: Record) -> None:
    await with_users(record, "ada")
    engine = create_async_engine(database_url(any_record_url))
    async with engine.connect() as holder:
        await holder.execute(text("UPDATE users SET name = 'held'"))
        ada = await record.user("ada")
        assert ada is not None
        assert ada.name == "Ada"
        await holder.rollback()
    await engine.dispose()


async def test_a_commit_that_overtook_another_does_not_hide_it(postgresql: Cluster) -> None:
    url = postgresql.create("overtaken", template="ready")
    record, engine = await Record.open(url), create_async_engine(database_url(url))
    columns = "(id, kind, subject, body, accepted_ms)"
    insert = f"INSERT INTO outbox {columns} VALUES ('slow', 'site-changed', 'site', '{{}}', 1)"  # noqa: S608  # ours
    async with engine.connect() as slow:
        await slow.execute(text(insert))
        await with_users(record, "ada")
        assert await record.outbox_take(10) == []
        await slow.commit()
    assert [(row.row, row.id) for row in await record.outbox_take(10)] == [(1, "slow")]
    await engine.dispose()
    await record.close()


async def test_of_two_transactions_that_wait_for_each_other_one_is_done_again(postgresql: Cluster) -> None:
    database = connect(postgresql.create("deadlock", template="ready"), patience=10)
    held = {"ada": asyncio.Event(), "bob": asyncio.Event()}
    attempts: list[str] = []

    def rename(first: str, second: str) -> Callable[[AsyncConnection], Awaitable[None]]:
        async def work(conn: AsyncConnection) -> None:
            attempts.append(first)
            await conn.execute(update(users).where(users.c.id == first).values(version=users.c.version + 1))
            held[first].set()
            await held[second].wait()
            await conn.execute(update(users).where(users.c.id == second).values(version=users.c.version + 1))

        return work

    await database.write(lambda conn: conn.execute(insert(users), [new_user(user, user, "") for user in held]))
    await asyncio.gather(database.write(rename("ada", "bob")), database.write(rename("bob", "ada")))
    assert len(attempts) == 3
    async with database.read() as conn:
        assert [user.version for user in (await find_users(conn, ["ada", "bob"])).values()] == [3, 3]
    await database.close()


async def test_a_write_waits_for_its_turn_and_then_says_that_it_got_none(busy_path: Path) -> None:
    record = await Record.open(f"sqlite:///{busy_path}", patience=0.05)
    holder = sqlite3.connect(busy_path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(RecordUnavailable, match=r"does not answer: .*database is locked\. Try again"):
        await record.apply([PutUser(user="ada", name="Ada")])
    holder.execute("ROLLBACK")
    holder.close()
    assert (await one(record, PutUser(user="ada", name="Ada"))).status == "accepted"
    await record.close()


async def test_a_write_that_found_the_lock_taken_is_done_when_it_is_free(busy_path: Path) -> None:
    record = await Record.open(f"sqlite:///{busy_path}")
    holder = sqlite3.connect(busy_path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    write = asyncio.create_task(one(record, PutUser(user="ada", name="Ada")))
    done, _ = await asyncio.wait([write], timeout=0.4)  # longer than SQLite itself waits
    assert not done
    holder.execute("ROLLBACK")
    holder.close()
    assert (await write).status == "accepted"
    await record.close()


async def test_a_database_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    for url in (f"sqlite:///{tmp_path}/no/such/folder/record.db", f"postgresql://nobody@/none?host={tmp_path}"):
        with pytest.raises(RecordUnavailable, match="does not answer"):
            await Record.open(url)


async def test_a_postgresql_that_goes_away_is_unavailable_and_found_again(postgresql: Cluster) -> None:
    record = await Record.open(postgresql.create("away", template="ready"))
    await with_users(record, "ada")
    engine = create_async_engine(database_url(postgresql.create("beside")))
    async with engine.connect() as admin:
        await admin.execute(text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'away'"))
    await engine.dispose()
    assert await record.user("ada") is not None
    assert (await one(record, RenameUser(user="ada", name="A"))).status == "accepted"
    await record.close()


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("mysql://u@h/db", "database URL starts with 'mysql'"),
        ("sqlite://", "it must name a file"),
        ("sqlite:///:memory:", "it must name a file"),
    ],
)
async def test_a_database_that_cannot_be_used_is_refused(url: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        await Record.open(url)


async def test_a_delete_and_a_create_at_once_leave_the_newer_events_state(record: Record, other: Record) -> None:
    await with_users(record, "ada")
    create = a_post("p-1").model_copy(update={"version": 1})
    for _ in range(3):
        done = await asyncio.gather(
            one(record, create), one(other, DeletePost(post="p-1", version=2)), return_exceptions=True
        )
        assert not [error for error in done if isinstance(error, Refused)]
        post = await record.post("p-1")
        assert post is None or post.state is PostState.DELETED


async def test_users_who_follow_each_other_at_once_do_not_wait_for_each_other(record: Record, other: Record) -> None:
    users = [f"u{n}" for n in range(6)]
    await with_users(record, *users)
    pairs = [(user, author) for user in users for author in users if user != author]
    writers = [record, other]
    follows = [writers[n % 2].apply([Follow(user=u, author=a)]) for n, (u, a) in enumerate(pairs)]
    await asyncio.gather(*follows)
    for user in users:
        assert len(await record.followers((await record.sources(user)).num)) == 5


async def test_a_reaction_does_not_outlive_the_user_deleted_at_the_same_time(record: Record, other: Record) -> None:
    await with_users(record, "ada")
    await record.apply([a_post("p-1")])
    for n in range(5):
        await with_users(record, "bob")
        like = React(post="p-1", reactions=(Reaction(kind="like", by="bob", id=f"{n}"),))
        await asyncio.gather(one(other, like), one(record, DeleteUser(user="bob")))
        assert await record.reactions_of(["bob"], since_ms=0) == {}


async def test_a_tag_that_two_use_first_at_once_has_one_number(record: Record, other: Record) -> None:
    await with_users(record, "ada", "bob")
    for n in range(5):
        tags = (f"a{n}", f"b{n}")
        ada = CreatePost(post=f"p-{n}", author="ada", tags=tags)
        bob = CreatePost(post=f"q-{n}", author="bob", tags=tags[::-1])
        await asyncio.gather(one(record, ada), one(other, bob))
        posts = await record.posts([f"p-{n}", f"q-{n}"])
        assert posts[f"p-{n}"].tag_nums == posts[f"q-{n}"].tag_nums[::-1]
