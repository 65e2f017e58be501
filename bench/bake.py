"""bench bake: what one baker process bakes a second, against what a web framework would do with the same Redis."""

import asyncio
import random
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import fmean

from bench.load import Generator, Load, request
from bench.report import Report, Say, machine, middle, percentile, ratio, rounded
from bench.server import Server, serving
from bench.world import World, populated, read, valkey, write_documents

CONNECTIONS = 64
FEW = 4
MEMORY_BYTES = 512_000_000
"""Of the warm baker: enough for every artifact of the bench."""
SEED = 7
"""The order in which feeds are asked for is drawn once."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured."""

    feeds: int
    rounds: int
    seconds: float
    steady_seconds: float


QUICK = Effort(feeds=400, rounds=7, seconds=0.2, steady_seconds=3.0)
FULL = Effort(feeds=2000, rounds=15, seconds=1.5, steady_seconds=15.0)


@dataclass(slots=True)
class Contender:
    """One thing that is measured: a server, asked for these paths."""

    server: Server
    requests: Sequence[bytes]
    rates: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)
    generator_us: list[float] = field(default_factory=list)
    answer_bytes: float = 0.0

    def run(self, seconds: float, bakes: float | None) -> None:
        """Measure one round. ``bakes``: how many each answer must have cost, for a round that proves something."""
        with Generator(self.server.port, self.requests, CONNECTIONS) as generator:
            before = self.server.used()
            load = generator.flat_out(seconds)
            used = self.server.used().since(before)
        answers = len(load.latencies)
        if bakes is not None:
            assert used.bakes == bakes * answers, f"{used.bakes:.0f} bakes for {answers} answers"
            assert not used.late, f"{used.late:.0f} answers left late"
        self.rates.append(load.rate)
        self.cpu_us.append(used.cpu_s / answers * 1e6)
        self.generator_us.append(load.cpu_s / answers * 1e6)
        self.answer_bytes = load.answer_bytes

    def row(self) -> dict[str, float]:
        """Return what came of the rounds."""
        return {
            "a second": middle(self.rates),
            "lowest": rounded(min(self.rates)),
            "highest": rounded(max(self.rates)),
            "CPU µs": middle(self.cpu_us),
            "bytes": round(self.answer_bytes),
        }


ENCODINGS = {"gzip": "gzip", "": "identity"}
COLD_HTML, COLD_JSON, WARM_JSON = "cold HTML", "cold JSON", "warm JSON"
ONE_MGET, ONE_BY_ONE, CONSTANT = "(a) one MGET, Jinja2", "(b) one by one, Jinja2", "(c) constant bytes"
AIMS = (
    (COLD_HTML, ONE_MGET, 3.0),
    (COLD_HTML, ONE_BY_ONE, 8.0),
    (COLD_JSON, CONSTANT, 0.3),
    (WARM_JSON, CONSTANT, 0.6),
)
STEADY = (f"{COLD_HTML}, gzip", f"{COLD_JSON}, gzip")
BELOW_MS = 10.0
ENDING = {"HTML": "", "JSON": "/feed.json"}


def run(*, full: bool, say: Say) -> Report:
    """Measure."""
    effort = FULL if full else QUICK
    with valkey() as settings, ExitStack() as stack:
        say(f"importing the demo, and baking {effort.feeds} feeds for the first time")
        world = asyncio.run(populated(settings, effort.feeds))
        cold = stack.enter_context(serving("baker", memory=0, **world.options))
        report = Report("bake", machine() | {"feeds": len(world.users), "shards": world.shards})
        report.figures["first reads a second, nothing in Redis"] = rounded(_first_reads(world, cold).rate)
        report.figures["posts a page"] = rounded(asyncio.run(write_documents(world, cold.port)))
        contenders = _contenders(world, cold, stack)
        say(f"{effort.rounds} rounds of {effort.seconds:g} s of each of {len(contenders)} contenders")
        _rounds(contenders, effort)
        say("a constant rate, half of the highest")
        steady = {name: _steady(contenders[name], effort) for name in STEADY}
    _compose(report, contenders, steady)
    return report


def _first_reads(world: World, cold: Server) -> Load:
    """Read every feed once: timelines are rebuilt, copies written. By few at a time, or some would be shed."""
    with Generator(cold.port, _requests(world, "JSON", ""), FEW) as generator:
        return generator.each_once()


def _requests(world: World, form: str, encoding: str) -> list[bytes]:
    users = list(world.users)
    random.Random(SEED).shuffle(users)
    return [request(f"/feed/{user}{ENDING[form]}", encoding) for user in users]


def _contenders(world: World, cold: Server, stack: ExitStack) -> dict[str, Contender]:
    warm = stack.enter_context(serving("baker", memory=MEMORY_BYTES, **world.options))
    users = list(world.users)
    mget = stack.enter_context(serving("one MGET", users=users, **world.options))
    single = stack.enter_context(serving("one by one", users=users, **world.options))
    sizes = {name: _mean_size(cold, users[::8], encoding) for encoding, name in ENCODINGS.items()}
    constant = stack.enter_context(serving("constant", sizes=sizes, **world.options))
    contenders: dict[str, Contender] = {}
    for encoding, name in ENCODINGS.items():  # what is compared stands side by side, and so meets the same minute
        contenders[f"{ONE_MGET}, {name}"] = Contender(mget, _requests(world, "HTML", encoding))
        contenders[f"{COLD_HTML}, {name}"] = Contender(cold, _requests(world, "HTML", encoding))
        contenders[f"{ONE_BY_ONE}, {name}"] = Contender(single, _requests(world, "HTML", encoding))
        contenders[f"{COLD_JSON}, {name}"] = Contender(cold, _requests(world, "JSON", encoding))
        contenders[f"{CONSTANT}, {name}"] = Contender(constant, [request(f"/{name}")] * CONNECTIONS)
        contenders[f"{WARM_JSON}, {name}"] = Contender(warm, _requests(world, "JSON", encoding))
    return contenders


def _mean_size(cold: Server, users: Sequence[str], encoding: str) -> int:
    return round(fmean(len(read(cold.port, f"/feed/{user}/feed.json", encoding or "identity")) for user in users))


def _rounds(contenders: Mapping[str, Contender], effort: Effort) -> None:
    """Measure round by round, each contender in each: what the machine does otherwise meets all of them alike."""
    for contender in contenders.values():
        with Generator(contender.server.port, contender.requests, CONNECTIONS) as generator:
            generator.each_once()
    for _ in range(effort.rounds):
        for name, contender in contenders.items():
            contender.run(effort.seconds, {"cold": 1, "warm": 0}.get(name[:4]))


def _steady(contender: Contender, effort: Effort) -> dict[str, float]:
    """Return latencies at half of the top rate: medians over three runs."""
    rate = middle(contender.rates) / 2
    runs: list[Load] = []
    for _ in range(3):
        with Generator(contender.server.port, contender.requests, 2 * CONNECTIONS) as generator:
            runs.append(generator.at_rate(rate, effort.steady_seconds / 3))
    return {
        "requests a second": rounded(rate),
        "p50 ms": middle(percentile(load.latencies, 0.5) * 1000 for load in runs),
        "p99 ms": middle(percentile(load.latencies, 0.99) * 1000 for load in runs),
        "sent late p99 ms": middle(percentile(load.late, 0.99) * 1000 for load in runs),
    }


def _compose(report: Report, contenders: Mapping[str, Contender], steady: Mapping[str, dict[str, float]]) -> None:
    report.figures["connections"] = CONNECTIONS
    report.figures["load generator CPU µs"] = middle(us for one in contenders.values() for us in one.generator_us)
    report.figures |= {name: contender.row() for name, contender in contenders.items()}
    report.figures |= {f"{name}, at half": row for name, row in steady.items()}
    _compare(report, contenders)
    for name, row in steady.items():
        report.below(f"p99 of {name}, in ms", row["p99 ms"], BELOW_MS)


def _compare(report: Report, contenders: Mapping[str, Contender]) -> None:
    """Note the ratios, each between neighbours in the same rounds: of rates, and of the server's CPU a request."""
    for encoding in ENCODINGS.values():
        for ours, theirs, aim in AIMS:
            mine, other = contenders[f"{ours}, {encoding}"], contenders[f"{theirs}, {encoding}"]
            name = f"{ours} to {theirs}, {encoding}"
            report.at_least(name, ratio(mine.rates, other.rates), aim)
            report.figures[f"{name}, by CPU"] = ratio(other.cpu_us, mine.cpu_us)
