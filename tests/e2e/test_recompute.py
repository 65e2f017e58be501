"""`edgebake recompute`, as a person runs it: to its end, stopped and resumed, killed and taken over."""

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from redis import Redis

from tests.e2e.running import COMMAND, PATIENCE_S, Running, edgebake, until


@contextmanager
def begun(demo: Running) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """Begin a recalculation of all users, as a process of its own; yield it and its job, which is under way."""
    with Redis.from_url(demo.found["redis"]) as redis:
        before = set(redis.keys("job:*"))
        words = [COMMAND, "--data-dir", str(demo.folder), "recompute", "--all"]
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            found: list[bytes] = []

            def is_there() -> bool:
                found[:] = set(redis.keys("job:*")) - before
                return bool(found) and redis.hget(found[0].decode(), "state") == b"running"

            until(is_there, "the job is under way")
            yield process, found[0].decode().removeprefix("job:")


def state(demo: Running, job: str) -> str:
    """Return the state of a job, as the API tells it."""
    answer = demo.api.get(f"/api/jobs/{job}")
    assert answer.status_code == httpx.codes.OK
    told: str = answer.json()["state"]
    return told


def test_a_recalculation_says_what_it_did(demo: Running) -> None:
    done = edgebake("--data-dir", str(demo.folder), "recompute", "--all", folder=demo.folder)
    count, what, *_ = done.stdout.split()
    assert (done.returncode, what) == (0, "timelines")
    assert int(count) >= 2000  # and whom other tests created
    job = done.stdout.split()[-1]
    assert state(demo, job) == "done"


def test_ctrl_c_stops_and_says_how_to_go_on(demo: Running) -> None:
    with begun(demo) as (process, job):
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert out.endswith(f"go on with: edgebake recompute --resume {job}\n")
    assert state(demo, job) == "stopped"
    done = edgebake("--data-dir", str(demo.folder), "recompute", "--resume", job, folder=demo.folder)
    assert (done.returncode, state(demo, job)) == (0, "done"), done.stderr


def test_what_was_killed_is_finished_by_a_worker(demo: Running) -> None:
    with begun(demo) as (process, job):
        process.kill()
    until(lambda: state(demo, job) == "done", "the worker has finished it")


def test_a_job_of_the_api_is_done_by_a_worker(demo: Running) -> None:
    job = demo.api.post("/api/recompute", json={"users": "all"}).json()["id"]
    until(lambda: state(demo, job) == "done", "the worker has done it")
    assert json.loads(demo.api.get(f"/api/jobs/{job}").content)["done"] == 64


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (("--all", "--active"), 2, "exclude each other"),
        (("--resume", "recompute-none"), 1, "there is no recalculation 'recompute-none'"),
    ],
)
def test_what_cannot_be_done_is_said(demo: Running, arguments: tuple[str, ...], status: int, told: str) -> None:
    done = edgebake("--data-dir", str(demo.folder), "recompute", *arguments, folder=demo.folder)
    assert done.returncode == status
    assert told in done.stderr
