"""docs/backup.md: the database alone brings everything back, by the commands that the page has."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.running import Running, up
from tests.integration.postgresql import Cluster, programs

PAGE = (Path(__file__).parents[2] / "docs" / "backup.md").read_text(encoding="utf-8")
BACKUP, RESTORE = 0, 1
PUBLIC_URL = "https://feeds.example.com"
"""The same before and after: URLs in feeds begin with it, and the ports of both differ."""
USERS = ("ada", "bob", "eve")


def blocks(heading: str) -> list[str]:
    """Return the commands under a heading."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


def run(commands: str, folder: Path, **variables: str) -> None:
    """Run commands of the page in a folder."""
    path = os.pathsep.join(
        [str(Path(sys.executable).parent), *map(str, filter(None, [programs()])), os.environ["PATH"]]
    )
    environ = {"PATH": path, **variables}
    done = subprocess.run(
        ["sh", "-eu", "-c", commands], cwd=folder, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def fill(running: Running) -> None:
    """Write some of everything, wait until it is live, and read it, so that it is at the edge."""
    changes = [running.write("PUT", f"/api/users/{user}", {"name": user.title()}) for user in USERS]
    changes += [running.write("PUT", f"/api/users/{user}/follows/ada", {}) for user in ("bob", "eve")]
    changes.append(running.write("PUT", "/api/users/eve/tags/engines", {}))
    changes.append(running.write("PUT", "/api/users/eve/settings", {"order": "ranked", "language": "de"}))
    for number in range(6):
        body = {"author": ("ada", "bob")[number % 2], "title": f"Post {number}", "tags": ["engines"] * (number > 3)}
        changes.append(
            running.write("PUT", f"/api/posts/post-{number}", body | {"published": f"2026-11-0{number + 1}T12:00:00Z"})
        )
    changes.append(running.write("DELETE", "/api/posts/post-0"))
    running.until_live(*changes)


def feeds(running: Running) -> dict[str, bytes]:
    """Return what the edge serves of everybody."""
    paths = [
        f"/{kind}/{user}{ending}" for kind in ("feed", "author") for user in USERS for ending in ("", "/feed.json")
    ]
    return {path: running.read(path).content for path in paths}


def survives(folder: Path, before: dict[str, bytes], database: str = "") -> None:
    """Start over what was restored: all feeds are as before, and what is written now is shown."""
    with up(folder, PUBLIC_URL=PUBLIC_URL, DATABASE_URL=database) as second:
        assert feeds(second) == before
        second.until_live(second.write("PUT", "/api/posts/post-9", {"author": "ada", "title": "After"}))
        for user in USERS[1:]:
            assert "After" in second.read(f"/feed/{user}").text
            assert "Lost" not in second.read(f"/feed/{user}").text


def test_sqlite_comes_back_from_a_backup_that_was_taken_while_it_was_in_use(tmp_path: Path) -> None:
    commands, folder = blocks("SQLite"), tmp_path / "edgebake-data"
    with up(folder, PUBLIC_URL=PUBLIC_URL) as first:
        fill(first)
        before = feeds(first)
        run(commands[BACKUP], tmp_path)
        first.publish("ada", "Lost")
    shutil.rmtree(folder)
    run(commands[RESTORE], tmp_path)
    survives(folder, before)


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL of the test's own."""
    found = programs()
    if found is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    made = Cluster(found)
    made.start()
    yield made
    made.stop()


@pytest.mark.long
def test_postgresql_comes_back_from_a_dump_that_was_taken_while_it_was_in_use(tmp_path: Path, cluster: Cluster) -> None:
    commands, lost, restored = blocks("PostgreSQL"), cluster.create("lost"), cluster.create("restored")
    with up(tmp_path / "first", PUBLIC_URL=PUBLIC_URL, DATABASE_URL=lost) as first:
        fill(first)
        before = feeds(first)
        run(commands[BACKUP], tmp_path, EDGEBAKE_DATABASE_URL=lost)
        first.publish("ada", "Lost")
    run(commands[RESTORE], tmp_path, EDGEBAKE_DATABASE_URL=restored)
    survives(tmp_path / "second", before, restored)
