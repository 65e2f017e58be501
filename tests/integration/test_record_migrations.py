"""The migration path of the tables."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import create_async_engine

import feeds.migrations
from feeds.database import database_url
from feeds.errors import RecordUnavailable
from feeds.migrations import HEAD
from feeds.record import Record
from feeds.schema import metadata


def differences(conn: Connection) -> list[Any]:
    """Return how the tables differ from the schema."""
    return list(compare_metadata(MigrationContext.configure(conn), metadata))


def index_names(conn: Connection) -> set[str | None]:
    """Return the names of all indexes on the tables of the schema."""
    found = inspect(conn)
    return {index["name"] for table in metadata.tables for index in found.get_indexes(table)}


async def execute(url: str, statement: str) -> None:
    """Run a statement behind the record's back."""
    engine = create_async_engine(database_url(url))
    async with engine.begin() as conn:
        await conn.execute(text(statement))
    await engine.dispose()


async def test_the_migrated_tables_are_those_of_the_schema(any_record_url: str) -> None:
    engine = create_async_engine(database_url(any_record_url))
    async with engine.connect() as conn:
        assert await conn.run_sync(differences) == []
        wanted = {index.name for table in metadata.tables.values() for index in table.indexes}
        assert wanted <= await conn.run_sync(index_names)
    await engine.dispose()


def test_the_newest_revision_is_the_one_that_opening_looks_for() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(feeds.migrations.__file__).parent))
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


async def test_processes_that_open_an_empty_database_at_once_all_succeed(tmp_path: Path) -> None:
    records = await asyncio.gather(*(Record.open(f"sqlite:///{tmp_path}/new.db") for _ in range(4)))
    for record in records:
        assert (await record.site()).version == 0
        await record.close()


async def test_opening_tables_that_are_up_to_date_does_not_load_the_migrations(any_record_url: str) -> None:
    program = (
        "import asyncio, sys\nfrom feeds.record import Record\n"
        "async def main():\n    await (await Record.open(sys.argv[1])).close()\n"
        "asyncio.run(main())\nprint('alembic' in sys.modules)"
    )
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, any_record_url, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await child.communicate()
    assert out == b"False\n"


async def test_without_migrating_an_empty_database_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordUnavailable, match="the tables are at revision None, not '0001'"):
        await Record.open(f"sqlite:///{tmp_path}/new.db", migrate=False)


async def test_tables_of_a_version_to_come_are_refused(any_record_url: str) -> None:
    await execute(any_record_url, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(RecordUnavailable, match=r"cannot be brought to revision 0001: .*9999"):
        await Record.open(any_record_url)


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.db"
    await asyncio.to_thread(path.write_text, "No database, but long enough to be read as the header of one.\n" * 20)
    with pytest.raises(RecordUnavailable, match="file is not a database"):
        await Record.open(f"sqlite:///{path}")
