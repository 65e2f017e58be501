"""`python -m bench`: lists the benches; `python -m bench NAME [--json] [--full]` runs one."""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import (
    bake,
    bulk,
    day,
    edge,
    fanout,
    freshness,
    invalidate,
    items,
    logreport,
    memory,
    rebuild,
    recompute,
    replay,
    stampede,
)
from bench.report import Report, Say

DATA = Path("data")
WIDTH = 120
"""Columns of a table that is written to a file."""


@dataclass(frozen=True, slots=True)
class Bench:
    """A bench: what it measures, and how it is run."""

    measures: str
    run: Callable[[argparse.Namespace, Say], Report]


BENCHES = {
    "bake": Bench(
        "Feeds baked a second by one process, and latency at half of that, against three handlers.",
        lambda wished, say: bake.run(full=wished.full, say=say),
    ),
    "import": Bench(
        "Rows of users, follows and posts into an empty system, until the last is live.",
        lambda wished, say: bulk.run(wished.data, full=wished.full, say=say),
    ),
    "freshness": Bench(
        "Publish to the first fresh answer at the local edge, under read load.",
        lambda wished, say: freshness.run(full=wished.full, say=say),
    ),
    "edge": Bench(
        "Hits a second at the local edge, Varnish and nginx; crowds at what is cold, and at what is not kept.",
        lambda wished, say: edge.run(full=wished.full, say=say),
    ),
    "fanout": Bench(
        "Followers a second until every feed has a post, against Stream-Framework and a pipeline.",
        lambda wished, say: fanout.run(full=wished.full, say=say),
    ),
    "memory": Bench(
        "Bytes that Redis needs for an active user, part by part, of a million.",
        lambda wished, say: memory.run(full=wished.full, say=say),
    ),
    "day": Bench(
        "A day of a social network, against Stream-Framework: writes, how soon they are visible, reads.",
        lambda wished, say: day.run(full=wished.full, say=say),
    ),
    "items": Bench(
        "Items a post, by the followers of its author, where every feed is cached.",
        lambda wished, say: items.run(wished.data, full=wished.full, say=say),
    ),
    "invalidate": Bench(
        "From a change that is accepted to its items sent: when idle, and in a storm of 5,000 changes a second.",
        lambda wished, say: invalidate.run(full=wished.full, say=say),
    ),
    "replay": Bench(
        "Reads and changes through edge locations and a shield, in simulated time: hits, items, and nothing old.",
        lambda wished, say: replay.run(wished.data, full=wished.full, say=say),
    ),
    "rebuild": Bench(
        "First visits of users who come back, without a timeline.",
        lambda wished, say: rebuild.run(full=wished.full, say=say),
    ),
    "recompute": Bench(
        "A full recalculation of a million timelines, from packed inputs in Redis to the last write.",
        lambda wished, say: recompute.run(wished.data, full=wished.full, say=say),
    ),
    "report": Bench(
        "Lines of an access log a second, gzip and plain, and the memory that it takes.",
        lambda wished, say: logreport.run(full=wished.full, say=say),
    ),
    "stampede": Bench(
        "Every feed dropped at once, or shard by shard, while all are read at the edge.",
        lambda wished, say: stampede.run(full=wished.full, say=say),
    ),
}


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(prog="python -m bench", description="Without a name: lists the benches.")
    made.add_argument("name", nargs="?", choices=BENCHES, help="which one to run")
    made.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    made.add_argument("--full", action="store_true", help="the run to quote; without it, a minute or so")
    made.add_argument(
        "--data", type=Path, default=DATA, help="import, items, recompute, replay: folder of the whole data set's files"
    )
    return made


def main() -> None:
    """Run what was asked for. A missed aim is a finding: the status is 0 all the same."""
    wished = parser().parse_args()
    if wished.name is None:
        Console().print(listed())
        return
    say = _silent if wished.json else _on_stderr
    report = BENCHES[wished.name].run(wished, say)
    if wished.json:
        print(report.as_json())
    else:
        report.show(Console(width=None if sys.stdout.isatty() else WIDTH))


def listed() -> Table:
    """Return the table of the benches."""
    table = Table("bench", "measures")
    for name, bench in BENCHES.items():
        table.add_row(name, bench.measures)
    return table


def _on_stderr(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _silent(_: str) -> None:
    """Say nothing."""


if __name__ == "__main__":
    main()
