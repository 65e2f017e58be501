"""Imports into a real system of record."""

import gzip
import io
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feeds.ids import map_id
from feeds.record import Record
from feeds.refusing import Refusing
from publisher.importer import ImportRefused, ImportReport, ImportStopped, Refusal, format_of, import_file

DEMO = Path(__file__).parents[2] / "edgebake" / "demo"


@pytest.fixture
async def record(record_url: str) -> AsyncIterator[Record]:
    """An empty system of record."""
    record = await Record.open(record_url)
    yield record
    await record.close()


async def csv_into(record: Record, kind: str, text: str, **options: object) -> ImportReport:
    """Import CSV."""
    return await import_file(record, kind, io.BytesIO(text.encode()), format="csv", **options)  # type: ignore[arg-type]  # tests name them rightly


async def test_users_posts_and_follows_are_imported(record: Record) -> None:
    """And read back as they were written."""
    users = await csv_into(record, "users", "id,name\nada,Ada\nbob,Bob\n")
    follows = await csv_into(record, "follows", "user,author\nbob,ada\n")
    posts = await csv_into(record, "posts", 'id,author,title,tags\np1,ada,"One, two",a;b\n')
    for report, accepted in ((users, 2), (follows, 1), (posts, 1)):
        assert (report.accepted, report.refused, len(report.changes)) == (accepted, [], 1)
        change = await record.change(report.changes[0])
        assert change is not None
        assert change.kind == "imported"
    assert (await record.follows("bob")).authors == ("ada",)
    post = await record.post("p1")
    assert post is not None
    assert (post.title, post.tags) == ("One, two", ("a", "b"))


async def test_each_refused_row_is_told_and_the_rest_is_kept(record: Record) -> None:
    """Those that the file breaks, those that the rules refuse and those that the record refuses, by line."""
    text = 'id,name\nada,Ada\nBOB,Bob\n"cy,Cy\ndee,Dee,extra\neve,\nfay,F\x00y\ngil,Gil\n'
    seen: list[Refusal] = []
    report = await csv_into(record, "users", text, on_refused=seen.append)
    assert (report.accepted, report.refused_count, report.refused) == (2, 5, seen)
    assert [refusal.line for refusal in seen] == [3, 4, 5, 6, 7]
    assert (await record.users(["ada", "gil"])).keys() == {"ada", "gil"}
    follows = await csv_into(record, "follows", "user,author\nada,gil\nada,nobody\ngil,ada\n")
    assert (follows.accepted, [refusal.line for refusal in follows.refused]) == (2, [3])
    assert "nobody" in follows.refused[0].reason


async def test_follows_of_tags_are_imported_and_may_be_again(record: Record) -> None:
    """Under one change, of a tag that posts have and of one that none has yet; what is there already is none."""
    await csv_into(record, "users", "id,name\nada,Ada\nbob,Bob\n")
    await csv_into(record, "posts", "id,author,tags\np1,bob,Lisp\n")
    rows = 'user,tag\nada,lisp\nada,"c++, mostly"\nbob,LISP \n'
    report = await csv_into(record, "tag-follows", rows)
    assert (report.accepted, report.refused, len(report.changes)) == (3, [], 1)
    assert [entry.post for entry in await record.proposals("ada", before=None, limit=5, own=False)] == ["p1"]
    assert len((await record.sources("ada")).tags) == 2
    again = await csv_into(record, "tag-follows", rows)
    assert (again.accepted, again.refused, again.changes) == (3, [], [])


async def test_each_refused_follow_of_a_tag_is_told_and_the_rest_is_kept(record: Record) -> None:
    """Those that the rules refuse, and those of users who are not there."""
    await csv_into(record, "users", "id,name\nada,Ada\n")
    report = await csv_into(record, "tag-follows", "user,tag\nada,a\nnobody,a\nada,\nADA,b\nada,c\n")
    assert (report.accepted, sorted(refusal.line for refusal in report.refused)) == (2, [3, 4, 5])
    assert any("'nobody'" in refusal.reason for refusal in report.refused)
    assert len((await record.sources("ada")).tags) == 2


async def test_the_name_of_discovery_is_no_users(record: Record) -> None:
    """The row is refused; mapped, it is a user like any other."""
    report = await csv_into(record, "users", "id,name\nexplore,Dora\n")
    assert (report.accepted, "is reserved" in report.refused[0].reason) == (0, True)
    report = await csv_into(record, "users", "id,name\nexplore,Dora\n", map_ids=True)
    assert (report.accepted, report.refused) == (1, [])
    assert await record.user("explore") is None
    assert await record.user(map_id("explore")) is not None


async def test_one_change_a_chunk(record: Record) -> None:
    """However many rows the file has."""
    text = "id,name\n" + "".join(f"u{n},U {n}\n" for n in range(250))
    progress: list[int] = []
    report = await csv_into(
        record, "users", text, chunk=100, on_progress=lambda so_far: progress.append(so_far.accepted)
    )
    assert (report.accepted, len(report.changes), progress) == (250, 3, [100, 200, 250])
    assert len(await record.outbox_take(100)) == 3
    again = await csv_into(record, "users", text, chunk=100)
    assert (again.accepted, again.changes) == (250, [])


async def test_the_report_lists_some_refusals_and_counts_all(record: Record) -> None:
    """Memory does not grow with a broken file."""
    report = await csv_into(record, "users", "id,name\n" + "NO,x\n" * 1500)
    assert (report.accepted, len(report.refused), report.refused_count) == (0, 1000, 1500)


async def test_packed_json_lines_with_ids_of_any_kind(record: Record, tmp_path: Path) -> None:
    """As another system exports them."""
    path = tmp_path / "users.ndjson.gz"
    path.write_bytes(gzip.compress(b'{"id":"Ada Lovelace","name":"Ada","about":null}\n{"id":"bob"}\n'))
    report = await import_file(record, "users", path, format=format_of(path), map_ids=True)
    assert (report.accepted, report.refused) == (1, [Refusal(2, "name is missing")])
    assert await record.user(map_id("Ada Lovelace")) is not None
    assert report.bytes_read == path.stat().st_size


@pytest.mark.parametrize("text", ["", "\n\n", "name\nAda\n", "id,name,shoe\n", '"id,name\n'])
async def test_a_file_that_is_none_is_refused_whole(record: Record, text: str) -> None:
    """With what is wrong with its header."""
    with pytest.raises(ImportRefused):
        await csv_into(record, "users", text)
    assert await record.outbox_take(1) == []


@pytest.mark.parametrize(
    ("name", "form"), [("a.csv", "csv"), ("a.CSV.gz", "csv"), ("a.b.ndjson", "ndjson"), ("a.jsonl.gz", "ndjson")]
)
def test_a_format_is_known_by_the_name(name: str, form: str) -> None:
    """Also when packed."""
    assert format_of(Path(name)) == form


@pytest.mark.parametrize("name", ["a", "a.gz", "a.xlsx", "csv"])
def test_another_format_has_to_be_said(name: str) -> None:
    """The error says which are known."""
    with pytest.raises(ImportRefused, match="ndjson"):
        format_of(Path(name))


async def test_the_demo_is_imported_whole_and_every_feed_has_posts(record: Record) -> None:
    """2,000 users, each with authors who wrote something."""
    for kind, name, rows in (
        ("users", "users.csv", 2000),
        ("follows", "follows.csv.gz", 60_670),
        ("posts", "posts.csv.gz", 3000),
    ):
        report = await import_file(record, kind, DEMO / name, format="csv")  # type: ignore[arg-type]  # kinds they are
        assert (report.accepted, report.refused) == (rows, [])
    users = await record.some_users(2000)
    for user in random.Random(7).sample(users, 40):
        proposed = await record.proposals(user, before=None, limit=25, own=False)
        assert len({entry.author for entry in proposed}) >= 3, user


def test_the_demo_is_small_and_names_its_sources() -> None:
    """It ships in the package."""
    assert sum(path.stat().st_size for path in DEMO.iterdir()) < 700_000
    sources = (DEMO / "SOURCES.md").read_text()
    assert all(path.name in sources for path in DEMO.iterdir() if path.name not in ("SOURCES.md", "__pycache__"))


ODD = st.lists(st.sampled_from(["ada", "bob", ",", '"', "\n", "\r\n", "é", "\0", " ", "X"]), max_size=40).map("".join)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None)
@given(ODD, st.sampled_from([("users", "id,name\n"), ("tag-follows", "user,tag\n")]))
async def test_no_file_crashes_an_import(record: Record, text: str, kind: tuple[str, str]) -> None:
    """Each row is accepted or refused."""
    report = await csv_into(record, kind[0], kind[1] + text)
    assert report.accepted + report.refused_count <= text.count("\n") + 1


async def test_an_import_stops_where_writes_are_refused_and_keeps_what_came_before(record: Record) -> None:
    """The same file again goes on."""
    answers: list[Refusing | None] = [None, Refusing("the month's items are spent", 0)]

    async def refuse() -> Refusing | None:
        return answers.pop(0) if answers else None

    text = "id,name\nada,Ada\nbob,Bob\ncy,Cy\n"
    with pytest.raises(ImportStopped, match="line 4 and below are not imported, what is above is: the month's items"):
        await csv_into(record, "users", text, chunk=2, refuse=refuse)
    assert (await record.users(["ada", "bob", "cy"])).keys() == {"ada", "bob"}
    assert (await csv_into(record, "users", text, chunk=2, refuse=refuse)).accepted == 3
