"""The reader of access logs: any set of fields, and damage that is counted and named."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from cdn.accesslog import FIELDS
from cdn.logs.damage import Damage
from cdn.logs.files import LogFile, on_disk
from cdn.logs.popular import Popular
from cdn.logs.reader import LONGEST_LINE, Reader, Remembered, blocks
from cdn.logs.request import Outcome, Request, asked

SAMPLES = Path(__file__).parents[1] / "data" / "cloudfront_logs"
LINE = dict.fromkeys(FIELDS, "-") | {
    "date": "2026-11-21",
    "time": "15:04:05",
    "sc-bytes": "2390",
    "cs-method": "GET",
    "cs-uri-stem": "/feed/ada",
    "sc-status": "200",
    "cs(User-Agent)": "curl/8",
    "x-edge-result-type": "Hit",
    "x-edge-response-result-type": "Hit",
    "x-edge-detailed-result-type": "OriginShieldHit",
    "time-to-first-byte": "0.014",
}
SETS = {
    12: FIELDS[:12],
    15: FIELDS[:15],
    24: FIELDS[:24],
    26: FIELDS[:26],
    33: FIELDS,
    35: (*FIELDS, "x-new", "cs(X-New)"),
}


def text(names: Sequence[str], *lines: dict[str, str]) -> bytes:
    """Return a log with these fields."""
    rows = ["\t".join((line | {"x-new": "1", "cs(X-New)": "2"})[name] for name in names) for line in lines]
    return "\n".join(["#Version: 1.0", f"#Fields: {' '.join(names)}", *rows, ""]).encode()


def read(*chunks: bytes) -> tuple[list[Request], Damage]:
    """Read a file that comes in chunks."""
    requests: list[Request] = []
    reader = Reader(requests.append)
    reader.read(LogFile("a.log", lambda: iter(chunks)))
    assert reader.lines == len(requests) + reader.damage.lines
    return requests, reader.damage


def read_sample(name: str) -> list[Request]:
    """Read a sample, which has no damage."""
    requests: list[Request] = []
    reader = Reader(requests.append)
    for file in on_disk(SAMPLES / name):
        reader.read(file)
    assert (reader.damage.lines, reader.damage.files) == (0, 0)
    return requests


def test_the_example_of_awss_guide_is_read() -> None:
    requests = read_sample("aws_docs_2019_33f.log")
    assert [(request.path, request.status, request.outcome.name) for request in requests] == [
        (b"/index.html", 200, "HIT"),
        (b"/index.html", 200, "HIT"),
        (b"/index.html", 200, "HIT"),
        (b"/favicon.ico", 502, "ERROR"),
        (b"/", 502, "ERROR"),
        (b"/", 502, "ERROR"),
    ]
    assert requests[0].second == 1_575_493_351  # 2019-12-04T21:02:31Z
    assert sum(request.size for request in requests) == 3 * 392 + 3 * 900


def test_a_log_of_2011_does_not_tell_hits() -> None:
    requests = read_sample("imgscalr_2011_12f.log")
    assert len(requests) == 20
    assert {(request.outcome, request.first_byte, request.status) for request in requests} == {
        (Outcome.UNKNOWN, b"-", 200)
    }


@pytest.mark.parametrize("count", SETS)
def test_every_set_of_fields_tells_what_it_has(count: int) -> None:
    ((request,), _) = read(text(SETS[count], LINE))
    assert request.outcome is (Outcome.UNKNOWN if count == 12 else Outcome.HIT)
    assert request.first_byte == (b"-" if count < 33 else b"0.014")
    assert request.detail == (b"-" if count < 33 else b"OriginShieldHit")
    assert request[1:4] == (b"/feed/ada", b"GET", 200)
    assert (request.size, request.agent) == (2390, b"curl/8")


def test_fields_are_found_by_their_names_not_their_places() -> None:
    assert read(text(FIELDS[::-1], LINE)) == read(text(FIELDS, LINE))


def test_the_result_to_the_viewer_counts_not_that_of_the_end() -> None:
    ((request,), _) = read(text(FIELDS, LINE | {"x-edge-result-type": "Error"}))
    assert request.outcome is Outcome.HIT


@pytest.mark.parametrize(
    ("result", "outcome"),
    [
        ("Miss", "MISS"),
        ("RefreshHit", "REFRESH_HIT"),
        ("LimitExceeded", "ERROR"),
        ("Redirect", "OTHER"),
        ("N€w", "OTHER"),
    ],
)
def test_results_are_counted_in_awss_words(result: str, outcome: str) -> None:
    ((request,), _) = read(text(FIELDS, LINE | {"x-edge-response-result-type": result}))
    assert request.outcome is Outcome[outcome]


def test_logs_that_were_put_together_are_read_each_by_its_own_fields() -> None:
    requests, damage = read(text(FIELDS, LINE) + text(FIELDS[:12], LINE) + text(FIELDS, LINE))
    assert [request.outcome.name for request in requests] == ["HIT", "UNKNOWN", "HIT"]
    assert damage == Damage()


@pytest.mark.parametrize("size", [1, 7, 300, 10_000])
def test_where_chunks_end_makes_no_difference(size: int) -> None:
    whole = text(FIELDS, *[LINE | {"sc-bytes": str(number)} for number in range(20)])
    chunks = [whole[start : start + size] for start in range(0, len(whole), size)]
    assert read(*chunks) == read(whole)


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("date", "21.11.2026", "the date is '21.11.2026', not as in 2026-11-21"),
        ("date", "2026-02-30", "the date is '2026-02-30', not as in 2026-11-21"),
        ("time", "15:04", "the time is '15:04', not as in 15:04:05"),
        ("time", "-1:04:05", "the time is '-1:04:05', not as in 15:04:05"),
        ("time", "99:99:99", "the time is '99:99:99', not as in 15:04:05"),  # a day later, in the year 10000
        ("date", "0001-01-01", "the date is '0001-01-01', not as in 2026-11-21"),
        ("sc-bytes", "9" * 400, f"sc-bytes is '{'9' * 30}', not a number of up to 15 digits"),
        ("sc-status", "OK", "the status is 'OK', not as in 200"),
        ("sc-bytes", "many", "sc-bytes is 'many', not a number of up to 15 digits"),
        ("sc-bytes", "12\t13", "it has 34 fields, #Fields names 33"),
    ],
)
def test_a_damaged_line_is_named_and_the_others_count(field: str, value: str, why: str) -> None:
    requests, damage = read(text(FIELDS, LINE, LINE | {field: value}, LINE))
    assert len(requests) == 2
    assert damage.lines == 1
    assert damage.first == [("a.log", 4, why)]


def test_only_the_first_damaged_lines_are_named() -> None:
    _, damage = read(text(FIELDS, *[LINE] * 3) + b"what is this\n" * 1000)
    assert (damage.lines, len(damage.first), damage.first[0].line) == (1000, 10, 6)


def test_what_is_no_standard_log_says_so() -> None:
    _, damage = read(b'{"a": 1}\n\n')
    assert damage.first == [("a.log", 1, "no #Fields line stands before it: this is no standard log (v1)")]
    _, damage = read(b"#Fields: timestamp DistributionId\n1\t2\n")
    assert damage.first[0].why.startswith("#Fields lacks date, time, cs-uri-stem")


def test_a_line_without_end_is_cut_and_what_follows_is_read() -> None:
    endless = [b"x" * 50_000] * 20
    assert max(len(line) for lines in blocks(iter([*endless, b"y\n"])) for line in lines) < LONGEST_LINE + 60_000
    requests, damage = read(text(FIELDS, LINE), *endless, b"\n", text(FIELDS, LINE))
    assert (len(requests), damage.lines) == (2, 1)


def test_a_path_is_what_the_viewer_asked_for() -> None:
    assert asked(b"/tag/caf%25C3%25A9") == "/tag/caf%C3%A9"
    assert asked(b"/feed/%FF") == "/feed/�"


def test_what_is_long_is_not_remembered() -> None:
    lengths: Remembered[int] = Remembered(len)
    assert [lengths[text] for text in (b"short", b"l" * 20_000, b"l" * 20_000)] == [5, 20_000, 20_000]
    assert list(lengths) == [b"short"]
    popular = Popular(lambda path: path[:9].decode(), most=10)
    for path in (b"/feed/ada", b"/feed/ada" + b"?" * 8_000):
        popular.of(path)
    assert [name for name, _ in popular.top(10)] == ["/feed/ada"]
    assert list(popular._by_path) == [b"/feed/ada"]
