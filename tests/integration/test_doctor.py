"""Doctor asks: a distribution through an unchanged boto3, a Redis, a database; and the command says what it found."""

import asyncio
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cdn import awsjson
from cdn.cloudfront import CloudFrontEdge
from cdn.distribution import ALL, Behavior, CachePolicy, Distribution, Keys, OriginRequestPolicy, ours
from cdn.errors import DistributionUnreadable
from cdn.local.config import LocalEdgeConfig
from edgebake import checks
from edgebake.cli import app
from edgebake.errors import CommandError
from edgebake.secret import SecretUrl
from edgebake.settings import Settings
from edgebake.valkey import EmbeddedValkey
from feeds.migrations import HEAD
from feeds.record import Record
from tests.integration.local_edge import local_edge
from tests.integration.postgresql import Cluster
from tests.unit.cloudformation import Stack, document

OTHER = replace(
    ours(shield="eu-west-1", tag_header="Edge-Tag"),
    behaviors=(
        Behavior(
            "/feed/*",
            CachePolicy("own", 1, 2, 3, brotli=False, queries=Keys("allExcept", frozenset({"a", "b"})), cookies=ALL),
            OriginRequestPolicy("own", headers=ALL, cookies=Keys("whitelist", frozenset({"session"}))),
            methods=("GET", "HEAD", "POST"),
            key_groups=("k1", "k2"),
            compress=True,
        ),
        *ours().behaviors,
    ),
)
"""One that has a bit of everything."""


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[EmbeddedValkey]:
    """A Valkey of our own, with a password."""
    server = EmbeddedValkey(tmp_path / "valkey", "secret")
    server.start()
    yield server
    server.stop()


@pytest.mark.parametrize("distribution", [ours(), OTHER], ids=["ours", "other"])
async def test_a_distribution_is_read_through_boto3_as_it_is(distribution: Distribution) -> None:
    async with local_edge(LocalEdgeConfig("", distribution=distribution)) as world:
        edge = CloudFrontEdge.local("main", world.api_url)
        told = await edge.describe()
        await edge.close()
    assert awsjson.parse(json.loads(json.dumps(told))) == distribution


async def test_a_distribution_that_is_not_there_is_a_finding() -> None:
    async with local_edge() as world:
        settings = Settings(edge="cloudfront", distribution_id="E1", cloudfront_endpoint_url=world.api_url)
        with pytest.MonkeyPatch.context() as here:
            here.setenv("AWS_ACCESS_KEY_ID", "a")
            here.setenv("AWS_SECRET_ACCESS_KEY", "b")
            (finding,) = (await checks.of_edge(settings)).findings
    assert finding.code == "edge-unreachable"
    assert "NoSuchDistribution" in finding.found


async def test_a_local_edge_that_does_not_run_is_a_finding_with_what_to_start() -> None:
    (finding,) = (await checks.of_edge(Settings(edge_api_url="http://127.0.0.1:1"))).findings
    assert (finding.code, "edgebake up" in finding.to_do) == ("edge-unreachable", True)


async def test_the_local_edge_is_well_and_another_is_not() -> None:
    async with local_edge() as world:
        settings = Settings(edge_api_url=world.api_url, origin_timeout=5)
        assert (await checks.of_edge(settings)).findings == ()
        other = replace(settings, tag_header="Edge-Tag")
        assert "tag-header" in [finding.code for finding in (await checks.of_edge(other)).findings]


async def test_the_embedded_valkey_is_well(valkey: EmbeddedValkey) -> None:
    report = await checks.of_redis(Settings(redis_url=SecretUrl(valkey.url)))
    assert report.findings == ()
    assert "secret" not in report.looked_at[0]


async def test_a_redis_that_does_not_answer_is_a_finding_without_its_password() -> None:
    report = await checks.of_redis(Settings(redis_url=SecretUrl("redis://:secret@127.0.0.1:1/0")))
    (finding,) = report.findings
    assert finding.code == "redis-unreachable"
    assert "secret" not in repr(report)


async def test_a_database_with_its_tables_is_well(any_record_url: str) -> None:
    report = await checks.of_record(Settings(database_url=SecretUrl(any_record_url)))
    assert report.findings == ()


async def test_a_database_without_tables_is_named_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    settings = Settings(database_url=SecretUrl(f"sqlite:///{tmp_path}/empty.db"))
    (finding,) = (await checks.of_record(settings)).findings
    assert (finding.code, HEAD in finding.found) == ("database-revision", True)
    assert (await checks.of_record(settings)).findings == (finding,)


@pytest.mark.parametrize(
    "url", ["", *(f"postgresql://edgebake:secret@127.0.0.1:{port}/edgebake" for port in (1, 99_999))]
)
async def test_a_database_that_is_not_there_is_a_finding_and_is_not_made(tmp_path: Path, url: str) -> None:
    report = await checks.of_record(Settings(data_dir=tmp_path, database_url=SecretUrl(url)))
    assert [finding.code for finding in report.findings] == ["database-unreachable"]
    assert "secret" not in repr(report)
    assert os.listdir(tmp_path) == []


async def test_a_database_that_refuses_is_a_finding(postgresql: Cluster) -> None:
    url = postgresql.create("refusing").replace("/refusing", "/no_such_database")
    (finding,) = (await checks.of_record(Settings(database_url=SecretUrl(url)))).findings
    assert finding.code == "database-unreachable"
    assert "no_such_database" in finding.found


async def test_sqlite_behind_cloudfront_is_a_warning(tmp_path: Path) -> None:
    await (await Record.open(f"sqlite:///{tmp_path}/r.db")).close()
    settings = Settings(edge="cloudfront", database_url=SecretUrl(f"sqlite:///{tmp_path}/r.db"))
    assert [finding.code for finding in (await checks.of_record(settings)).findings] == ["database-sqlite"]


class Saved:
    """Runs the command on a saved distribution."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "distribution.json"
        self.document = document(Stack())

    def invoke(self, *options: str) -> Result:
        """Run the command."""
        self.file.write_text(json.dumps(self.document), encoding="utf-8")
        return CliRunner().invoke(app, ["doctor", "--file", str(self.file), *options])

    def run(self, *options: str) -> tuple[int, str]:
        """Return the exit status and what was printed."""
        result = self.invoke(*options)
        return result.exit_code, result.output

    def found(self, *options: str) -> tuple[int, Any]:
        """Return the exit status and the JSON that was printed."""
        status, printed = self.run("--json", *options)
        return status, json.loads(printed)


@pytest.fixture
def saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Saved:
    """The command, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return Saved(tmp_path)


def test_the_templates_own_ends_well(saved: Saved) -> None:
    status, report = saved.found()
    assert (status, report["errors"], report["warnings"], report["findings"]) == (0, 0, 0, [])
    assert "0 errors, 0 warnings" in saved.run()[1]


def test_an_error_ends_with_status_1_and_says_what_to_do(saved: Saved) -> None:
    del saved.document["DistributionConfig"]["CacheTagConfig"]
    status, report = saved.found("--lenient")
    assert (status, [finding["code"] for finding in report["findings"]]) == (1, ["tag-header"])
    printed = saved.run()[1]
    assert "tag-header" in printed
    assert "CacheTagConfig.HeaderName" in printed


def test_a_warning_ends_with_status_1_unless_lenient(saved: Saved) -> None:
    saved.document["DistributionConfig"]["HttpVersion"] = "http1.1"
    assert saved.found()[0] == 1
    assert saved.found("--lenient")[0] == 0


def test_a_file_that_is_no_distribution_is_told(saved: Saved) -> None:
    saved.document = {}
    result = saved.invoke()
    assert isinstance(result.exception, DistributionUnreadable)


def test_a_file_and_a_part_exclude_each_other(saved: Saved) -> None:
    assert isinstance(saved.invoke("--only", "redis").exception, CommandError)


async def test_what_cannot_be_saved_is_told_after_the_report(tmp_path: Path) -> None:
    async with local_edge() as world:
        words = ("--set", f"EDGE_API_URL={world.api_url}", "doctor", "--only", "edge", "--save")
        result = await asyncio.to_thread(CliRunner().invoke, app, [*words, str(tmp_path / "none" / "d.json")])
        assert isinstance(result.exception, CommandError)
        assert "looked at distribution" in result.output
        saved = await asyncio.to_thread(CliRunner().invoke, app, [*words, str(tmp_path / "d.json")])
    assert saved.exit_code in (0, 1)
    assert awsjson.load(tmp_path / "d.json").id == "LOCALEDGE"
