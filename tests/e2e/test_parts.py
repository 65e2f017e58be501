"""The parts run apart, as containers do: `serve`, `work` and `edge`, each by hand, over one Redis and database."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from edgebake.valkey import free_port
from tests.e2e.running import COMMAND, PATIENCE_S, edgebake, until
from tests.integration.postgresql import Cluster, programs

PORTS = ("FEEDS_PORT", "API_PORT", "OPS_PORT", "WORK_PORT", "EDGE_PORT", "EDGE_API_PORT")
TOKEN = "a-token-for-tests"


@contextmanager
def part(folder: Path, environ: dict[str, str], *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Start a part, and end it by SIGTERM, which it follows with status 0."""
    with subprocess.Popen([COMMAND, *arguments], cwd=folder, env=environ, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, said
    assert "traceback" not in said


def answers(url: str) -> bool:
    """Tell whether a URL answers with 200."""
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty system of record, of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/record.db"
        return
    if (folder := programs()) is None:
        pytest.skip("PostgreSQL is not installed: the parts ran on SQLite alone")
    cluster = Cluster(folder)
    cluster.start()
    yield cluster.create("parts")
    cluster.stop()


def test_the_parts_run_apart_on_either_database(valkey: str, database_url: str, tmp_path: Path) -> None:
    settings = {name: str(free_port()) for name in PORTS}
    settings |= {"REDIS_URL": valkey, "DATABASE_URL": database_url, "API_TOKEN": TOKEN}
    environ = {f"EDGEBAKE_{name}": value for name, value in settings.items()}
    local = {name: f"http://127.0.0.1:{settings[name]}" for name in PORTS}
    with ExitStack() as stack:
        stack.enter_context(part(tmp_path, environ, "edge", "--origin", local["FEEDS_PORT"]))
        stack.enter_context(part(tmp_path, environ, "serve"))
        stack.enter_context(part(tmp_path, environ, "work"))
        for name in ("OPS_PORT", "WORK_PORT"):
            until(lambda name=name: answers(f"{local[name]}/readyz"), f"{name} is ready")  # type: ignore[misc]
        assert edgebake("health", folder=tmp_path, **settings).returncode == 0
        with httpx.Client(base_url=local["API_PORT"], headers={"Authorization": f"Bearer {TOKEN}"}) as api:
            assert api.put("/api/users/ada", json={"name": "Ada"}).status_code == 202
        command = ["publish", "--author", "ada", "--title", "From far away", "--wait"]
        published = edgebake(*command, folder=tmp_path, API_URL=local["API_PORT"], API_TOKEN=TOKEN)
        assert published.returncode == 0, published.stderr
        assert "From far away" in httpx.get(f"{local['EDGE_PORT']}/feed/ada").text
        metrics = httpx.get(f"{local['WORK_PORT']}/metrics").text
        assert "edgebake_" in metrics


def test_health_says_when_nobody_answers(tmp_path: Path) -> None:
    settings = {"OPS_PORT": str(free_port()), "WORK_PORT": str(free_port())}
    refused = edgebake("health", folder=tmp_path, **settings)
    assert refused.returncode == 1
    assert "nobody answers at /healthz" in refused.stderr
