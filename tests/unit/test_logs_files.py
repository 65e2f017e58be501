"""Log files: what is read of a folder, and how much of what is cut off, damaged or gone."""

import gzip
import tracemalloc
import zlib
from calendar import timegm
from collections.abc import Iterator
from pathlib import Path

import pytest

from cdn.accesslog import HEAD
from cdn.errors import LogsMissing
from cdn.logs.files import CHUNK, Gunzip, LogFile, on_disk
from cdn.logs.reader import Reader
from cdn.logs.request import Request

ROW = "2026-11-21\t15:04:05\tFRA\t{}\t-\tGET\t-\t/feed/ada\t200" + "\t-" * 24 + "\n"
ROWS = [ROW.format(number) for number in range(1000, 3000)]
LOG = (HEAD + "".join(ROWS)).encode()


def read(*files: LogFile) -> tuple[list[Request], Reader]:
    """Read files."""
    requests: list[Request] = []
    reader = Reader(requests.append)
    for file in files:
        reader.read(file)
    return requests, reader


@pytest.mark.parametrize(
    "packed",
    [LOG, gzip.compress(LOG), gzip.compress(LOG[:5000]) + gzip.compress(LOG[5000:]), gzip.compress(LOG) + b"\0" * 100],
    ids=["plain", "gzip", "two members", "padded"],
)
def test_a_file_is_read_whole_however_it_is_packed(tmp_path: Path, packed: bytes) -> None:
    (tmp_path / "log").write_bytes(packed)
    requests, reader = read(*on_disk(tmp_path / "log"))
    assert [request.size for request in requests] == list(range(1000, 3000))
    assert (reader.files, reader.damage.files, reader.damage.lines) == (1, 0, 0)


@pytest.mark.parametrize("share", [0.0001, 0.3, 0.9, 0.9999])
def test_a_gzip_file_that_is_cut_off_counts_for_what_it_holds(tmp_path: Path, share: float) -> None:
    packed = gzip.compress(LOG)
    (tmp_path / "log.gz").write_bytes(packed[: max(3, int(len(packed) * share))])
    (tmp_path / "next.gz").write_bytes(packed)
    requests, reader = read(*on_disk(tmp_path))
    assert reader.damage.files == 1
    assert reader.damage.first[-1].why == "the gzip file is cut off; was it copied before it was whole?"
    assert reader.damage.first[-1].file.endswith("log.gz")
    found = len(requests) - 2000
    assert found <= 2000
    assert [request.size for request in requests[:found]] == list(range(1000, 1000 + found))
    assert found > 500 or share < 0.9


def test_damaged_gzip_is_counted_and_the_next_file_is_read(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(LOG))
    packed[200:220] = b"\xff" * 20
    (tmp_path / "a.gz").write_bytes(packed)
    (tmp_path / "b.gz").write_bytes(gzip.compress(LOG))
    requests, reader = read(*on_disk(tmp_path))
    assert len(requests) >= 2000
    assert reader.damage.files == 1
    assert "the gzip file is damaged: Error -3" in reader.damage.first[-1].why


def test_a_file_that_cannot_be_read_is_counted_and_named(tmp_path: Path) -> None:
    def fail() -> Iterator[bytes]:
        yield LOG
        raise OSError("the disk is gone")

    requests, reader = read(LogFile("a.log", fail), LogFile("b.log", lambda: iter([LOG])))
    assert len(requests) == 4000
    assert reader.damage.first == [("a.log", 0, "cannot be read: the disk is gone")]


def test_a_folder_is_read_by_name_and_what_is_still_written_is_not(tmp_path: Path) -> None:
    for name in ("2026/b.gz", "2026/a.gz", "c.log", ".d.gz.part"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [Path(file.name).name for file in on_disk(tmp_path)] == ["a.gz", "b.gz", "c.log"]


def test_where_no_logs_are_says_what_to_name(tmp_path: Path) -> None:
    with pytest.raises(LogsMissing, match="holds no file"):
        list(on_disk(tmp_path))
    with pytest.raises(LogsMissing, match=r"does not exist: name a log file, a folder of them, or s3://bucket/prefix"):
        list(on_disk(tmp_path / "nothing"))


def test_gzip_is_unpacked_piece_by_piece() -> None:
    bomb = gzip.compress(bytes(50_000_000))
    tracemalloc.start()
    total = sum(len(piece) for piece in Gunzip().feed(bomb))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert total == 50_000_000
    assert peak < 8 * CHUNK


def test_gzip_without_an_end_is_not_at_its_end() -> None:
    gunzip = Gunzip()
    packed = gzip.compress(LOG)
    assert gunzip.at_end
    list(gunzip.feed(packed[:-9]))
    assert not gunzip.at_end
    list(gunzip.feed(packed[-9:]))
    assert gunzip.at_end
    with pytest.raises(zlib.error):
        list(gunzip.feed(b"rubbish"))


@pytest.mark.parametrize(
    ("name", "hours", "wanted"),
    [
        ("E1.2026-11-21-15.ABCD.gz", (15, 16), True),
        ("logs/E1.2026-11-21-15.ABCD.gz", (16, 17), True),  # a request of 15:59 may be answered after 16:00
        ("E1.2026-11-21-15.ABCD.gz", (14, 15), True),
        ("E1.2026-11-21-15.ABCD.gz", (17, 18), False),
        ("E1.2026-11-21-15.ABCD.gz", (12, 14), False),
        ("E1.2026-11-41-15.ABCD.gz", (12, 14), True),
        ("E1.2026-02-30-15.ABCD.gz", (12, 14), True),
        ("E1.2026-11-21-25.ABCD.gz", (12, 14), True),
        ("access.log", (1, 2), True),
    ],
)
def test_files_of_other_hours_are_not_opened(name: str, hours: tuple[int, int], wanted: bool) -> None:
    since, until = (timegm((2026, 11, 21, hour, 0, 0)) for hour in hours)
    assert LogFile(name, lambda: iter(())).may_hold(since, until) is wanted
