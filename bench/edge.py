"""bench edge: the local edge, Varnish and nginx side by side: hits, and crowds at what is cold or must not be kept."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from bench.fronts import Front, fronts, plain_origin
from bench.load import Generator, Load, request
from bench.plain import DELAY_S
from bench.report import Report, Say, machine, middle, percentile, ratio

CONNECTIONS = 32
CROWD = 500
"""Who ask at once for one cold object."""
CLIENTS = 100
"""Who ask at once for one object that must not be kept."""
MANY = 10_000
WORKLOADS = {"one object": 1, "10,000 objects": MANY}
ADDED_MS = 100.0


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured."""

    rounds: int
    seconds: float


QUICK, FULL = Effort(3, 1.0), Effort(5, 1.2)
CROWDS = 3
"""Rounds of crowds, however much is measured: nginx takes ten seconds for each."""


@dataclass(slots=True)
class Rounds:
    """What was measured of one front at one thing, a value a round for each figure."""

    values: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def add(self, **figures: float) -> None:
        """Add a round; an underscore in a figure's name stands for a space."""
        for name, value in figures.items():
            self.values[name.replace("_", " ")].append(value)

    def row(self) -> dict[str, float]:
        """Return the median of each figure."""
        return {name: middle(values) for name, values in self.values.items()}


def run(*, full: bool, say: Say) -> Report:
    """Measure."""
    with plain_origin() as origin, fronts(origin) as standing:
        return _Run(origin, standing, FULL if full else QUICK, say).measure()


class _Run:
    def __init__(self, origin: int, standing: Sequence[Front], effort: Effort, say: Say) -> None:
        self._origin = httpx.Client(base_url=f"http://127.0.0.1:{origin}", trust_env=False, timeout=30)
        self._fronts = standing
        self._effort = effort
        self._say = say
        self._rounds: dict[tuple[str, str], Rounds] = defaultdict(Rounds)
        self._report = Report("edge", machine() | {"origin's own ms": DELAY_S * 1000})

    def measure(self) -> Report:
        """Measure all, the fronts in turn within each round."""
        for what, count in WORKLOADS.items():
            self._hits(what, [request(f"/feed/hot-{number}") for number in range(count)])
        for number in range(CROWDS):
            self._say(f"a crowd at what is cold, and at what is not kept: round {number + 1}")
            for front in self._fronts:
                self._cold(front, f"/feed/cold-{number}-{front.port}")
                self._mine(front, f"/feed/mine-{number}-{front.port}")
        self._tell()
        self._origin.close()
        return self._report

    def _hits(self, what: str, requests: Sequence[bytes]) -> None:
        """Measure the top rate of hits, and how long they take at half of what the slowest can."""
        requests = list(requests) * (CONNECTIONS if len(requests) == 1 else 1)
        for front in self._fronts:
            with Generator(front.port, requests, CONNECTIONS) as generator:
                generator.each_once()
        for number in range(self._effort.rounds):
            self._say(f"hits of {what}: round {number + 1}")
            self._origin.get("/count")
            rates = {front.name: self._top(front, what, requests) for front in self._fronts}
            for front in self._fronts:
                self._latency(front, what, requests, min(rates.values()) / 2)
            assert self._asked() == 0, "what was to be hits reached the origin"

    def _top(self, front: Front, what: str, requests: Sequence[bytes]) -> float:
        before = front.cpu_s()
        with Generator(front.port, requests, CONNECTIONS) as generator:
            load = generator.flat_out(self._effort.seconds)
        us = (front.cpu_s() - before) / len(load.latencies) * 1e6
        self._rounds[front.name, what].add(hits_a_second=load.rate, CPU_µs_a_hit=us)
        return load.rate

    def _latency(self, front: Front, what: str, requests: Sequence[bytes], rate: float) -> None:
        with Generator(front.port, requests, CONNECTIONS) as generator:
            load = generator.at_rate(rate, self._effort.seconds)
        self._rounds[front.name, what].add(at_rate=rate, p50_ms=_ms(load, 0.5), p99_ms=_ms(load, 0.99))

    def _cold(self, front: Front, path: str) -> None:
        load, asked = self._crowd(front, path, CROWD)
        self._rounds[front.name, "cold"].add(
            requests_at_the_origin=asked,
            added_p50_ms=_ms(load, 0.5) - DELAY_S * 1000,
            added_max_ms=_ms(load, 1.0) - DELAY_S * 1000,
        )

    def _mine(self, front: Front, path: str) -> None:
        for what in ("not kept, first", "not kept, again"):
            load, asked = self._crowd(front, path, CLIENTS)
            self._rounds[front.name, what].add(
                requests_at_the_origin=asked,
                added_p50_ms=_ms(load, 0.5) - DELAY_S * 1000,
                added_max_ms=_ms(load, 1.0) - DELAY_S * 1000,
            )

    def _crowd(self, front: Front, path: str, count: int) -> tuple[Load, int]:
        """Let so many ask at once, each once; return what came of it, and how often the origin was asked."""
        with Generator(front.port, [request(path)] * count, count) as generator:
            self._origin.get("/count")
            load = generator.each_once()
        return load, self._asked()

    def _asked(self) -> int:
        return sum(self._origin.get("/count").json().values())

    def _tell(self) -> None:
        names = {what: None for _, what in self._rounds}
        for what in names:
            for front in self._fronts:
                self._report.figures[f"{what}: {front.name}"] = self._rounds[front.name, what].row()
        for what in WORKLOADS:
            self._compare(what)
        for front in self._fronts[:2]:
            cold, again = self._rounds[front.name, "cold"].row(), self._rounds[front.name, "not kept, again"].row()
            self._report.below(f"{front.name}: requests for a cold object", cold["requests at the origin"], 2)
            self._report.below(f"{front.name}: what is not kept, added ms", again["added max ms"], ADDED_MS)

    def _compare(self, what: str) -> None:
        ours = self._rounds[self._fronts[0].name, what].values["hits a second"]
        for other in self._fronts[1:]:
            theirs = self._rounds[other.name, what].values["hits a second"]
            self._report.figures[f"{what}: local edge to {other.name}"] = ratio(ours, theirs)


def _ms(load: Load, share: float) -> float:
    found: Any = percentile(load.latencies, share)
    return float(found) * 1000
