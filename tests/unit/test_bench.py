"""The benches' frame: what is listed, the shape of a report, and the arithmetic that figures rest on."""

import io
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from rich.console import Console

from bench.__main__ import BENCHES, listed, parser
from bench.load import Generator, LoadError, request
from bench.report import Report, percentile, ratio, rounded


def printed(report: Report) -> str:
    """Return a report's tables as text."""
    out = io.StringIO()
    report.show(Console(file=out, width=120))
    return out.getvalue()


@pytest.fixture
def report() -> Report:
    """A report with a plain figure, two rows of a table, and an aim of each kind."""
    made = Report("bake", {"feeds": 500, "cold": {"a second": 2000.0}, "warm": {"a second": 9000.0}})
    made.at_least("cold to constant", 0.31234, 0.3)
    made.below("p99 in ms", 12.0, 10)
    return made


def test_every_bench_is_listed_with_what_it_measures() -> None:
    out = io.StringIO()
    Console(file=out, width=160).print(listed())
    assert {"bake", "import", "freshness", "fanout", "items", "memory", "day", "rebuild"} <= set(BENCHES)
    assert all(name in out.getvalue() and bench.measures in out.getvalue() for name, bench in BENCHES.items())


def test_the_list_is_what_the_command_prints_without_a_name() -> None:
    done = subprocess.run([sys.executable, "-m", "bench"], capture_output=True, text=True, check=True)
    assert all(name in done.stdout for name in BENCHES)


def test_a_bench_that_there_is_not_is_refused_with_those_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(["baking"])
    assert "freshness" in capsys.readouterr().err


def test_a_report_is_one_json_object_on_one_line(report: Report) -> None:
    assert "\n" not in report.as_json()
    assert json.loads(report.as_json()) == {
        "bench": "bake",
        "figures": {"feeds": 500, "cold": {"a second": 2000.0}, "warm": {"a second": 9000.0}},
        "aims": {
            "cold to constant": {"is": 0.3123, "aim": 0.3, "met": True},
            "p99 in ms": {"is": 12.0, "aim": 10, "met": False},
        },
    }


def test_a_person_sees_every_figure_and_which_aims_were_missed(report: Report) -> None:
    lines = printed(report)
    assert all(word in lines for word in ("feeds", "500", "2,000", "9,000", "0.3123"))
    assert [line.split()[-2] for line in lines.splitlines() if "met" in line or "missed" in line] == ["met", "missed"]


def test_a_table_that_would_be_too_wide_is_turned() -> None:
    figures = {f"figure {number}": number for number in range(20)}
    lines = printed(Report("replay", {"one": figures, "other": figures})).splitlines()
    assert [line.split("│")[2:4] for line in lines if "figure 17" in line] == [["  17 ", "    17 "]]


@pytest.mark.parametrize(("share", "value"), [(0.5, 50), (0.9, 90), (0.99, 99), (1.0, 100)])
def test_a_percentile_is_a_value_that_was_measured(share: float, value: int) -> None:
    assert percentile([float(number) for number in range(100, 0, -1)], share) == value


def test_a_ratio_is_taken_round_by_round() -> None:
    # The second round met a busy machine: both sides were slow in it, and the ratio is what it was.
    assert ratio([30.0, 3.0, 33.0], [10.0, 1.0, 11.0]) == 3.0


def test_numbers_are_rounded_to_what_a_shared_machine_can_tell() -> None:
    assert (rounded(0.123456), rounded(12345.6)) == (0.1235, 12346.0)


@pytest.fixture
def answering() -> Iterator[tuple[int, list[bytes]]]:
    """A server of one connection that answers from a list, an answer to each request."""
    answers: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                while answers and connection.recv(65536):
                    for at in range(0, len(answers[0]), 7):  # in small pieces: heads and bodies are cut anywhere
                        connection.sendall(answers[0][at : at + 7])
                    answers.pop(0)

        thread = threading.Thread(target=answer)
        thread.start()
        yield listener.getsockname()[1], answers
        thread.join()


def test_the_generator_counts_whole_answers_however_they_are_cut(answering: tuple[int, list[bytes]]) -> None:
    port, answers = answering
    body = b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n" + b"x" * 20
    answers += [body] * 3
    with Generator(port, [request(f"/{number}") for number in range(3)], 1) as generator:
        load = generator.each_once()
    assert (len(load.latencies), load.received) == (3, 3 * len(body))


def test_the_generator_refuses_to_measure_errors(answering: tuple[int, list[bytes]]) -> None:
    port, answers = answering
    answers.append(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n")
    with Generator(port, [request("/")], 1) as generator, pytest.raises(LoadError, match="503"):
        generator.each_once()
