"""Settings: one frozen, typed table. ``edgebake.sources`` fills it and checks it, once, at start."""

# ruff: noqa: RUF009 - ``setting`` declares a row of the table, it computes nothing

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from urllib.parse import urlsplit

from edgebake.secret import Secret, SecretUrl

if TYPE_CHECKING:
    from baker.freshness import Freshness
    from feeds.ranking import Weights

MARGIN_S = 60
"""Seconds after which nobody still works with an answer that edges and memories have forgotten."""

Check = Callable[[Any], str | None]
Value = TypeVar("Value")


def setting(default: Value, meaning: str, check: Check | None = None) -> Value:
    """Declare a row of the table."""
    declared: Value = field(default=default, metadata={"help": meaning, "check": check})
    return declared


def at_least(low: float, unit: str = "", otherwise: str = "") -> Check:
    """Check a number against its lower bound; ``otherwise`` says what a smaller one would do."""
    reason = f"it must be at least {low:g}{' ' + unit if unit else ''}{', or ' + otherwise if otherwise else ''}."
    return lambda value: reason if value is not None and value < low else None


def between(low: float, high: float, why: str = "") -> Check:
    """Check a number against both bounds; ``why`` says where they come from."""
    reason = f"it must be {low:g} to {high:g}{': ' + why if why else ''}."
    return lambda value: None if value is None or low <= value <= high else reason


def matches(pattern: str, wanted: str) -> Check:
    """Check a text; an empty one means that it is not set."""

    def check(value: str | Secret) -> str | None:
        text = value.reveal() if isinstance(value, Secret) else value
        return None if not text or re.fullmatch(pattern, text) else f"it must be {wanted}."

    return check


def each_matches(pattern: str, wanted: str) -> Check:
    """Check each text of several."""
    one = matches(pattern, wanted)
    return lambda texts: next((f"{text!r}: {reason}" for text in texts if (reason := one(text))), None)


def names_a_server(check: Check) -> Check:
    """Check a URL, its host and port included. The reason quotes nothing: there may be a password in it."""

    def both(value: str | Secret) -> str | None:
        try:
            urlsplit(value.reveal() if isinstance(value, Secret) else value).port  # noqa: B018 - for what it raises
        except ValueError:
            return "its host is no address, or its port not 0 to 65535."
        return check(value)

    return both


_weight = between(0, 100, "0 leaves it out")
_port = between(0, 65535, "0 takes a free port")
_web_url = names_a_server(
    matches(r"https?://[^\s/?#]+", "an http:// or https:// URL without a path or a slash at its end")
)
_token = matches(r"[!-~]+", "visible ASCII without spaces")
_header = matches(r"[A-Za-z0-9-]+", "the name of a header: letters, digits and hyphens")
_vcl_text = matches(r"[A-Za-z0-9_.~+/=-]+", "letters, digits and _.~+/=-, for it stands in a VCL")
_value = matches(r"[ -~]*", "printable ASCII, for it becomes a header")


@dataclass(frozen=True, slots=True)
class Settings:
    """What can be set, with defaults and meaning: the one table that the CLI, the checks and the docs come from."""

    data_dir: Path = setting(Path("edgebake-data"), "Folder of the embedded Valkey, the SQLite file and up.json.")
    redis_url: SecretUrl = setting(
        SecretUrl(""),
        "Redis 7 or Valkey 8 and later. Empty: `up` embeds one; `serve` and `work` want it set.",
        names_a_server(matches(r"(rediss?|unix)://.+", "a redis://, rediss:// or unix:// URL")),
    )
    database_url: SecretUrl = setting(
        SecretUrl(""),
        "The system of record: postgresql://user:password@host/name. Empty: SQLite in the data folder, one host only.",
        names_a_server(
            matches(r"(sqlite|postgres|postgresql)(\+[a-z0-9]+)?://.+", "a sqlite:/// or postgresql:// URL")
        ),
    )
    api_token: Secret = setting(
        Secret(""),
        "The token that writes to the API want as `Authorization: Bearer`. `up` makes one; `serve` wants it set.",
        _token,
    )
    api_url: str = setting(
        "", "Where the client commands find the API. Empty: as up.json in the data folder says.", _web_url
    )
    public_url: str = setting("", "What absolute URLs in feeds begin with. Empty: the local edge's address.", _web_url)
    host: str = setting("127.0.0.1", "Address to listen on; 0.0.0.0 for all.")
    edge_port: int = setting(8080, "Port of the local edge.", _port)
    feeds_port: int = setting(8081, "Port of the baker: what the CDN may reach.", _port)
    api_port: int = setting(8082, "Port of the write API, which the CDN must not reach.", _port)
    ops_port: int = setting(8083, "Port of `serve` for /healthz, /readyz and /metrics, not for the CDN.", _port)
    work_port: int = setting(8085, "Port of `work` for the same three.", _port)
    edge_api_port: int = setting(8084, "Port of the local edge's invalidation API.", _port)
    edge: Literal["local", "cloudfront", "varnish"] = setting("local", "The edge that is told to drop artifacts.")
    edge_profile: Literal["instant", "cloudfront"] = setting(
        "instant", "How the local edge behaves: at once, or with CloudFront's delays and quotas."
    )
    edge_api_url: str = setting(
        "", "The local edge's invalidation API. Empty: this host, EDGEBAKE_EDGE_API_PORT.", _web_url
    )
    edge_locations: tuple[str, ...] = setting(
        (),
        "Locations of the local edge, each a NAME, such as FRA56-P1, or NAME:PORT. Empty: one.",
        each_matches(r"[A-Za-z0-9-]+(:\d{1,5})?", "FRA56-P1 or FRA56-P1:8091"),
    )
    edge_effects: tuple[str, ...] = setting(
        (),
        "Seconds until an invalidation has its effect at a location, `regional` or `shield` of the local edge, each as "
        "NAME=SECONDS. Empty: as its profile has it.",
        each_matches(r"[A-Za-z0-9-]+=\d+(\.\d+)?", "NAME=SECONDS"),
    )
    edge_logs: str = setting("", "Folder in which the local edge writes access logs as CloudFront does. Empty: none.")
    distribution_id: str = setting(
        "",
        "The CloudFront distribution; needed with EDGEBAKE_EDGE=cloudfront.",
        matches(r"[A-Z0-9]+", "like E2EXAMPLE1"),
    )
    cloudfront_endpoint_url: str = setting("", "Another endpoint for CloudFront's API. Empty: AWS's own.", _web_url)
    varnish_urls: tuple[str, ...] = setting(
        (),
        "The Varnish hosts, each of which is told what to drop; needed with EDGEBAKE_EDGE=varnish, but for `up`, which "
        "starts one.",
        lambda urls: next((f"{url!r}: {reason}" for url in urls if (reason := _web_url(url))), None),
    )
    varnish_secret: Secret = setting(
        Secret(""), "The secret that Varnish wants of whoever tells it what to drop, as in its site.vcl.", _vcl_text
    )
    tag_header: str = setting("Cache-Tag", "The header of the cache tags, as the distribution names it.", _header)
    key_pair_id: str = setting(
        "",
        "The id under which the edge knows the public key that opens private feeds: `CloudFront-Key-Pair-Id`.",
        matches(r"[A-Z0-9]+", "like K2JCJMDEHXQW5F"),
    )
    signing_key: Secret = setting(
        Secret(""),
        "The private key, in PEM, that signs cookies for private feeds: RSA of 2048 bits, or ECDSA on P-256. `up` "
        "makes one. Empty: nobody reads private feeds.",
    )
    cookie_ttl: int = setting(
        3600,
        "Seconds for which a cookie opens a private feed.",
        between(60, 86_400, "a cookie cannot be taken back, and browsers have to fetch new ones"),
    )
    feed_ttl: int = setting(
        300,
        "Seconds that an edge may keep an artifact: s-maxage.",
        at_least(1, "second", "every request reaches the origin"),
    )
    stale_while_revalidate: int = setting(
        30, "Seconds that an edge may serve an expired artifact while it asks for the next.", at_least(0, "seconds")
    )
    stale_if_error: int = setting(
        30, "Seconds that an edge may serve an expired artifact when the origin fails.", at_least(0, "seconds")
    )
    max_ttl: int = setting(
        3600, "The cache policy's maximum TTL in seconds, which caps all three above.", at_least(1, "second")
    )
    tiers: int | None = setting(
        None,
        "Caches between a browser and the origin; the local edge has so many: a location, a regional cache, a shield. "
        "auto: 1 for the local edge and Varnish, 2 for CloudFront.",
        between(1, 3),
    )
    call_interval: float | None = setting(
        None,
        "Seconds between two calls that tell the edge what to drop. auto: 2 for CloudFront and its profile, 0.01 for "
        "instant and Varnish.",
        at_least(0, "seconds"),
    )
    items_in_progress: int = setting(
        3000,
        "Items that may be in progress at the edge at once: CloudFront's quota of the distribution, less what else "
        "invalidates there. A tenth is left to deletions and privacy.",
        at_least(10, "items"),
    )
    aws_account: str = setting(
        "",
        "The AWS account that is billed, 12 digits: its edges share a call budget and a count of items. Empty: the "
        "distribution stands for it.",
        matches(r"\d{12}", "12 digits"),
    )
    monthly_items: int = setting(
        0,
        "Items that may be sent to the edge in a calendar month (UTC); Varnish takes any number. 0: no limit.",
        at_least(0, "items"),
    )
    at_limit: Literal["ttl", "refuse"] = setting(
        "ttl",
        "What happens at EDGEBAKE_MONTHLY_ITEMS: changes show when feeds expire at the edge (ttl), or the API takes no "
        "more writes besides (refuse). Deletions and privacy go as ever.",
    )
    second_tap: Literal["auto", "transit", "tiers"] = setting(
        "auto",
        "What is invalidated once more after the transit time: what may have been on its way to the edge (transit), or "
        "everything, for an inner tier may refill an outer one (tiers). auto: tiers where the edge has several.",
    )
    origin_timeout: float | None = setting(
        None,
        "Seconds that an answer of the origin may take at the longest, as the edge enforces it. auto: 5 for CloudFront "
        "and its profile, 2 for instant and Varnish.",
        between(0.1, 60, "a second tap waits for it, and slow bakes need it"),
    )
    overflow_items: int = setting(
        20,
        "Readers of a post whose feeds had no room for its author, above which the tag of all such feeds is "
        "invalidated in their place, where the origin has headroom.",
        at_least(0, "items"),
    )
    rolling_interval: float | None = setting(
        None,
        "Seconds between two shards of a rolling invalidation, at least. auto: 5 for CloudFront and its profile, 0.5 "
        "for instant and Varnish.",
        at_least(0, "seconds"),
    )
    timeline_cap: int = setting(
        200,
        "Posts kept in a timeline; older ones come from the system of record.",
        between(25, 1000, "a page has up to 25 posts, and memory grows with each"),
    )
    max_pages: int = setting(40, "Pages of a feed; deeper ones are 404.", at_least(1, "page"))
    own_posts: bool = setting(True, "Whether a user's own posts are in their feed.")
    feed_order: Literal["newest", "ranked"] = setting(
        "newest", "The order of feeds whose users chose none: newest first, or by rank."
    )
    rank_tau: int = setting(
        43_200,
        "Seconds of age that a weight of 1 outweighs: the unit of the weights below.",
        between(60, 864_000, "a minute to ten days"),
    )
    rank_likes: float = setting(
        0.5, "Weight of a post's likes against the platform's average, on a log scale. All weights 0: newest.", _weight
    )
    rank_comments: float = setting(0.5, "Weight of a post's comments, as that of likes.", _weight)
    rank_views: float = setting(0.25, "Weight of a post's views, as that of likes.", _weight)
    rank_tags: float = setting(0.5, "Weight of a post's having a tag that the user follows.", _weight)
    rank_authors: float = setting(
        0.25, "Weight of how often the user reacted to the author's posts, on a log scale.", _weight
    )
    rank_shown: float = setting(
        0.5, "Weight that a post loses each time that a recalculation finds that it was shown to the user.", _weight
    )
    rank_in_a_row: int = setting(
        3, "Posts by one author that may follow each other in a ranked feed.", at_least(1, otherwise="none could stand")
    )
    rescore: float = setting(
        0.1,
        "Share by which one of a post's counts has to move until the post is scored anew and its card shows it.",
        between(0, 10, "0 does so with each reaction"),
    )
    pull_followers: int = setting(
        100_000,
        "Followers above which an author's or a tag's posts are merged at the bake, not written into timelines.",
        at_least(1, "follower"),
    )
    active_days: int = setting(
        30, "Days without activity after which a user's timeline is dropped until they return.", at_least(1, "day")
    )
    activations: int = setting(
        10_000,
        "Users an hour whom bakes may make active. 0: bakes count as no activity, the API and the CDN's logs alone do.",
        at_least(0),
    )
    post_days: int = setting(
        3650,
        "Days after which a post leaves Redis; the system of record keeps it.",
        at_least(2, "days", "a recalculation, which leaves out the last of them, has nothing to rank"),
    )
    recompute_every: int = setting(
        86_400, "Seconds from one full recalculation of active users to the next. 0: none by itself.", at_least(0)
    )
    rerank: Literal["ttl", "shards", "items"] = setting(
        "ttl",
        "What tells edges of a recalculation: nothing, as feeds expire (ttl), an item a shard, or an item a user.",
    )
    replay: int = setting(
        3600,
        "Where Redis forgot something: changes that became live up to so many seconds before the newest are delivered "
        "again.",
        between(0, 518_400, "the outbox keeps changes for a week"),
    )
    purge_every: int = setting(3600, "Seconds from one purge of old data to the next. 0: none by itself.", at_least(0))
    explore_ttl: int = setting(
        60,
        "Seconds that an edge may keep /feed/explore.",
        at_least(1, "second", "every request reaches the origin"),
    )
    image_hosts: tuple[str, ...] = setting(
        (),
        "Hosts from which posts may show images; others are taken out.",
        lambda hosts: next(
            (f"{h!r} must be a host name." for h in hosts if not re.fullmatch(r"[a-z0-9.-]+(:\d+)?", h)), None
        ),
    )
    robots: str = setting("", "The X-Robots-Tag of every artifact, such as `noindex`. Empty: none.", _value)
    memory_mb: int = setting(
        64, "Megabytes of artifacts and fragments that a baker keeps in memory.", at_least(1, "MB")
    )
    edge_memory_mb: int = setting(
        256,
        "Megabytes that the local edge keeps in each of its caches; a feed takes some 35 kB. What was least recently "
        "used goes first.",
        at_least(1, "MB"),
    )
    bakes_at_once: int = setting(
        64,
        "Artifacts that a baker bakes at once: they share their trips to Redis, so fewer cost more CPU time each.",
        at_least(1, "bake"),
    )
    bake_queue: int = setting(
        512,
        "Bakes that may wait for their turn in a baker; beyond, what was baked last leaves, marked late, or 503.",
        at_least(0, "bakes"),
    )
    traces: bool = setting(
        False,
        "Whether to send OpenTelemetry spans of changes and bakes; wants the extra `otel`. OTEL_EXPORTER_OTLP_ENDPOINT "
        "and its like say where to.",
    )
    trace_ratio: float = setting(1.0, "Share of changes, and of the baker's answers, that are traced.", between(0, 1))
    events: bool = setting(
        False, "Whether to log a line for each bake, hit, publish and invalidation. `up` turns it on."
    )

    @property
    def edge_tiers(self) -> int:
        """Caches between a browser and the origin."""
        return self.tiers if self.tiers is not None else (2 if self.edge == "cloudfront" else 1)

    @property
    def account(self) -> str:
        """The name of the AWS account that is billed; ``local`` and ``varnish``: nobody is, CloudFront would."""
        return (self.aws_account or self.distribution_id) if self.edge == "cloudfront" else self.edge

    @property
    def item_limit(self) -> int:
        """Items that may be sent in a calendar month, 0 for any number: those of Varnish cost nothing."""
        return 0 if self.edge == "varnish" else self.monthly_items

    @property
    def freshness(self) -> "Freshness":
        """How long edges may keep a feed."""
        from baker.freshness import Freshness

        stale = (self.stale_while_revalidate, self.stale_if_error)
        return Freshness(self.feed_ttl, *stale, self.max_ttl, self.edge_tiers)

    @property
    def linger_ms(self) -> int:
        """How long an answer may be at an edge or in a baker's memory after it was baked, with a margin."""
        from baker.memory import MAX_AGE_S

        return self.freshness.horizon_ms + 1000 * (MAX_AGE_S + MARGIN_S)

    @property
    def unsure_ms(self) -> int:
        """How long an edge may hold an answer that the ledger has lost, with a margin."""
        return self.freshness.horizon_ms + 1000 * MARGIN_S

    @property
    def origin_timeout_s(self) -> float:
        """The longest that an answer of the origin may take: the edge cuts it off."""
        if self.origin_timeout is not None:
            return self.origin_timeout
        return 2.0 if self.is_instant else 5.0

    @property
    def transit_ms(self) -> int:
        """How long an answer may be on its way to the edge after it passed the fence, with a margin."""
        return round(1000 * (self.origin_timeout_s * 1.2 + 0.2))

    @property
    def taps_all(self) -> bool:
        """Whether every item is invalidated twice."""
        return self.second_tap == "tiers" or (self.second_tap == "auto" and self.edge_tiers > 1)

    @property
    def forgotten_ms(self) -> int:
        """How long after a change an edge may have something from before it, with a margin."""
        return self.freshness.horizon_ms + self.transit_ms + 1000

    @property
    def seconds_between_shards(self) -> float:
        """Seconds between two shards of a rolling invalidation."""
        if self.rolling_interval is not None:
            return self.rolling_interval
        return 0.5 if self.is_instant else 5.0

    @property
    def is_instant(self) -> bool:
        """Whether the edge does what it is told at once."""
        return self.edge == "varnish" or (self.edge, self.edge_profile) == ("local", "instant")

    @property
    def weights(self) -> "Weights":
        """What ranking weighs."""
        from feeds.ranking import Weights

        return Weights(
            self.rank_tau,
            self.rank_likes,
            self.rank_comments,
            self.rank_views,
            self.rank_tags,
            self.rank_authors,
            self.rank_shown,
            self.rank_in_a_row,
        )

    @property
    def seconds_between_calls(self) -> float:
        """Seconds between CreateInvalidation calls."""
        if self.call_interval is not None:
            return self.call_interval
        return 0.01 if self.is_instant else 2.0

    @property
    def sqlite_file(self) -> Path | None:
        """The file of the system of record, where it is one."""
        if not self.database_url:
            return self.data_dir / "edgebake.db"
        scheme, _, path = self.database_url.reveal().partition("://")
        return Path(path.removeprefix("/")) if scheme.startswith("sqlite") else None

    @property
    def record_url(self) -> str:
        """The URL of the system of record."""
        return self.database_url.reveal() or f"sqlite+aiosqlite:///{self.sqlite_file}"

    @property
    def public(self) -> str:
        """What absolute URLs begin with."""
        return self.public_url or f"http://127.0.0.1:{self.edge_port}"

    @property
    def edge_api(self) -> str:
        """The local edge's invalidation API."""
        return self.edge_api_url or f"http://127.0.0.1:{self.edge_api_port}"
