"""Lines of an access log whose totals are known, written by the local edge's writer: for the bench and for tests."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from math import ceil
from pathlib import Path
from random import Random

from cdn.accesslog import Record, ResultType
from cdn.local.logfiles import LogFiles

BEGIN_S = 1_795_132_800
"""2026-11-20T00:00:00Z"""
HOURS = 24
AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36"
RESULTS = {
    ResultType.HIT: 0.97,
    ResultType.REFRESH_HIT: 0.012,
    ResultType.MISS: 0.015,
    ResultType.ERROR: 0.003,
}
ENDINGS = ("", "", "", "/feed.json", "/feed.atom")
PIECE = 10_000


@dataclass(slots=True)
class Known:
    """What a log holds, counted as it was drawn."""

    results: Counter[str] = field(default_factory=Counter)
    feeds: Counter[str] = field(default_factory=Counter)
    misses: Counter[str] = field(default_factory=Counter)
    bytes: int = 0
    milliseconds: Counter[int] = field(default_factory=Counter)

    def add(self, feed: str, record: Record) -> None:
        """Count a record of a feed."""
        self.results[record.response_result] += 1
        self.feeds[feed] += 1
        self.misses[feed] += record.response_result == ResultType.MISS
        self.bytes += record.sc_bytes
        self.milliseconds[round(record.first_byte_s * 1000)] += 1

    def quantile(self, share: float) -> int:
        """Return the milliseconds to the first byte that ``share`` of the requests did not exceed."""
        left = ceil(self.milliseconds.total() * share)
        for ms in sorted(self.milliseconds):
            left -= self.milliseconds[ms]
            if left <= 0:
                return ms
        raise ValueError("nothing was drawn")

    def top(self, count: int) -> list[tuple[str, int]]:
        """Return the feeds with most requests, and how many."""
        return sorted(self.feeds.items(), key=lambda item: (-item[1], item[0]))[:count]


def drawn(count: int, feeds: int, known: Known, seed: int = 1) -> Iterator[Record]:
    """Yield records of a day in the order of their time; a few feeds are asked for most (Zipf, about 1.2)."""
    random = Random(seed)
    results, weights = list(RESULTS), list(RESULTS.values())
    for number in range(count):
        feed = f"user-{min(int(random.paretovariate(0.8)), feeds)}"
        result = random.choices(results, weights)[0]
        record = _record(random, BEGIN_S + number * HOURS * 3600 / count, feed, result)
        known.add(feed, record)
        yield record


def write(folder: Path, count: int, feeds: int, seed: int = 1) -> Known:
    """Write a log as the local edge does, a gzip file an hour; return what it holds."""
    known = Known()
    files = LogFiles(folder, "EBENCH", max_s=3600)
    records = drawn(count, feeds, known, seed)
    while piece := list(islice(records, PIECE)):
        files.write(piece)
    files.close()
    return known


def _record(random: Random, at: float, feed: str, result: ResultType) -> Record:
    first_byte_s = round(random.lognormvariate(-3.0 if result is ResultType.MISS else -5.5, 0.8), 3)
    return Record(
        at=at,
        location="FRA56-P4",
        sc_bytes=random.randrange(400, 40_000),
        ip=f"192.0.2.{random.randrange(256)}",
        port=random.randrange(1024, 65_536),
        method="GET",
        host="d111111abcdef8.cloudfront.net",
        path=f"/feed/{feed}{random.choice(ENDINGS)}",
        status=404 if result is ResultType.ERROR else 200,
        result=result,
        response_result=result,
        detailed=result,
        request_id=f"{random.getrandbits(320):054x}==",
        host_header="feeds.example.com",
        cs_bytes=random.randrange(100, 400),
        taken_s=first_byte_s,
        first_byte_s=first_byte_s,
        protocol="https",
        protocol_version="HTTP/2.0",
        user_agent=AGENT,
        content_type="text/html; charset=utf-8",
    )
