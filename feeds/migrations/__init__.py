"""The migration path of the system of record's tables. Each revision is a file in ``versions``."""

from pathlib import Path

from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import AsyncConnection

from feeds.database import Database, is_postgresql
from feeds.errors import RecordUnavailable

HEAD = "0001"
"""The newest revision. A test holds it to the folder, so that opening a database need not load the machinery."""

_LOCK = 0x45444745  # PostgreSQL's advisory lock for migrations: "EDGE"


async def migrate_tables(database: Database) -> None:
    """Bring the tables to the newest revision; of several processes that open at once, one does it."""
    try:
        found = await current(database)
    except RecordUnavailable:  # perhaps another process makes the tables just now: a write waits for its turn
        found = None
    if found != HEAD:
        await database.write(_migrate)


async def current(database: Database) -> str | None:
    """Return the revision that the tables are at, or None where there are none."""
    async with database.read() as conn:
        return await conn.run_sync(_revision)


async def check(database: Database) -> None:
    """Raise RecordUnavailable unless the tables are at the newest revision."""
    if (found := await current(database)) != HEAD:
        raise RecordUnavailable(f"the tables are at revision {found!r}, not {HEAD!r}: open the record with migrate")


async def _migrate(conn: AsyncConnection) -> None:
    if is_postgresql(conn):
        await conn.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    await conn.run_sync(_upgrade)


def _revision(conn: Connection) -> str | None:
    if not inspect(conn).has_table("alembic_version"):
        return None
    return conn.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


def _upgrade(conn: Connection) -> None:
    if _revision(conn) == HEAD:
        return
    from alembic import command  # noqa: PLC0415  # slow to load, and most starts do not need it
    from alembic.config import Config  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = conn
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise RecordUnavailable(f"the tables cannot be brought to revision {HEAD}: {error}") from error
