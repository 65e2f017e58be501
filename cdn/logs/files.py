"""Log files: one, or a folder with all below it, read in chunks and unpacked where they are gzip."""

import re
import zlib
from calendar import timegm
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import strptime

from cdn.errors import LogsMissing

CHUNK = 262_144
"""Bytes that are read at once."""
GZIP = b"\x1f\x8b"
HOUR_S = SLACK_S = 3600
"""How far a line's time may be from the hour in its file's name: the name says when requests came (AWS's guide,
"Timing of log file delivery"), the line when they were answered."""

_hour = re.compile(r"\.(\d{4}-[01]\d-[0-3]\d-[0-2]\d)\.[^./]+(?:\.gz)?$").search


@dataclass(frozen=True, slots=True)
class LogFile:
    """A file of a log. ``chunks`` reads it as it is stored; it raises OSError where it cannot."""

    name: str
    chunks: Callable[[], Iterator[bytes]]

    def plain(self) -> Iterator[bytes]:
        """Read it unpacked. Raises OSError, zlib.error or EOFError, after all that can be read was read."""
        chunks = self.chunks()
        first = next(chunks, b"")
        if not first.startswith(GZIP):
            yield first
            yield from chunks
            return
        gunzip = Gunzip()
        yield from gunzip.feed(first)
        for chunk in chunks:
            yield from gunzip.feed(chunk)
        if not gunzip.at_end:
            raise EOFError

    def may_hold(self, since: int, until: int) -> bool:
        """Tell, by its name, whether requests of some seconds may be in it; a name without an hour may hold any."""
        begins = _begin_of(self.name)
        return begins is None or (begins - SLACK_S < until and since < begins + HOUR_S + SLACK_S)


def _begin_of(name: str) -> int | None:
    """Return when the hour in a file's name begins, None where it names none."""
    found = _hour(name)
    try:
        return None if found is None else timegm(strptime(found[1], "%Y-%m-%d-%H"))
    except ValueError:  # the 30th of February, 25 o'clock
        return None


class Gunzip:
    """Unpacks gzip, chunk by chunk; a file may have several members, one after the other (RFC 1952 §2.2)."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(wbits=31)
        self._fed = False

    @property
    def at_end(self) -> bool:
        """Whether the last member is whole."""
        return not self._fed or self._member.eof

    def feed(self, packed: bytes) -> Iterator[bytes]:
        """Unpack a chunk, no more than ``CHUNK`` bytes of it at once. Raises zlib.error."""
        while packed:
            if self._member.eof:
                self._member = zlib.decompressobj(wbits=31)
                packed = packed.lstrip(b"\0")  # padding between members, as gzip(1) ignores it
                self._fed = False
                continue
            self._fed = True
            yield self._member.decompress(packed, CHUNK)
            packed = self._member.unconsumed_tail or self._member.unused_data


def on_disk(path: Path) -> Iterator[LogFile]:
    """Yield the file at a path, or all below a folder, by name. Raises LogsMissing."""
    if path.is_dir():
        inside = sorted(below for below in path.rglob("*") if below.is_file() and not below.name.startswith("."))
        if not inside:
            raise LogsMissing(f"the folder '{path}' holds no file: name the one that the logs are in.")
        yield from map(_on_disk, inside)
    elif path.exists():
        yield _on_disk(path)
    else:
        raise LogsMissing(f"'{path}' does not exist: name a log file, a folder of them, or s3://bucket/prefix.")


def _on_disk(path: Path) -> LogFile:
    def chunks() -> Iterator[bytes]:
        with path.open("rb", buffering=0) as file:
            while chunk := file.read(CHUNK):
                yield chunk

    return LogFile(str(path), chunks)
