"""Bulk import: users, posts and follows of authors and tags from NDJSON or CSV, in chunks, each under one change.

A row that is refused is told with its line and reason, and the import carries on. Memory does not grow with the file.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Generic, Literal, TypeVar

from feeds.errors import FeedsError
from feeds.record import ImportOutcome, Record
from feeds.refusing import Refusing
from publisher import records
from publisher.lines import Lines, Refusal
from publisher.rows import FOLLOWS, POSTS, TAG_FOLLOWS, USERS, ImportRefused, Kind, Reader, Row

__all__ = ["Format", "ImportRefused", "ImportReport", "ImportStopped", "Kind", "Refusal", "format_of", "import_file"]

Format = Literal["csv", "ndjson"]
Values = TypeVar("Values")

CHUNK_ROWS = 20_000
CHUNK_BYTES = 8_388_608
"""A chunk of long posts ends here, however few they are."""
TURN_ROWS = 250
"""Rows that are read in one turn of the event loop."""
KEPT_REFUSALS = 1000
"""Refusals that the report lists; it counts all."""

_ENDINGS: dict[str, Format] = {".csv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson"}


class ImportStopped(FeedsError):
    """An import cannot go on just now; what came before is kept, and the same file may be imported again."""


@dataclass(slots=True)
class ImportReport:
    """What came of an import: rows accepted, the first refusals, how many there were, and the changes to ask after."""

    accepted: int = 0
    refused: list[Refusal] = field(default_factory=list)
    refused_count: int = 0
    changes: list[str] = field(default_factory=list)
    bytes_read: int = 0


def format_of(path: Path) -> Format:
    """Return a file's format by its name, also below ``.gz``. Raises ImportRefused for any other ending."""
    endings = [ending.lower() for ending in path.suffixes if ending.lower() != ".gz"]
    if not endings or endings[-1] not in _ENDINGS:
        raise ImportRefused(f"{path.name!r} does not end in {', '.join(_ENDINGS)} (or those and .gz): say which it is")
    return _ENDINGS[endings[-1]]


async def import_file(
    record: Record,
    kind: Kind,
    source: Path | BinaryIO,
    *,
    format: Format,
    map_ids: bool = False,
    chunk: int = CHUNK_ROWS,
    on_progress: Callable[[ImportReport], None] | None = None,
    on_refused: Callable[[Refusal], None] | None = None,
    refuse: Callable[[], Awaitable[Refusing | None]] | None = None,
) -> ImportReport:
    """Import a file, or a stream that is open; gzip is recognised by its bytes.

    ``on_progress`` sees the report after each chunk, ``on_refused`` each refused row. ``refuse`` is asked before each
    chunk why no more writes are taken. Raises ImportStopped where it says so, with the chunks before kept, and
    ImportRefused, with nothing kept, where the header of a CSV file is not one of this kind.
    """
    with source.open("rb") if isinstance(source, Path) else nullcontext(source) as stream:
        lines = Lines(stream)
        run = _run(record, kind, lines, format, map_ids=map_ids)
        run.on_progress, run.on_refused, run.refuse = on_progress, on_refused, refuse
        return await run.run(chunk)


def _run(record: Record, kind: Kind, lines: Lines, form: Format, *, map_ids: bool) -> "_Import[Any]":
    match kind:
        case "users":
            return _Import(Reader(USERS, map_ids=map_ids), record.import_users, lines, form)
        case "posts":
            return _Import(Reader(POSTS, map_ids=map_ids), record.import_posts, lines, form)
        case "follows":
            return _Import(Reader(FOLLOWS, map_ids=map_ids), record.import_follows, lines, form)
        case "tag-follows":
            return _Import(Reader(TAG_FOLLOWS, map_ids=map_ids), record.import_tag_follows, lines, form)


@dataclass(slots=True)
class _Import(Generic[Row]):
    """One import under way."""

    reader: Reader[Row]
    write: Callable[[Sequence[Row]], Awaitable[ImportOutcome]]
    lines: Lines
    format: Format
    report: ImportReport = field(default_factory=ImportReport)
    on_progress: Callable[[ImportReport], None] | None = None
    on_refused: Callable[[Refusal], None] | None = None
    refuse: Callable[[], Awaitable[Refusing | None]] | None = None

    async def run(self, chunk: int) -> ImportReport:
        """Write chunk after chunk, each while the next is read."""
        writing: asyncio.Task[None] | None = None
        try:
            async for numbers, rows in self._chunks(chunk):
                if writing is not None:
                    await writing
                writing = asyncio.create_task(self._flush(numbers, rows))
        finally:
            if writing is not None:
                await writing
        return self.report

    async def _chunks(self, chunk: int) -> AsyncIterator[tuple[list[int], list[Row]]]:
        numbers: list[int] = []
        rows: list[Row] = []
        begun = 0
        for number, row in self._rows():
            numbers.append(number)
            rows.append(row)
            if len(rows) % TURN_ROWS == 0:
                await asyncio.sleep(0)  # the chunk before goes on being written
            if len(rows) >= chunk or self.lines.bytes_taken - begun >= CHUNK_BYTES:
                yield numbers, rows
                numbers, rows, begun = [], [], self.lines.bytes_taken
        yield numbers, rows

    def _rows(self) -> Iterator[tuple[int, Row]]:
        if self.format == "ndjson":
            return self._commands(records.ndjson(self.lines), self.reader.of_object)
        found = records.comma_separated(self.lines)
        header = next(found, None)
        if header is None or isinstance(header, Refusal):
            raise ImportRefused(f"line 1 is no header: {header.reason if header else 'the file is empty'}")
        self.reader.take_header([name.strip() for name in header[1]])
        return self._commands(found, self.reader.of_cells)

    def _commands(
        self, found: Iterator[tuple[int, Values] | Refusal], command: Callable[[Values], Row]
    ) -> Iterator[tuple[int, Row]]:
        for record in found:
            if isinstance(record, Refusal):
                self._refuse(record)
                continue
            try:
                yield record[0], command(record[1])
            except ValueError as error:
                self._refuse(Refusal(record[0], str(error)))

    async def _flush(self, numbers: list[int], rows: list[Row]) -> None:
        if rows:
            if self.refuse is not None and (refusing := await self.refuse()) is not None:
                raise ImportStopped(
                    f"line {numbers[0]} and below are not imported, what is above is: {refusing.reason}"
                )
            outcome = await self.write(rows)
            self.report.accepted += len(rows) - len(outcome.refused)
            if outcome.change is not None:
                self.report.changes.append(outcome.change)
            for index, reason in outcome.refused:
                self._refuse(Refusal(numbers[index], reason))
        self.report.bytes_read = self.lines.bytes_read
        if self.on_progress is not None:
            self.on_progress(self.report)

    def _refuse(self, refusal: Refusal) -> None:
        self.report.refused_count += 1
        if len(self.report.refused) < KEPT_REFUSALS:
            self.report.refused.append(refusal)
        if self.on_refused is not None:
            self.on_refused(refusal)
