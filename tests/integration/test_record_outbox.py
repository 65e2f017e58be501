"""The outbox, batches, keyed requests, the site and invalidations."""

import pytest

from feeds.change import Invalidated, PostPublished, SiteChanged, UserCreated
from feeds.command import CreatePost, Follow, Invalidate, PutSite, PutUser
from feeds.errors import Conflict, NotFound
from feeds.ids import is_id
from feeds.model import Site
from feeds.record import ChangeRow, IdempotencyKey, Record
from tests.integration.records import NOW, Clock, a_post, changes, one, with_users

DAY = 24 * 60 * 60 * 1000


async def test_each_command_of_a_batch_has_its_row_in_their_order(record: Record) -> None:
    outcomes = await record.apply([PutUser(user="ada", name="Ada"), PutUser(user="bob", name="Bob"), a_post("p-1")])
    rows = await record.outbox_take(10)
    assert [row.id for row in rows] == [outcome.change for outcome in outcomes]
    assert [row.kind for row in rows] == ["user-created", "user-created", "post-published"]
    assert [row.row for row in rows] == sorted({row.row for row in rows})
    assert all(is_id(row.id) and row.accepted_ms == NOW for row in rows)


async def test_a_refused_command_undoes_its_whole_batch_and_is_named_by_its_index(record: Record) -> None:
    with pytest.raises(NotFound) as refused:
        await record.apply([PutUser(user="ada", name="Ada"), a_post("p-1"), Follow(user="ada", author="bob")])
    assert refused.value.index == 2
    assert refused.value.field == "author"
    assert await record.user("ada") is None
    assert await record.post("p-1") is None
    assert await record.outbox_take(10) == []


async def test_a_command_sees_what_those_before_it_in_the_batch_did(record: Record) -> None:
    await record.apply(
        [PutUser(user="ada", name="Ada"), PutUser(user="bob", name="Bob"), Follow(user="ada", author="bob")]
    )
    assert (await record.follows("ada")).authors == ("bob",)


async def test_an_empty_batch_does_nothing(record: Record) -> None:
    assert await record.apply([]) == []


async def test_a_commit_with_changes_wakes_the_relay_and_no_other_does(record: Record) -> None:
    wakes: list[int] = []
    record.on_commit = lambda: wakes.append(1)
    await one(record, PutUser(user="ada", name="Ada"))
    assert len(wakes) == 1
    await one(record, PutUser(user="ada", name="Ada"))
    await one(record, CreatePost(author="ada", draft=True))
    with pytest.raises(NotFound):
        await record.apply([PutUser(user="bob", name="Bob"), a_post("p-1", "who")])
    assert len(wakes) == 1


async def test_relayed_rows_are_not_taken_again(record: Record) -> None:
    await record.apply([PutUser(user=user, name=user) for user in ("ada", "bob", "eve")])
    rows = await record.outbox_take(10)
    await record.outbox_relayed([rows[0].row, rows[2].row])
    assert await record.outbox_take(10) == [rows[1]]
    assert await record.outbox_take(0) == []
    await record.outbox_relayed([])


async def test_a_changes_progress_is_kept(record: Record) -> None:
    change = (await one(record, PutUser(user="ada", name="Ada"))).change
    assert change is not None
    row = (await record.outbox_take(1))[0]
    assert await record.change(change) == ChangeRow(change, "user-created", "user ada", NOW, False, None)
    await record.outbox_relayed([row.row])
    await record.outbox_live({change: NOW + 40, "c-unknown": 3})
    await record.outbox_live({change: NOW + 90})
    assert await record.change(change) == ChangeRow(change, "user-created", "user ada", NOW, True, NOW + 40)
    assert await record.change("c-unknown") is None


async def test_only_changes_live_before_a_moment_are_pruned_and_their_numbers_not_given_again(record: Record) -> None:
    await record.apply([PutUser(user=user, name=user) for user in ("ada", "bob", "eve")])
    rows = await record.outbox_take(10)
    await record.outbox_live({rows[1].id: NOW + 9, rows[2].id: NOW + 5})
    assert await record.outbox_prune(NOW + 9) == 1
    assert await record.change(rows[2].id) is None
    assert await record.change(rows[1].id) is not None
    await record.apply([PutUser(user="zoe", name="Zoe")])
    assert (await record.outbox_take(10))[-1].row > rows[2].row


async def test_a_keyed_request_sent_again_returns_its_outcomes_and_does_nothing(record: Record, clock: Clock) -> None:
    await with_users(record, "ada")
    key = IdempotencyKey("k-1", "digest")
    first = await record.apply([CreatePost(author="ada", title="Once")], key=key)
    clock.ms += DAY - 1
    assert await record.apply([CreatePost(author="ada", title="Once")], key=key) == first
    assert len(await record.post_ids("ada")) == 1
    assert await changes(record) == [PostPublished(first[0].subject_id, "ada")]


async def test_a_key_that_named_another_request_is_a_conflict(record: Record) -> None:
    await with_users(record, "ada")
    await record.apply([CreatePost(author="ada")], key=IdempotencyKey("k-1", "one"))
    with pytest.raises(Conflict, match="Idempotency-Key is 'k-1'"):
        await record.apply([CreatePost(author="ada")], key=IdempotencyKey("k-1", "two"))
    assert len(await record.post_ids("ada")) == 1


async def test_a_key_is_forgotten_after_a_day(record: Record, clock: Clock) -> None:
    await with_users(record, "ada")
    await record.apply([CreatePost(author="ada")], key=IdempotencyKey("k-1", "one"))
    clock.ms += DAY
    await record.apply([CreatePost(author="ada")], key=IdempotencyKey("k-1", "two"))
    assert len(await record.post_ids("ada")) == 2


async def test_a_refused_request_does_not_use_up_its_key(record: Record) -> None:
    key = IdempotencyKey("k-1", "digest")
    with pytest.raises(NotFound):
        await record.apply([a_post("p-1")], key=key)
    await with_users(record, "ada")
    assert (await record.apply([a_post("p-1")], key=key))[0].status == "accepted"


async def test_the_site_has_defaults_until_it_is_put(record: Record) -> None:
    assert await record.site() == Site()
    outcome = await one(record, PutSite(title="News", home_page_url="https://e.test/", template_version="abc"))
    assert await record.site() == Site("News", "en", "https://e.test/", "abc", 1)
    assert (outcome.subject_id, outcome.version) == ("site", 1)
    assert await changes(record) == [SiteChanged()]


async def test_a_site_without_a_template_version_keeps_the_one_it_has(record: Record) -> None:
    await record.apply([PutSite(title="News", template_version="abc"), PutSite(title="News")])
    assert await record.site() == Site("News", template_version="abc", version=1)
    await record.apply([PutSite(title="Olds", language="de")])
    assert await record.site() == Site("Olds", "de", None, "abc", 2)


async def test_a_site_of_which_only_the_templates_are_new_rolls(record: Record) -> None:
    first = PutSite(title="News", template_version="abc")
    templates = first.model_copy(update={"template_version": "def"})
    title = templates.model_copy(update={"title": "Olds"})
    await record.apply([first, templates, title])
    assert await changes(record) == [SiteChanged(), SiteChanged(rolling=True), SiteChanged()]


async def test_a_global_invalidation_may_roll(record: Record) -> None:
    await record.apply([Invalidate(scope="global", rolling=True)])
    assert await changes(record) == [Invalidated(None, rolling=True)]


async def test_an_older_site_is_ignored(record: Record) -> None:
    await record.apply([PutSite(title="News", version=2)])
    assert (await one(record, PutSite(title="Olds", version=1))).status == "ignored"


async def test_an_invalidation_is_a_change_each_time(record: Record) -> None:
    first = await one(record, Invalidate(scope="user", user="ada"))
    second = await one(record, Invalidate(scope="global"))
    assert first.change != second.change
    assert await changes(record) == [Invalidated("ada"), Invalidated(None)]


async def test_an_invalidation_with_an_id_happens_once(record: Record) -> None:
    first = await one(record, Invalidate(scope="global", id="deploy-42"))
    again = await one(record, Invalidate(scope="global", id="deploy-42"))
    assert (first.status, first.change) == ("accepted", "deploy-42")
    assert (again.status, again.change) == ("unchanged", "deploy-42")
    assert await changes(record) == [Invalidated(None)]


async def test_what_was_written_is_there_after_the_record_is_opened_again(any_record_url: str) -> None:
    first = await Record.open(any_record_url)
    await first.apply([PutUser(user="ada", name="Ada")])
    await first.close()
    second = await Record.open(any_record_url, migrate=False)
    assert await second.user("ada") is not None
    assert await changes(second) == [UserCreated("ada")]
    await second.close()
