"""What doctor has to know of the system of record: whether it answers, where its tables are, what time it has."""

import time
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from feeds.database import connect, is_postgresql
from feeds.errors import RecordUnavailable
from feeds.migrations import HEAD, current

PATIENCE_S = 5.0


@dataclass(frozen=True, slots=True)
class Checkup:
    """What was found. Times in seconds."""

    kind: str
    """``sqlite`` or ``postgresql``."""
    revision: str | None
    """Of its tables; None where there are none."""
    head: str
    """The revision that this version of the code wants."""
    ahead_s: float
    """How far its clock is ahead of this machine's."""
    trip_s: float
    """How long it took to ask, and so how far off ``ahead_s`` may be."""


async def check_up(url: str) -> Checkup:
    """Ask the database, and change nothing in it. Raises RecordUnavailable where it does not answer."""
    database = connect(url, PATIENCE_S)
    try:
        revision = await current(database)
        async with database.read() as conn:
            if not is_postgresql(conn):  # a file has this machine's clock
                return Checkup("sqlite", revision, HEAD, 0.0, 0.0)
            begun = time.time()
            told = float((await conn.execute(text("SELECT extract(epoch from clock_timestamp())"))).scalar_one())
            trip = time.time() - begun
        return Checkup("postgresql", revision, HEAD, told - (begun + trip / 2), trip)
    except DBAPIError as error:  # it answers, and refuses: a password, a name, TLS
        raise RecordUnavailable(str(error.orig)) from error
    finally:
        await database.close()
