"""bench import: rows of users, follows and posts into an empty system, until the last change is live."""

import csv
import gzip
import sqlite3
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.report import Report, Say, machine, rounded
from bench.running import EDGEBAKE, Running, measured, up
from edgebake.beginning import DEMO, DEMO_FILES

FOLLOWS = "slashdot0902_directed.tsv.gz"
STORIES = "hn_frontpage_stories.csv.gz"
MAKE = Path(__file__).parents[1] / "scripts" / "make_demo_data.py"
AIM_S = 30.0
LIVE_S = 300.0
CHUNK = 5000

Files = Mapping[str, Path]


def run(data: Path, *, full: bool, say: Say) -> Report:
    """Measure."""
    if full and (absent := [name for name in (FOLLOWS, STORIES) if not (data / name).exists()]):
        say(f"{data} has no {' and no '.join(absent)} (--data names the folder): the demo's slice it is")
        full = False
    if not full:
        return _measure({kind: DEMO / name for kind, name in DEMO_FILES}, "the demo's slice", say)
    with TemporaryDirectory(prefix="edgebake-bench-") as folder:
        say("joining the two sources")
        measured([sys.executable, str(MAKE), str(data / FOLLOWS), str(data / STORIES), "--whole", folder])
        return _measure({kind: Path(folder) / f"{kind}.csv" for kind, _ in DEMO_FILES}, "the whole data set", say)


def _measure(files: Files, name: str, say: Say) -> Report:
    counts = {kind: sum(1 for _ in rows(file)) for kind, file in files.items()}
    report = Report("import", machine() | {"data": name, **counts})
    say(f"importing {name}: {sum(counts.values()):,} rows")
    with up() as running:
        running.until_live(LIVE_S)  # the site's own change, made at start
        committed, live, importer_mb = _import(running, files)
        peaks = {"import": importer_mb} | running.peak_mb()
    bare = _bare(files)
    seconds = {kind: rounded(took) for kind, took in committed.items()}
    report.figures |= {f"{kind} committed, s": took for kind, took in seconds.items()}
    report.figures["all committed, s"] = rounded(sum(committed.values()))
    report.figures["all live, s"] = rounded(live)
    report.figures["rows a second to live"] = rounded(sum(counts.values()) / live)
    report.figures["bare inserts into SQLite, s"] = rounded(bare)
    report.figures["live to bare inserts"] = rounded(live / bare)
    report.figures |= {process: {"peak MB": rounded(peak)} for process, peak in peaks.items()}
    report.below(f"seconds to live, {name}", live, AIM_S)
    return report


def _import(running: Running, files: Files) -> tuple[dict[str, float], float, float]:
    """Import; return the seconds of each file, the seconds to live of all, and the importer's memory."""
    committed: dict[str, float] = {}
    most = 0.0
    begun = time.perf_counter()
    for kind, file in files.items():
        command = [*EDGEBAKE, "--data-dir", str(running.folder), "import", kind, str(file)]
        committed[kind], used = measured(command)
        most = max(most, used)
    running.until_live(LIVE_S)
    return committed, time.perf_counter() - begun, most


def rows(file: Path) -> Iterator[list[str]]:
    """Yield the rows of a CSV file below its header."""
    opened = gzip.open if file.suffix == ".gz" else open
    with opened(file, "rt", encoding="utf-8", newline="") as lines:
        found = csv.reader(lines)
        next(found)
        yield from found


def _bare(files: Files) -> float:
    """Return the seconds that the same rows take into plain tables: a transaction a chunk, no checks, no changes."""
    begun = time.perf_counter()
    with TemporaryDirectory(prefix="edgebake-bench-") as folder, closing(sqlite3.connect(f"{folder}/bare.db")) as bare:
        bare.execute("PRAGMA journal_mode = WAL")
        bare.execute("PRAGMA synchronous = FULL")
        bare.execute("CREATE TABLE users (id TEXT PRIMARY KEY, name TEXT)")
        bare.execute("CREATE TABLE follows (user TEXT, author TEXT, PRIMARY KEY (user, author)) WITHOUT ROWID")
        bare.execute("CREATE INDEX followers ON follows (author, user)")
        bare.execute(
            "CREATE TABLE posts (id TEXT PRIMARY KEY, author TEXT, title TEXT, url TEXT, published TEXT, "
            "likes INTEGER, comments INTEGER)"
        )
        bare.execute("CREATE INDEX newest ON posts (author, published)")
        for kind, file in files.items():
            _insert(bare, kind, rows(file))
    return time.perf_counter() - begun


def _insert(bare: sqlite3.Connection, kind: str, found: Iterator[list[str]]) -> None:
    while chunk := list(islice(found, CHUNK)):
        holes = ", ".join("?" * len(chunk[0]))
        with bare:
            bare.executemany(f"INSERT INTO {kind} VALUES ({holes})", chunk)  # noqa: S608 - our own three names
