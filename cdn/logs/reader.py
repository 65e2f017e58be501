"""The reader: a log's lines become requests, one at a time, with the columns found by ``#Fields``.

It works on bytes, decodes nothing that nobody asks for, and remembers what recurs, so that to split a line is a third
of what it costs. Whatever is no request is counted as damage and passed over.
"""

import zlib
from calendar import timegm
from collections.abc import Callable, Iterator
from operator import itemgetter
from time import strptime
from typing import Generic, TypeVar

from cdn.logs.damage import Damage
from cdn.logs.files import LogFile
from cdn.logs.request import Request, outcome_of

LONGEST_LINE = 131_072
"""Bytes. CloudFront logs no request with a URL over 8,192 bytes or headers over 20,480 (AWS's guide, "Standard logging
reference"), and may spell a byte with three."""
FIRST_YEAR, LAST_YEAR = 1990, 2200
"""Years of which a log may tell; any other is damage."""
MOST_DIGITS = 15
"""Digits of a size: a petabyte is no answer."""
LONG = 400
"""Bytes of a text that are worth remembering: user agents have fewer, and anybody may send 20 kB of anything."""
REMEMBERED = 100_000
NEEDED = (b"date", b"time", b"cs-uri-stem", b"cs-method", b"sc-status", b"sc-bytes")
"""What every field set has had since 2011."""
RESULT = (b"x-edge-response-result-type", b"x-edge-result-type")
"""The result to the viewer, and what stands for it in logs from before there were both."""
OPTIONAL = (b"x-edge-detailed-result-type", b"time-to-first-byte", b"cs(User-Agent)")
ABSENT = b"-"

Value = TypeVar("Value")
Take = Callable[[Request], None]


class Remembered(dict[bytes, Value], Generic[Value]):
    """What a text means, found out once: a lookup is all that the others cost."""

    def __init__(self, meaning: Callable[[bytes], Value]) -> None:
        super().__init__()
        self._meaning = meaning

    def __missing__(self, text: bytes) -> Value:
        """Find out. Raises what ``meaning`` does."""
        value = self._meaning(text)
        if len(text) <= LONG:
            if len(self) >= REMEMBERED:
                self.clear()
            self[text] = value
        return value


class Columns:
    """Where a log has the columns that a request is made of. ``why`` it is no log that can be read, or ""."""

    def __init__(self, names: list[bytes]) -> None:
        places = {name: place for place, name in enumerate(names)}
        lacking = [name.decode() for name in NEEDED if name not in places]
        self.why = f"#Fields lacks {', '.join(lacking)}" if lacking else ""
        self.names = len(names)
        self.width = -1 if lacking else len(names)
        """Fields of a line that is whole."""
        result = next((name for name in RESULT if name in places), RESULT[0])
        absent = len(names)  # the reader appends a field that says that there is none
        self.pick = itemgetter(*(places.get(name, absent) for name in (*NEEDED, result, *OPTIONAL)))


NO_COLUMNS = Columns([])
NO_COLUMNS.why = "no #Fields line stands before it: this is no standard log (v1)"


class Reader:
    """Reads log files, hands each request to ``take``, and counts lines and damage."""

    def __init__(self, take: Take) -> None:
        self._take = take
        self._midnights = Remembered(_midnight)
        self._times = Remembered(_time)
        self._statuses = Remembered(_status)
        self._sizes = Remembered(_size)
        self._outcomes = Remembered(outcome_of)
        self.damage = Damage()
        self.files = 0
        self.lines = 0

    def read(self, file: LogFile) -> None:
        """Read a file to its end, or as far as it can be read."""
        self.files += 1
        number, columns = 0, NO_COLUMNS
        try:
            for lines in blocks(file.plain()):
                columns = self._block(lines, columns, file.name, number)
                number += len(lines)
        except EOFError:
            self.damage.file(file.name, "the gzip file is cut off; was it copied before it was whole?")
        except zlib.error as error:
            self.damage.file(file.name, f"the gzip file is damaged: {error}")
        except OSError as error:
            self.damage.file(file.name, f"cannot be read: {error}")

    def _block(self, lines: list[bytes], columns: Columns, name: str, number: int) -> Columns:
        """Read lines, of which ``number`` stand before them in the file; return the columns of those that follow."""
        take, width, pick = self._take, columns.width, columns.pick
        for line in lines:
            number += 1
            fields = line.split(b"\t")
            if len(fields) != width:
                columns = self._odd(line, columns, name, number)
                width, pick = columns.width, columns.pick
                continue
            self.lines += 1
            fields.append(ABSENT)
            try:
                request = self._request(pick(fields))
            except ValueError as error:
                self.damage.line(name, number, str(error))
                continue
            take(request)
        return columns

    def _odd(self, line: bytes, columns: Columns, name: str, number: int) -> Columns:
        """Take a line that is no request: a header, nothing, or damaged."""
        if line.startswith(b"#"):
            key, _, names = line.partition(b":")
            return Columns(names.split()) if key == b"#Fields" else columns
        if line:
            self.lines += 1
            fields = line.count(b"\t") + 1
            self.damage.line(name, number, columns.why or f"it has {fields} fields, #Fields names {columns.names}")
        return columns

    def _request(self, columns: tuple[bytes, ...]) -> Request:
        """Return the request of a line's columns. Raises ValueError."""
        date, time, path, method, status, size, result, detail, first_byte, agent = columns
        return Request(
            self._midnights[date] + self._times[time],
            path,
            method,
            self._statuses[status],
            self._outcomes[result],
            detail,
            self._sizes[size],
            first_byte,
            agent,
        )


def blocks(chunks: Iterator[bytes]) -> Iterator[list[bytes]]:
    """Yield the whole lines of each chunk, without their ends. One that is too long is yielded cut."""
    rest = b""
    for chunk in chunks:
        lines = (rest + chunk).split(b"\n")
        rest = lines.pop()[:LONGEST_LINE]
        yield lines
    if rest:
        yield [rest]


def _midnight(date: bytes) -> int:
    try:
        day = strptime(date.decode("ascii"), "%Y-%m-%d")
        if not FIRST_YEAR <= day.tm_year <= LAST_YEAR:
            raise ValueError
        return timegm(day)
    except ValueError:
        raise ValueError(f"the date is {_brief(date)}, not as in 2026-11-21") from None


def _time(time: bytes) -> int:
    hour, minute, second = time[:2], time[3:5], time[6:]
    is_spelt = len(time) == 8 and time[2::3] == b"::" and (hour + minute + second).isdigit()
    if not is_spelt or hour > b"23" or minute > b"59" or second > b"60":
        raise ValueError(f"the time is {_brief(time)}, not as in 15:04:05")
    return int(hour) * 3600 + int(minute) * 60 + int(second)


def _status(status: bytes) -> int:
    if len(status) != 3 or not status.isdigit():
        raise ValueError(f"the status is {_brief(status)}, not as in 200")
    return int(status)


def _size(size: bytes) -> int:
    if not size.isdigit() or len(size) > MOST_DIGITS:
        raise ValueError(f"sc-bytes is {_brief(size)}, not a number of up to {MOST_DIGITS} digits")
    return int(size)


def _brief(text: bytes) -> str:
    return repr(text[:30].decode("utf-8", "replace"))
