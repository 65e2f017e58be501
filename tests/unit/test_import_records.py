"""Lines and records of broken files: what is broken is refused alone."""

import gzip
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from publisher import records
from publisher.lines import Lines, Refusal


def csv_of(data: bytes) -> list[tuple[int, list[str]] | Refusal]:
    """Return the records of a CSV file."""
    return list(records.comma_separated(Lines(io.BytesIO(data))))


def test_records_have_the_line_on_which_they_begin() -> None:
    """Also after one of several lines."""
    assert csv_of(b'a,b\n"1\n2",x\n\ny,"z ""q"""\n') == [(1, ["a", "b"]), (2, ["1\n2", "x"]), (5, ["y", 'z "q"'])]


def test_line_ends_of_windows_and_a_byte_order_mark_are_taken_off() -> None:
    """As spreadsheets write them."""
    assert csv_of(b'\xef\xbb\xbfa,b\r\n1,"2"\r\n') == [(1, ["a", "b"]), (2, ["1", "2"])]


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (b'"never closed,1', "nothing closes"),
        (b'"a"b,1', "broken quotes"),
        (b"caf\xe9,1", "not UTF-8 at byte 4"),
        (b'"caf\xe9",1', "not UTF-8"),
    ],
)
def test_a_broken_line_does_not_take_the_next_with_it(broken: bytes, reason: str) -> None:
    """The lines around it are read."""
    before, refusal, *after = csv_of(b"a,b\n" + broken + b"\nc,d\ne,f\n")
    assert before == (1, ["a", "b"])
    assert isinstance(refusal, Refusal)
    assert (refusal.line, reason in refusal.reason) == (2, True)
    assert after == [(3, ["c", "d"]), (4, ["e", "f"])]


def test_a_quote_that_a_later_quoted_cell_seems_to_close_is_refused_alone() -> None:
    """Lines 2 to 4 look like one record until what follows its quote."""
    found = csv_of(b'a,b\n"open,1\nc,d\n"e","f"\n')
    assert [row.line if isinstance(row, Refusal) else row for row in found] == [
        (1, ["a", "b"]),
        2,
        (3, ["c", "d"]),
        (4, ["e", "f"]),
    ]


def test_a_quote_inside_a_plain_cell_is_a_letter() -> None:
    """RFC 4180 says nothing of it; every reader takes it so."""
    assert csv_of(b'5" disk,b\nc,d\n') == [(1, ['5" disk', "b"]), (2, ["c", "d"])]


def test_a_line_that_is_too_long_is_refused_and_passed_over() -> None:
    """Without holding it in memory."""
    stream = io.BytesIO(b"a,b\n" + b"x" * 1000 + b"\nc,d\n")
    found = list(records.comma_separated(Lines(stream, max_line=100)))
    assert found == [(1, ["a", "b"]), Refusal(2, "the line is over 100 bytes long"), (3, ["c", "d"])]


def test_a_gzip_file_is_known_by_its_bytes_and_may_be_cut_off() -> None:
    """What could be read is read."""
    rows = b"".join(b"%d,%d\n" % (n, n * 7919 % 1000) for n in range(5000))
    packed = gzip.compress(rows)
    assert len(csv_of(packed)) == 5000
    *found, last = csv_of(packed[: len(packed) // 2])
    assert len(found) > 100
    assert isinstance(last, Refusal)
    assert (last.line, "broken from here on" in last.reason) == (len(found) + 1, True)


def test_bytes_read_are_those_of_the_file() -> None:
    """Packed ones, so that a progress bar ends where the file does."""
    packed = gzip.compress(b"a,b\n" * 10_000)
    lines = Lines(io.BytesIO(packed))
    list(records.comma_separated(lines))
    assert (lines.bytes_read, lines.number) == (len(packed), 10_000)


def test_json_lines_are_objects() -> None:
    """Anything else is refused with its line."""
    data = b'{"a":1}\n\n[1]\n{"a":\n{"a":NaN}\n"\xff"\n{"a":2}'
    found = list(records.ndjson(Lines(io.BytesIO(data))))
    refused = [row.line for row in found if isinstance(row, Refusal)]
    assert (found[0], found[-1], refused) == ((1, {"a": 1}), (7, {"a": 2}), [3, 4, 5, 6])


@given(st.lists(st.sampled_from([b'"', b",", b"\n", b"a", b"\r", b"\xff", b"\0"]), max_size=60).map(b"".join))
def test_every_line_of_any_file_is_in_a_record_or_refused(data: bytes) -> None:
    """Nothing hangs, nothing is skipped, lines only go up."""
    found = csv_of(data)
    numbers = [row.line if isinstance(row, Refusal) else row[0] for row in found]
    assert numbers == sorted(set(numbers))
    assert len(numbers) <= data.count(b"\n") + 1
