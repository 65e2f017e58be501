"""Records of a CSV or NDJSON file, each with its line. What is broken is refused alone; the rest goes on."""

import csv
from collections.abc import Iterator

import orjson

from publisher.lines import MAX_LINE, Lines, Refusal

Object = tuple[int, dict[str, object]]
"""The line of a JSON object, and its values by name."""

Cells = tuple[int, list[str]]
"""The line on which a record begins, and its cells."""

csv.field_size_limit(MAX_LINE)  # the module's own limit is half of the longest content


def ndjson(lines: Lines) -> Iterator[Object | Refusal]:
    """Read an object a line; empty lines are passed over."""
    while (line := lines.take()) is not None:
        if isinstance(line, Refusal):
            yield line
        elif line.strip():
            yield _object(lines.number, line)


def _object(number: int, line: bytes) -> Object | Refusal:
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return Refusal(number, f"malformed JSON at column {error.colno}: {error.msg}")
    if not isinstance(value, dict):
        return Refusal(number, "must be a JSON object")
    return number, value


def comma_separated(lines: Lines) -> Iterator[Cells | Refusal]:
    """Read records of comma-separated cells (RFC 4180), the header too; empty lines are passed over."""
    first = lines.take()
    if first is not None:  # without the byte order mark that spreadsheets write
        lines.put_back([first if isinstance(first, Refusal) else first.removeprefix(b"\xef\xbb\xbf")])
    while (line := lines.take()) is not None:
        if isinstance(line, Refusal):
            yield line
        elif b'"' in line:
            yield _quoted(lines, line)
        elif line:
            yield _plain(lines.number, line)


def _plain(number: int, line: bytes) -> Cells | Refusal:
    try:
        return number, line.decode().split(",")
    except UnicodeDecodeError as error:
        return Refusal(number, f"is not UTF-8 at byte {error.start + 1}")


def _quoted(lines: Lines, first: bytes) -> Cells | Refusal:
    """Read a record with quotes, over several lines where a quoted cell holds line ends.

    A quote that is never closed would swallow the rest of the file, so then only the line that opened it is refused.
    """
    number = lines.number
    taken: list[bytes | Refusal] = [first]
    text = first
    row = _split(text)
    while row is None:
        line = lines.take() if len(text) <= lines.max_line else None
        if line is not None:
            taken.append(line)
        if line is None or isinstance(line, Refusal):
            row = f"a quote opens here that nothing closes in the next {len(taken) - 1} lines"
        else:
            text += b"\n" + line
            # Inside a quoted cell every quote toggles, so only an odd number can have ended it.
            row = _split(text) if line.count(b'"') % 2 else None
    if isinstance(row, list):
        return number, row
    lines.put_back(taken[1:])
    return Refusal(number, row)


def _split(record: bytes) -> list[str] | str | None:
    """Return the cells, or why they cannot be read, or None where a quote is still open."""
    try:
        (row,) = csv.reader([record.decode()], strict=True)
    except UnicodeDecodeError as error:
        return f"is not UTF-8 at byte {error.start + 1}"
    except csv.Error as error:
        return None if "unexpected end of data" in str(error) else f"broken quotes: {error}"
    return row
