"""The report for people: its table, its plot over time, its page."""

import io
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from rich.console import Console

from cdn.logs.files import LogFile
from cdn.logs.reader import Reader
from cdn.logs.summary import Summary
from edgebake.errors import CommandError
from edgebake.report.charts import round_up
from edgebake.report.document import document
from edgebake.report.names import feed_of
from edgebake.report.page import page
from edgebake.report.table import bytes_of, show
from edgebake.report.window import Window

HEAD = "#Fields: date time cs-method cs-uri-stem sc-status sc-bytes x-edge-response-result-type time-to-first-byte\n"


def report(*rows: str, feeds: int = 100) -> dict[str, Any]:
    """Return the report of rows: time, path, status, bytes, result, seconds."""
    text = HEAD + "".join("2026-11-21\t{}\tGET\t{}\t{}\t{}\t{}\t{}\n".format(*row.split()) for row in rows)
    summary = Summary(feed_of, feeds)
    reader = Reader(summary.add)
    reader.read(LogFile("a.log", lambda: iter([text.encode()])))
    return document(reader, summary, 20)


DAY = report(
    "08:00:00 /feed/ada 200 1500 Miss 0.199",
    "08:00:01 /feed/ada/feed.json 200 500 Hit 0.014",
    "08:00:02 /feed/ada 200 1500 Hit 0.014",
    "10:30:00 /feed/<b>bob 404 100 Error 0.010",
    "broken /feed/ada 200 1500 Hit 0.014",
)


def printed(made: dict[str, Any]) -> str:
    """Return what a terminal of 112 columns shows."""
    console = Console(file=io.StringIO(), width=112)
    show(console, made)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_table_has_a_row_for_each_feed_and_one_in_sum() -> None:
    lines = [" ".join(line.split()) for line in printed(DAY).splitlines()]
    assert "/feed/ada 3 2 0 1 66.67% 66.67% 0 3.5 kB 14 ms 200 ms" in lines
    assert "/feed/<b>bob 1 0 0 0 0.00% 0.00% 1 100 B 10 ms 10 ms" in lines
    assert "all 4 2 0 1 50.00% 50.00% 1 3.6 kB 14 ms 200 ms" in lines


def test_damage_is_named() -> None:
    assert (
        "damaged: 1 line, 0 files; the first of them:\n  a.log:6: the time is 'broken', not as in 15:04:05"
        in printed(DAY)
    )


def test_the_plot_shows_the_hours_in_which_nothing_was_asked_for_too() -> None:
    rows = [line.rstrip() for line in printed(DAY).splitlines() if line.startswith("2026-11-21 ")]
    assert rows[0].endswith(" 3")
    assert "█" * 32 + "▒" * 16 in rows[0]
    assert rows[-1].endswith(" 1")
    assert rows[-1].count("x") == 16
    assert len(rows) > 10
    assert all(row.endswith(" 0") for row in rows[1:-1])


def test_where_there_were_too_many_feeds_the_report_says_so() -> None:
    made = report(*[f"08:00:00 /feed/user-{number} 200 1 Hit 0.001" for number in range(50)], feeds=10)
    assert "a feed's numbers may lack up to " in printed(made)
    assert made["total"]["requests"] == 50
    assert made["feeds_counted"] == {"kept": 20, "forgotten": 30, "exact": False}


class Tags(HTMLParser):
    """Tags and what they load, and whether each is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.loads += [name for name, _ in attrs if name in ("src", "href", "srcset", "data")]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize(
    "made", [DAY, report(), report("08:00:00 /feed/ada 200 1 - -")], ids=["day", "empty", "untold"]
)
def test_the_page_loads_nothing_and_runs_nothing(made: dict[str, Any]) -> None:
    tags = Tags()
    text = page(made)
    tags.feed(text)
    assert tags.open == []
    assert tags.loads == []
    assert not {"script", "link", "img", "iframe"} & set(tags.seen)
    assert "url(" not in text
    assert tags.seen.count("svg") == (3 if made["series"] else 0)


def test_what_was_asked_for_is_text_on_the_page() -> None:
    assert "/feed/&lt;b&gt;bob" in page(DAY)
    assert "<b>bob" not in page(DAY)


def test_bars_stand_for_all_requests() -> None:
    text = page(DAY)
    assert text.count('class="hits" x=') == len(DAY["series"])
    assert "2026-11-21T08:00:00Z: 3 requests (2 Hit, 1 Miss), p99 200 ms" in text


@pytest.mark.parametrize(("number", "text"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (2.5e15, "2.5 PB")])
def test_bytes_are_said_by_thousands(number: float, text: str) -> None:
    assert bytes_of(number) == text


@pytest.mark.parametrize(("value", "top"), [(0, 1), (1, 1), (1040, 1200), (287, 300), (0.3, 0.3), (99, 100)])
def test_an_axis_ends_at_a_number_with_few_digits(value: float, top: float) -> None:
    assert round_up(value) == pytest.approx(top)


@pytest.mark.parametrize(
    ("since", "until", "why"),
    [
        ("yesterday", None, "--since is 'yesterday': give it as 2026-11-21, or 2026-11-21T15:04, in UTC."),
        ("2026-11-21", "2026-11-21", "--until 2026-11-21 is not after --since 2026-11-21: nothing lies between them."),
    ],
)
def test_a_window_that_cannot_be_says_why(since: str, until: str | None, why: str) -> None:
    with pytest.raises(CommandError) as refused:
        Window.of(since, until)
    assert str(refused.value) == why


def test_a_window_is_of_utc_unless_it_says_otherwise() -> None:
    assert Window.of("2026-11-21", "2026-11-21T01:00").until - Window.of("2026-11-21", None).since == 3600
    assert Window.of("2026-11-21T01:00+01:00", None) == Window.of("2026-11-21", None)


def test_a_number_is_never_cut_however_long_a_feeds_name_is() -> None:
    text = printed(report(f"08:00:00 /{'x' * 200} 200 123456789 Hit 119.000"))
    assert "123.5 MB" in text
    assert text.count("…") == 0


def test_a_line_breaks_where_nothing_was_asked_for_and_one_stretch_is_a_dot() -> None:
    made = report(*[f"08:{minute:02}:00 /feed/ada 200 1 Hit 0.001" for minute in (0, 1, 30)])
    served = page(made).partition("served %")[2].partition("</svg>")[0]
    lines = re.findall(r'class="line0" points="([^"]+)"', served)
    assert [len(set(points.split())) for points in lines] == [2, 1]
