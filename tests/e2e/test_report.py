"""`edgebake report` as it is installed: a log whose totals are known, and one of a real origin and edge."""

import gzip
import json
import os
import re
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from bench.loglines import Known, write
from bench.logreport import watched
from cdn.accesslog import ResultType
from edgebake.listeners import handed_down, url_of
from tests.e2e.running import COMMAND, Running, edgebake, until

BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/145.0"}


def report(*arguments: str, folder: Path, **variables: str) -> dict[str, Any]:
    """Return what the command reports as JSON."""
    done = edgebake("report", *arguments, "--json", folder=folder, **variables)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def agrees(made: dict[str, Any], known: Known, lines: int) -> None:
    """Hold a report of a whole log against what was written."""
    total = made["total"]
    assert (made["lines"], made["damaged"]["lines"], total["requests"]) == (lines, 0, lines)
    assert total["bytes"] == known.bytes
    assert total["hits"] == known.results[ResultType.HIT]
    assert total["refresh_hits"] == known.results[ResultType.REFRESH_HIT]
    assert total["misses"] == known.results[ResultType.MISS]
    assert total["errors"] == known.results[ResultType.ERROR]
    assert total["hit_share"] == pytest.approx(known.results[ResultType.HIT] / lines)
    for name, share in (("first_byte_p50_ms", 0.5), ("first_byte_p99_ms", 0.99)):
        assert total[name] == pytest.approx(known.quantile(share), rel=made["latency_error"] * 1.001)
    assert sum(row["requests"] for row in made["series"]) == lines
    feeds = {row["feed"].removeprefix("/feed/"): (row["requests"], row["misses"]) for row in made["feeds"]}
    assert feeds == {feed: (count, known.misses[feed]) for feed, count in known.top(len(feeds))}


def test_the_totals_of_a_log_that_the_edges_writer_wrote_are_exact(tmp_path: Path) -> None:
    known = write(tmp_path / "logs", 50_000, feeds=3_000)
    made = report("logs", "--top", "30", "--html", "report.html", folder=tmp_path)
    assert made["files"] == 24
    agrees(made, known, 50_000)
    assert "<svg" in (tmp_path / "report.html").read_text()
    hour = report("logs", "--since", "2026-11-20T10:00", "--until", "2026-11-20T11:00", folder=tmp_path)
    assert hour["files"] <= 3
    assert hour["total"]["requests"] == pytest.approx(50_000 / 24, abs=1)


def test_a_damaged_log_is_reported_as_far_as_it_goes(tmp_path: Path) -> None:
    known = write(tmp_path / "logs", 5_000, feeds=100)
    first, second, *_ = sorted((tmp_path / "logs").iterdir())
    first.write_bytes(first.read_bytes()[:-3000])
    second.write_bytes(gzip.compress(gzip.decompress(second.read_bytes()) + b"what is this\n"))
    done = edgebake("report", "logs", folder=tmp_path)
    assert done.returncode == 0
    assert re.search("damaged: (1 line|2 lines), 1 file;", done.stdout)
    assert f"{first.name}: the gzip file is cut off" in done.stdout.replace("\n", " ")
    assert sum(known.results.values()) == 5_000


def test_what_is_asked_for_wrongly_says_so_in_a_line(tmp_path: Path) -> None:
    done = edgebake("report", "nowhere", folder=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("edgebake: 'nowhere' does not exist: name a log file")
    assert edgebake("report", folder=tmp_path).returncode == 2


@pytest.mark.long
def test_a_million_lines_take_under_ten_seconds_and_the_memory_of_a_few(tmp_path: Path) -> None:
    known = write(tmp_path / "logs", 1_000_000, feeds=20_000)
    with (tmp_path / "report.json").open("w") as out:
        process = subprocess.Popen(
            [COMMAND, "report", "logs", "--top", "50", "--json"], cwd=tmp_path, env={}, stdout=out
        )
    peak = watched(process.pid)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    agrees(json.loads((tmp_path / "report.json").read_text()), known, 1_000_000)
    assert used.ru_utime + used.ru_stime < 10
    assert peak < 150  # MB


@contextmanager
def child(*arguments: str, names: Sequence[str], log: Path, **variables: str) -> Iterator[dict[str, str]]:
    """Run a command of ours on free ports, by the names that it knows them by; yield their URLs."""
    sockets = {name: socket.create_server(("127.0.0.1", 0)) for name in names}
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [COMMAND, *arguments, *handed_down(sockets)],
            cwd=log.parent,
            env={f"EDGEBAKE_{name}": value for name, value in variables.items()},
            pass_fds=[opened.fileno() for opened in sockets.values()],
            stdin=subprocess.DEVNULL,
            stderr=stderr,
        )
    urls = {name: url_of(opened) for name, opened in sockets.items()}
    for opened in sockets.values():
        opened.close()
    try:
        yield urls
    finally:
        process.terminate()
        assert process.wait(60) == 0


def test_misses_of_a_real_edge_are_the_bakes_of_its_origin_but_for_what_is_explained(
    demo: Running, tmp_path: Path
) -> None:
    """Each feed is read as JSON by two who accept gzip and one who does not: two misses, one bake."""
    (tmp_path / "here").mkdir()
    log, found = tmp_path / "serve.log", demo.found
    users = found["users"][:3]
    shared = {"REDIS_URL": found["redis"], "DATABASE_URL": found["database"], "PUBLIC_URL": found["edge"]}
    with (
        child("serve", "--only", "feeds", names=("feeds", "ops"), log=log, EVENTS="true", **shared) as origin,
        child(
            "edge", "--origin", origin["feeds"], "--logs", "logs", names=("edge", "edge_api"), log=tmp_path / "edge.log"
        ) as edge,
        httpx.Client(base_url=edge["edge"], headers=BROWSER, timeout=20) as reader,
    ):
        until(lambda: answers(reader), "the edge answers")
        for user in users:
            for coding in ("gzip", "gzip", "identity"):
                assert reader.get(f"/feed/{user}/feed.json", headers={"Accept-Encoding": coding}).status_code == 200
    made = report("logs", "--reconcile", "serve.log", folder=tmp_path)
    feeds = {row["feed"]: (row["requests"], row["hits"], row["misses"]) for row in made["feeds"]}
    assert {user: feeds[f"/feed/{user}"] for user in users} == dict.fromkeys(users, (3, 1, 2))
    reconciled = made["reconciled"]
    assert (reconciled["misses"], reconciled["bakes"]) == (6, 3)
    assert [(line["bakes"], line["why"].partition(":")[0]) for line in reconciled["differences"]] == [
        (-3, "from the baker's memory")
    ]
    told = report("logs", "--reconcile", "serve.log", "--mark-active", folder=tmp_path, DATA_DIR=str(demo.folder))
    assert told["active"] == {"noted": 3, "old": 0, "unknown": 0, "requests_of_bots": 0}


def answers(reader: httpx.Client) -> bool:
    """Tell whether the edge answers what its origin answers; with a path that is baked for nobody."""
    try:
        return reader.get("/feed/No").status_code == 404
    except httpx.HTTPError:
        return False


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_output_that_cannot_be_written_is_a_line_and_nothing_where_nobody_reads(
    tmp_path: Path, options: Sequence[str]
) -> None:
    write(tmp_path / "logs", 2_000, feeds=500)
    command = [COMMAND, "report", "logs", "--top", "500", *options]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command, cwd=tmp_path, env={}, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, done.stderr) == (1, "edgebake: stdout: No space left on device\n")
    process = subprocess.Popen(command, cwd=tmp_path, env={}, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (1, b"")
