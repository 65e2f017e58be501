"""Misses beside bakes: one pass over the origin's events to know of which time they tell, and one to count them."""

from collections.abc import Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from edgebake.report.account import Account
from edgebake.report.document import moment
from edgebake.report.origin import Origin
from edgebake.report.window import Window

SLACK_S = 2
"""A miss is logged when it was answered, after its bake, in whole seconds: so much the two may lie apart."""
FARTHEST = 10


class Reconciled:
    """An account of a log and the origin's events, in the window of which both tell.

    ``wanted`` is the operator's window: each end that it has is the window's.
    """

    def __init__(self, origin: Origin, wanted: Window) -> None:
        self._told = first, last = origin.span()
        self._origin = origin
        self._wanted = wanted
        self.account = Account(wanted.within(int(first), int(last) + 1 + SLACK_S))

    def settle(self, logged: tuple[int, int] | None) -> dict[str, Any]:
        """Count the events, once the log was read from its first second to its last; return the account."""
        account = self.account
        if logged is not None:
            bounds = account.window
            both = max(bounds.since, logged[0] - SLACK_S), min(bounds.until, logged[1] + 1)
            account.window = self._wanted.within(*both)
        for event in self._origin.events():
            account.told(event)
        damage = self._origin.damage
        return {
            "log": [moment(second) for second in logged or ()],
            "events": [moment(int(second)) for second in self._told],
            "since": moment(account.window.since),
            "until": moment(account.window.until),
            "misses": account.misses,
            "bakes": account.bakes,
            "differences": [line._asdict() for line in account.differences()],
            "misses_outside": account.outside,
            "objects_share": account.objects.share,
            "objects": [{"object": name} | dict(counts) for name, counts in account.farthest(FARTHEST)],
            "damaged": {
                "lines": damage.lines,
                "files": damage.files,
                "first": [item._asdict() for item in damage.first],
            },
        }


def show(console: Console, found: Mapping[str, Any]) -> None:
    """Print an account."""
    console.print(Text(f"misses and bakes from {found['since']} until {found['until']}", "bold"))
    grid = Table.grid(padding=(0, 2))
    grid.add_column(justify="right")
    grid.add_row(f"{found['misses']:,}", "misses in the edge's log")
    for line in found["differences"]:
        grid.add_row(f"{line['bakes']:+,}", line["why"])
    grid.add_row(Text(f"{found['bakes']:,}", "bold"), "bakes at the origin")
    console.print(grid)
    console.print(_objects(found))
    for line in _notes(found):
        console.print(Text(line))


def _objects(found: Mapping[str, Any]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("farthest apart", no_wrap=True, overflow="ellipsis", max_width=60)
    for name in ("misses", "answers", "bakes"):
        table.add_column(name, justify="right")
    for row in found["objects"]:
        table.add_row(Text(row["object"]), *(f"{row[name]:,}" for name in ("misses", "answers", "bakes")))
    return table


def _notes(found: Mapping[str, Any]) -> list[str]:
    lines = []
    if found["since"] >= found["until"]:
        lines.append(
            f"They share no time: the log is of {' to '.join(found['log']) or 'no request'}, the origin's events of "
            f"{' to '.join(found['events'])}."
        )
    elif found["misses_outside"]:
        lines.append(
            f"{found['misses_outside']:,} misses are outside of this time: the origin's log does not tell of them."
        )
    if found["objects_share"] < 1:
        lines.append(f"Objects are a sample, {found['objects_share']:.2%} of them; the sums are of all.")
    if found["damaged"]["lines"] or found["damaged"]["files"]:
        lines.append(
            f"damaged in the origin's log: {found['damaged']['lines']:,} lines, {found['damaged']['files']:,} files"
        )
    return lines
