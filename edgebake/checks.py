"""What `edgebake doctor` asks: the distribution, Redis and the system of record, each judged against the settings."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebake.settings import Settings

if TYPE_CHECKING:
    from cdn.doctor import Expected
    from cdn.edge import Edge
    from cdn.finding import Finding
    from feeds.checkup import Checkup

CLOCK_S = 1.0
"""How far a clock may be off before it shows: in posts whose time comes late, and in what the audit measures."""
TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Report:
    """What was looked at, what is wrong with it, and what is neither."""

    looked_at: tuple[str, ...] = ()
    findings: tuple["Finding", ...] = ()
    notes: tuple[str, ...] = ()
    document: dict[str, Any] = field(default_factory=dict)
    """The distribution's JSON, where one was asked for."""

    def __add__(self, other: "Report") -> "Report":
        return Report(
            self.looked_at + other.looked_at,
            self.findings + other.findings,
            self.notes + other.notes,
            self.document or other.document,
        )

    @property
    def errors(self) -> int:
        """How many findings are errors."""
        return sum(finding.severity == "error" for finding in self.findings)

    @property
    def warnings(self) -> int:
        """How many are warnings."""
        return len(self.findings) - self.errors


def expected_of(settings: Settings) -> "Expected":
    """Return what the settings reckon with of an edge."""
    from cdn.doctor import Expected

    freshness = settings.freshness
    return Expected(
        tag_header=settings.tag_header,
        max_ttl=settings.max_ttl,
        life=freshness.ttl + max(freshness.stale_while_revalidate, freshness.stale_if_error),
        origin_timeout=settings.origin_timeout_s,
        tiers=settings.edge_tiers,
        least_tiers=1 if settings.edge == "local" else 2,
    )


def of_document(settings: Settings, document: dict[str, Any]) -> Report:
    """Judge a distribution that was saved, or read. Raises DistributionUnreadable."""
    from cdn.awsjson import parse
    from cdn.doctor import judge, notes

    distribution = parse(document)
    name = f"distribution {distribution.id or '(without an id)'}"
    findings = judge(distribution, expected_of(settings))
    return Report((name,), tuple(findings), tuple(notes(distribution)), document)


def of_file(settings: Settings, file: Path) -> Report:
    """Judge a distribution that a file holds, as one of CloudFront's. Raises DistributionUnreadable."""
    from cdn.awsjson import read

    return of_document(replace(settings, edge="cloudfront"), read(file))


async def of_edge(settings: Settings) -> Report:
    """Judge the edge as it is now; one that does not tell is a finding, too."""
    from cdn.cloudfront import CloudFrontEdge
    from cdn.errors import InvalidationRefused
    from cdn.finding import Finding
    from edgebake.workers import driver

    edge = driver(settings)
    try:
        if isinstance(edge, CloudFrontEdge):
            return of_document(settings, await edge.describe())
        return await _checked(edge)
    except InvalidationRefused as error:
        to_do = "start `edgebake up`, or set EDGEBAKE_EDGE_API_URL" if settings.edge == "local" else "see there"
        why = "nobody knows how it is set, and nothing can be invalidated"
        finding = Finding("edge-unreachable", "error", "the edge", str(error), why, to_do)
        return Report((f"edge {settings.edge}",), (finding,))
    finally:
        await edge.close()


async def _checked(edge: "Edge") -> Report:
    """Judge an edge that has no distribution, by the check of its driver."""
    from cdn.errors import EdgeMisconfigured
    from cdn.finding import Finding

    try:
        await edge.check()
    except EdgeMisconfigured as error:
        why = "what is cached would not be dropped, or too late"
        return Report((f"edge {edge.name}",), (Finding("edge", "error", "the edge", str(error), why, "see there"),))
    return Report((f"edge {edge.name}",))


async def of_redis(settings: Settings) -> Report:
    """Judge the Redis of the settings; one that does not answer is a finding, too."""
    from redis.asyncio import Redis
    from redis.exceptions import RedisError

    from cdn.doctor_redis import judge_redis, read_info, unreachable

    url = settings.redis_url
    redis = Redis.from_url(url.reveal(), socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S, protocol=2)
    try:
        info = await redis.execute_command("INFO", "all")  # type: ignore[no-untyped-call]  # redis-py's own
        begun = time.time()
        seconds, micros = await redis.time()
        trip = time.time() - begun
    except (RedisError, OSError) as error:
        return Report((f"Redis {url}",), (unreachable(str(url), error),))
    finally:
        await redis.aclose()
    told = info if isinstance(info, dict) else read_info(info.decode())
    ahead = int(seconds) + int(micros) / 1e6 - (begun + trip / 2)
    found = (*judge_redis({name: str(value) for name, value in told.items()}), *_clock("Redis", ahead, trip))
    return Report((f"Redis {url}",), found)


async def of_record(settings: Settings) -> Report:
    """Judge the system of record of the settings; one that does not answer is a finding, too."""
    from cdn.finding import Finding
    from feeds.checkup import check_up
    from feeds.errors import RecordUnavailable

    file = settings.sqlite_file
    name = f"database {file if file else settings.database_url}"
    try:
        if file is not None and not file.exists():
            raise RecordUnavailable(f"there is no file '{file}'")
        return Report((name,), tuple(judge_record(await check_up(settings.record_url), settings.edge)))
    except (RecordUnavailable, OSError, OverflowError) as error:  # OverflowError: the port is none
        finding = Finding(
            "database-unreachable",
            "error",
            "the database",
            f"it does not answer: {error}",
            "nothing can be published, and what the edge lacks is answered 503",
            "set EDGEBAKE_DATABASE_URL, start the database, and let this machine reach it",
        )
        return Report((name,), (finding,))


def judge_record(found: "Checkup", edge: str) -> Iterator["Finding"]:
    """Find what is wrong with the system of record."""
    from cdn.finding import Finding

    if found.revision != found.head:
        yield Finding(
            "database-revision",
            "error",
            "the database",
            f"its tables are at revision {found.revision!r}, and this version wants '{found.head}'",
            "processes of this version cannot read them",
            "start one `serve` or `work` of this version: it brings them to the revision",
        )
    if found.kind == "sqlite" and edge == "cloudfront":
        yield Finding(
            "database-sqlite",
            "warning",
            "the database",
            "it is SQLite, behind CloudFront",
            "it is a file of one host: no second baker or worker can stand elsewhere, and its disk is the truth",
            "set EDGEBAKE_DATABASE_URL to a PostgreSQL",
        )
    yield from _clock("the database", found.ahead_s, found.trip_s)


def _clock(whose: str, ahead_s: float, trip_s: float) -> Iterator["Finding"]:
    from cdn.finding import Finding

    if abs(ahead_s) > CLOCK_S + trip_s / 2:
        yield Finding(
            "clock",
            "warning",
            whose,
            f"its clock is {abs(ahead_s):.1f} s {'ahead of' if ahead_s > 0 else 'behind'} this machine's",
            "posts whose time comes appear late or early, and what the audit measures is off",
            "let both keep their clocks by NTP, slewed and not set",
        )
