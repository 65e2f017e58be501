"""`edgebake park` as an operator uses it, over a system of record with a parked change."""

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from edgebake.cli import app
from edgebake.errors import CommandError
from feeds.command import PutUser
from feeds.record import Record

ERROR = "ResponseError: WRONGTYPE [a key] holds the wrong kind of value"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder."""
    return tmp_path


@pytest.fixture
def change(folder: Path) -> str:
    """A parked change."""

    async def park() -> str:
        record = await Record.open(f"sqlite:///{folder}/edgebake.db")
        change = str((await record.apply([PutUser(user="ada", name="Ada")]))[0].change)
        assert await record.park(change, 5, ERROR)
        await record.close()
        return change

    return asyncio.run(park())


def park(folder: Path, *words: str) -> Result:
    """Run `edgebake park`."""
    settings = [f"DATABASE_URL=sqlite:///{folder}/edgebake.db"]
    return CliRunner().invoke(app, ["--data-dir", str(folder), "--set", *settings, "park", *words])


def test_parked_changes_are_listed_for_people_and_programs(folder: Path, change: str) -> None:
    told = park(folder, "list")
    assert told.exit_code == 0
    for part in (change, "user ada", "WRONGTYPE", "edgebake park retry"):
        assert part in told.stdout
    (row,) = json.loads(park(folder, "list", "--json").stdout)
    assert (row["change"], row["subject"], row["tries"], row["error"]) == (change, "user ada", 5, ERROR)


def test_a_retried_change_is_parked_no_longer(folder: Path, change: str) -> None:
    assert park(folder, "retry", change).stdout == f"retried: {change}\n"
    assert park(folder, "list").stdout == "nothing is parked\n"
    again = park(folder, "retry", change)
    assert isinstance(again.exception, CommandError)
    assert change in str(again.exception)
    assert park(folder, "retry", "--all").stdout == "nothing is parked\n"


def test_nothing_is_dropped_before_it_was_said_what_that_means(folder: Path, change: str) -> None:
    asked = park(folder, "drop", change)
    assert isinstance(asked.exception, CommandError)
    assert "--yes" in str(asked.exception)
    assert len(json.loads(park(folder, "list", "--json").stdout)) == 1
    assert park(folder, "drop", change, "--yes").stdout == f"dropped: {change}\n"
    assert json.loads(park(folder, "list", "--json").stdout) == []


@pytest.mark.parametrize("words", [("retry",), ("retry", "--all", "c-1")])
def test_what_to_retry_has_to_be_said_once(folder: Path, change: str, words: tuple[str, ...]) -> None:
    assert park(folder, *words).exit_code == 2
