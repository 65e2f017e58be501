"""What a bench reports: figures, and aims with whether they are met. A table for people, one object for programs."""

import json
import os
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

WIDE = 14
"""Columns of a table at the most: with more, what would be columns are rows."""


@dataclass(frozen=True, slots=True)
class Aim:
    """A number that is aimed at: ``least`` means at least, ``most`` means less than."""

    measured: float
    aim: float
    sense: Literal["least", "most"]

    @property
    def met(self) -> bool:
        """Tell whether the aim is met. A missed one is a finding, not a failure."""
        return self.measured >= self.aim if self.sense == "least" else self.measured < self.aim


@dataclass(slots=True)
class Report:
    """What came of a bench. ``figures`` may nest once: a name, then numbers by name."""

    bench: str
    figures: dict[str, Any] = field(default_factory=dict)
    aims: dict[str, Aim] = field(default_factory=dict)

    def at_least(self, name: str, measured: float, aim: float) -> None:
        """Note an aim that is a lower bound."""
        self.aims[name] = Aim(rounded(measured), aim, "least")

    def below(self, name: str, measured: float, aim: float) -> None:
        """Note an aim that is an upper bound."""
        self.aims[name] = Aim(rounded(measured), aim, "most")

    def as_json(self) -> str:
        """Return the report as one JSON object on one line."""
        aims = {name: {"is": aim.measured, "aim": aim.aim, "met": aim.met} for name, aim in self.aims.items()}
        return json.dumps({"bench": self.bench, "figures": self.figures, "aims": aims}, ensure_ascii=False)

    def show(self, console: Console) -> None:
        """Print the report as tables: figures that nest alike share one."""
        plain = {name: value for name, value in self.figures.items() if not isinstance(value, Mapping)}
        _show_plain(console, self.bench, plain)
        nested = {name: value for name, value in self.figures.items() if isinstance(value, Mapping)}
        for columns in dict.fromkeys(tuple(value) for value in nested.values()):
            rows = {name: value for name, value in nested.items() if tuple(value) == columns}
            if len(columns) <= WIDE:
                _show_nested(console, columns, rows)
            else:
                _show_nested(console, tuple(rows), _turned(rows, columns))
        if self.aims:
            self._show_aims(console)

    def _show_aims(self, console: Console) -> None:
        table = Table("aim", title="aims", title_justify="left")
        for name in ("is", "wanted", ""):
            table.add_column(name, justify="right")
        for name, aim in self.aims.items():
            sign = "≥" if aim.sense == "least" else "<"
            table.add_row(name, _text(aim.measured), f"{sign} {_text(aim.aim)}", "met" if aim.met else "missed")
        console.print(table)


def rounded(number: float) -> float:
    """Return a number to four digits or so: what is measured on a shared machine has no more."""
    return float(f"{number:.4g}") if abs(number) < 10_000 else float(round(number))


def middle(values: Iterable[float]) -> float:
    """Return the median over rounds, rounded."""
    return rounded(median(values))


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Return the median over rounds of ours to theirs, each pair measured side by side."""
    return middle(mine / other for mine, other in zip(ours, theirs, strict=True))


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that ``share`` of the values do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * round(share * 1000) // 1000) - 1)]


def machine() -> dict[str, Any]:
    """Return what a reader has to know of the machine."""
    return {
        "cores": os.cpu_count(),
        "load at start": rounded(os.getloadavg()[0]),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def _show_plain(console: Console, title: str, figures: Mapping[str, Any]) -> None:
    table = Table("figure", title=f"bench {title}", title_justify="left")
    table.add_column("", justify="right")
    for name, value in figures.items():
        table.add_row(name, _text(value))
    console.print(table)


def _show_nested(console: Console, columns: Sequence[str], rows: Mapping[str, Mapping[str, Any]]) -> None:
    table = Table("")
    for column in columns:
        table.add_column(column, justify="right")
    for name, row in rows.items():
        table.add_row(name, *(_text(row[column]) for column in columns))
    console.print(table)


def _turned(rows: Mapping[str, Mapping[str, Any]], columns: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
    return {column: {name: row[column] for name, row in rows.items()} for column in columns}


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.4g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


Say = Callable[[str], None]
"""Tells a person what is being done; silent under ``--json``."""
