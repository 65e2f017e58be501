"""Charts as SVG: stacked bars and lines over time. Colours are classes, which the page's style sheet sets."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil, floor, log10
from typing import Any

from markupsafe import Markup, escape

WIDTH, HEIGHT = 960, 240
LEFT, RIGHT, TOP, BOTTOM = 64, 8, 10, 24
TICKS = 6
STEPS_S = (60, 300, 900, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 86_400, 7 * 86_400, 28 * 86_400, 364 * 86_400)
"""Between two times at the axis."""

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Time:
    """The axis of time: from the first second to the last, and how long a stretch is."""

    first: int
    last: int
    every: int

    def x(self, second: float) -> float:
        """Return where a second is."""
        return LEFT + (second - self.first) / (self.last - self.first) * (WIDTH - LEFT - RIGHT)

    def ticks(self) -> Iterator[tuple[float, str]]:
        """Yield where a time is written, and how."""
        span = self.last - self.first
        step = next((step for step in STEPS_S if span <= step * TICKS), STEPS_S[-1] * ceil(span / STEPS_S[-1] / TICKS))
        form = "%H:%M" if span <= 86_400 else "%d %b %H:%M" if step < 86_400 else "%d %b %Y"
        for second in range(-(-self.first // step) * step, self.last + 1, step):
            yield self.x(second), datetime.fromtimestamp(second, UTC).strftime(form)


def time_of(series: Sequence[Row], every: int) -> Time:
    """Return the axis of a series."""
    seconds = [second_of(row) for row in series]
    return Time(seconds[0], seconds[-1] + every, every)


def second_of(row: Row) -> int:
    """Return when a stretch begins."""
    return int(datetime.fromisoformat(row["at"]).timestamp())


def stacked(series: Sequence[Row], time: Time, parts: Sequence[str], said: Callable[[Row], str]) -> Markup:
    """Return bars over time, each a stack of parts; ``said`` is what a bar says when it is pointed at."""
    most = max(sum(row[part] for part in parts) for row in series) or 1
    top = round_up(most)
    marks = [_bar(row, time, parts, top, said(row)) for row in series]
    return _svg(time, [(share * top, f"{share * top:,.0f}") for share in (0, 0.5, 1)], top, marks)


def lines(series: Sequence[Row], time: Time, names: Sequence[str], top: float, form: str) -> Markup:
    """Return a line over time for each name; where there is no value, the line is broken. ``form`` is of the axis."""
    ticks = [(share * top, form.format(share * top)) for share in (0, 0.25, 0.5, 0.75, 1)]
    marks = [mark for place, name in enumerate(names) for mark in _line(series, time, name, place, top)]
    return _svg(time, ticks, top, marks)


def round_up(value: float) -> float:
    """Return the next number with few digits."""
    if value <= 0:
        return 1.0
    unit = 10.0 ** floor(log10(value))
    return next(step * unit for step in (1, 1.2, 1.6, 2, 3, 4, 5, 8, 10) if step * unit >= value)


def _y(value: float, top: float) -> float:
    return HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM)


def _bar(row: Row, time: Time, parts: Sequence[str], top: float, said: str) -> Markup:
    left = time.x(second_of(row))
    wide = max(0.5, time.x(second_of(row) + time.every) - left - 0.4)
    done, stack = 0, Markup("")
    for part in parts:
        low, done = _y(done, top), done + row[part]
        stack += _rectangle.format(part, left, _y(done, top), wide, low - _y(done, top))
    return _group.format(said, stack)


def _line(series: Sequence[Row], time: Time, name: str, place: int, top: float) -> Iterator[Markup]:
    points: list[str] = []
    before = time.first
    for row in series:
        second = second_of(row)
        if points and (row[name] is None or second > before + time.every):
            yield _drawn(points, place)
            points = []
        if row[name] is not None:
            points.append(f"{time.x(second + time.every / 2):.1f},{_y(min(row[name], top), top):.1f}")
        before = second
    if points:
        yield _drawn(points, place)


def _drawn(points: Sequence[str], place: int) -> Markup:
    """Return a line through points; one alone is a dot."""
    return _polyline.format(place, " ".join(points if len(points) > 1 else [*points, *points]))


_rectangle = Markup('<rect class="{}" x="{:.1f}" y="{:.2f}" width="{:.1f}" height="{:.2f}"/>')
_group = Markup("<g><title>{}</title>{}</g>")
_polyline = Markup('<polyline class="line{}" points="{}"/>')


def _svg(time: Time, ticks: Sequence[tuple[float, str]], top: float, marks: Sequence[Markup]) -> Markup:
    grid = Markup("").join(_horizontal(_y(value, top), text) for value, text in ticks)
    grid += Markup("").join(_vertical(x, text) for x, text in time.ticks())
    return Markup('<svg viewBox="0 0 {} {}" role="img">{}{}</svg>').format(WIDTH, HEIGHT, grid, Markup("").join(marks))


def _horizontal(y: float, text: str) -> Markup:
    line = Markup('<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>').format(LEFT, WIDTH - RIGHT, y, y)
    return line + Markup('<text x="{}" y="{:.1f}" text-anchor="end">{}</text>').format(LEFT - 6, y + 4, escape(text))


def _vertical(x: float, text: str) -> Markup:
    anchor = "start" if x < LEFT + 30 else "end" if x > WIDTH - 50 else "middle"
    return Markup('<text x="{:.1f}" y="{}" text-anchor="{}">{}</text>').format(x, HEIGHT - 6, anchor, escape(text))
