"""The access log's files: their names, when they end, what is in them, and a writer that never holds anybody up."""

import gzip
import logging
import re
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

import pytest

from cdn.accesslog import HEAD, Record, line
from cdn.local.logfiles import LogFiles
from cdn.local.logwriter import LogWriter
from tests.unit.test_accesslog import RECORD

HOUR = datetime(2026, 11, 21, 13, tzinfo=UTC).timestamp()


def record(n: int, at: float = HOUR) -> Record:
    return RECORD._replace(at=at, path=f"/feed/{n}")


def names(folder: Path) -> list[str]:
    """Return the names of the files that a reader sees."""
    return sorted(path.name for path in folder.glob("*.gz"))


def texts(folder: Path) -> list[str]:
    """Return what is in these files."""
    return sorted(gzip.decompress(path.read_bytes()).decode() for path in folder.glob("*.gz"))


def test_a_file_is_named_by_distribution_hour_and_an_id_and_begins_with_the_fields(tmp_path: Path) -> None:
    files = LogFiles(tmp_path / "logs", "LOCALEDGE")
    files.write([record(1), record(2)])
    files.close()
    (name,) = names(tmp_path / "logs")
    assert re.fullmatch(r"LOCALEDGE\.2026-11-21-13\.[A-Z0-9]{11}\.gz", name)
    assert texts(tmp_path / "logs") == [HEAD + line(record(1)) + line(record(2))]


def test_a_file_is_hidden_until_it_is_whole(tmp_path: Path) -> None:
    files = LogFiles(tmp_path, "LOCALEDGE")
    files.write([record(1)])
    assert names(tmp_path) == []
    files.close()
    assert len(list(tmp_path.iterdir())) == 1


def test_a_file_ends_with_its_hour(tmp_path: Path) -> None:
    files = LogFiles(tmp_path, "LOCALEDGE")
    files.write([record(1), record(2, HOUR + 3_599.9), record(3, HOUR + 3_600)])
    files.close()
    assert [name.split(".")[1] for name in names(tmp_path)] == ["2026-11-21-13", "2026-11-21-14"]


def test_a_file_ends_when_it_is_old_or_large(tmp_path: Path) -> None:
    now = 0.0
    files = LogFiles(tmp_path, "LOCALEDGE", max_bytes=4_000, max_s=60.0, clock=lambda: now)
    files.write([record(1)])
    now = 59.9
    files.rotate()
    assert names(tmp_path) == []
    now = 60.0
    files.rotate()
    assert len(names(tmp_path)) == 1
    files.write(record(n) for n in range(20))
    assert len(names(tmp_path)) == 2


def test_no_requests_are_no_file(tmp_path: Path) -> None:
    files = LogFiles(tmp_path / "logs", "LOCALEDGE")
    files.write([])
    files.close()
    assert not (tmp_path / "logs").exists()


def test_the_writer_writes_in_order_what_it_was_given_before_it_was_closed(tmp_path: Path) -> None:
    writer = LogWriter(LogFiles(tmp_path, "LOCALEDGE"), pause_s=3_600)
    writer.start()
    for n in range(1_234):
        writer.add(record(n))
    writer.close()
    assert texts(tmp_path) == [HEAD + "".join(line(record(n)) for n in range(1_234))]
    assert writer.lost == 0


class SlowDisk(LogFiles):
    """Files on a disk that hangs until a test lets go."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "LOCALEDGE")
        self.asked, self.released = Event(), Event()

    def write(self, records: object) -> None:
        self.asked.set()
        self.released.wait(10)
        super().write(records)  # type: ignore[arg-type]  # passed on as it came


def test_a_disk_that_hangs_costs_lines_and_not_time(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    disk = SlowDisk(tmp_path)
    writer = LogWriter(disk, pause_s=0.0, max_waiting=10)
    writer.start()
    writer.add(record(0))
    assert disk.asked.wait(10)
    for n in range(1, 14):
        writer.add(record(n))  # 10 wait, and 3 find no room
    disk.released.set()
    writer.close()
    assert writer.lost == 3
    assert texts(tmp_path) == [HEAD + "".join(line(record(n)) for n in range(11))]
    assert "3 requests lost (3 in all): more than 10 waited for the disk" in caplog.text


def test_a_folder_that_cannot_be_written_is_told_and_serving_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    (tmp_path / "logs").write_text("a file where the folder should be")
    writer = LogWriter(LogFiles(tmp_path / "logs", "LOCALEDGE"))
    writer.start()
    writer.add(record(1))
    writer.close()
    assert writer.lost == 1
    assert "let Edgebake write there" in caplog.text
