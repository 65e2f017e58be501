"""Doctor: what in a distribution would break collapsing, tags, freshness or privacy. Pure: nothing is asked.

A mistake is named once, where it is made: one of a policy, not of each behaviour that has it. Facts about CloudFront
are those of its Developer Guide; the page is in brackets.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cdn.distribution import ERRORS, NOWHERE, Behavior, Distribution, OriginSettings
from cdn.doctor_policies import judge_cache_policies, judge_request_policies, judge_response_policies
from cdn.finding import Finding, Severity

PUBLIC = ("/feed/ada", "/feed/ada/feed.json", "/feed/ada/after/p1/feed.atom", "/author/ada", "/post/p1")
"""Paths of public artifacts, one of each kind."""
PRIVATE = ("/private/ada/", "/private/ada/feed.json", "/private/ada/after/p1/feed.atom")
CLOSED = ("/", "/api/users/ada", "/ops", "/metrics", "/readyz", "/wp-login.php")
"""Paths that have to end at the edge."""

HERE = ("127.0.0.1", "localhost", "::1")
SHIELDED_TIERS = 3
"""Caches between a browser and the origin where Origin Shield is on [origin-shield]."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What the settings of Edgebake reckon with. Times in seconds."""

    tag_header: str = "Cache-Tag"
    max_ttl: float = 3_600.0
    life: float = 330.0
    """How long an answer may be asked to live: its TTL and the larger stale window."""
    origin_timeout: float = 5.0
    tiers: int = 2
    """Caches between a browser and the origin."""
    least_tiers: int = 2
    """How many there are at least: CloudFront has a regional cache behind each edge location [HowCloudFrontWorks]."""


def judge(distribution: Distribution, expected: Expected) -> list[Finding]:
    """Return what is wrong with a distribution, errors first."""
    found = [
        *_whole(distribution, expected),
        *_errors(distribution),
        *_paths(distribution),
        *_origins(distribution, expected),
    ]
    served = reached(distribution)
    found += judge_cache_policies(served, expected.max_ttl, expected.life)
    found += judge_request_policies(served)
    found += judge_response_policies(served, expected.tag_header)
    found += _behaviors(served)
    return sorted(found, key=lambda finding: finding.severity)  # "error" comes before "warning"


def notes(distribution: Distribution) -> list[str]:
    """Return what is a choice, and neither right nor wrong."""
    shields = {origin.shield for origin in _feeds_origins(distribution)}
    shield = next(iter(shields - {None}), None)
    return [
        f"Origin Shield is on, in {shield}: one request an object reaches the origin, and each miss pays for it."
        if shield
        else "Origin Shield is off: each regional cache asks the origin for itself. It pays where feeds are read from "
        "many regions.",
        "A web ACL is set." if distribution.web_acl else "No web ACL: nothing limits the rate of one address.",
        *(
            f"CloudFront may speak plain HTTP to '{origin.domain}' (OriginProtocolPolicy '{origin.protocol}'): private "
            "feeds and the secret header go in the clear between them. Give the origin a name and a certificate first."
            for origin in _in_the_clear(distribution)
        ),
    ]


def _in_the_clear(distribution: Distribution) -> list[OriginSettings]:
    """Return the origins of private feeds that are asked without TLS, over a network that others share."""
    names = {name for behavior in reached(distribution) if behavior.key_groups for name in behavior.origins}
    asked = [origin for origin in distribution.origins if origin.id in names and not origin.private]
    return [each for each in asked if each.protocol in ("http-only", "match-viewer") and each.domain not in HERE]


def reached(distribution: Distribution) -> list[Behavior]:
    """Return the behaviours that serve artifacts, each once. The default one does so only by mistake."""
    found = dict.fromkeys(distribution.behavior_of(path) for path in (*PUBLIC, *PRIVATE))
    return [behavior for behavior in found if behavior.pattern != "*"]


def _feeds_origins(distribution: Distribution) -> list[OriginSettings]:
    """Return the origins that artifacts come from."""
    names = {name for behavior in reached(distribution) for name in behavior.origins}
    return [origin for origin in distribution.origins if origin.id in names]


def _whole(distribution: Distribution, expected: Expected) -> Iterator[Finding]:
    header = distribution.tag_header
    if header is None or header.lower() != expected.tag_header.lower():
        yield Finding(
            "tag-header",
            "error",
            "the distribution",
            f"CacheTagConfig.HeaderName is '{header}', and the baker sends its tags in '{expected.tag_header}'"
            if header
            else "it has no CacheTagConfig",
            "objects are stored without cache tags, so no invalidation by tag reaches them and a change shows only "
            "when they expire [invalidation-by-tags]",
            f"set CacheTagConfig.HeaderName to '{expected.tag_header}' (or EDGEBAKE_TAG_HEADER to the header that is "
            "set), then invalidate '/*' once: what is cached has no tags",
        )
    if expected.tiers < expected.least_tiers:
        yield Finding(
            "tiers",
            "error",
            "the distribution",
            f"EDGEBAKE_TIERS is {expected.tiers}, and CloudFront has {expected.least_tiers}: location, regional cache",
            "an answer may live once in each: the horizon is reckoned too short, and the second tap leaves out what a "
            "regional cache may give back",
            f"set EDGEBAKE_TIERS to {expected.least_tiers}, or leave it out",
        )
    if not distribution.enabled:
        yield Finding(
            "disabled",
            "error",
            "the distribution",
            "Enabled is false",
            "CloudFront serves nothing from it",
            "set Enabled to true",
        )
    if not distribution.logging:
        yield Finding(
            "logging",
            "warning",
            "the distribution",
            "standard logging is off",
            "nobody can tell how many requests the edge answered: `edgebake report` has nothing to read",
            "set Logging.Enabled with a bucket that takes CloudFront's logs [AccessLogs]",
        )
    if distribution.http_versions == "http1.1":
        yield Finding(
            "http-version",
            "warning",
            "the distribution",
            "HttpVersion is 'http1.1'",
            "every browser opens up to six connections and waits for each answer in turn",
            "set HttpVersion to 'http2and3'",
        )


def _errors(distribution: Distribution) -> Iterator[Finding]:
    kept = {status: distribution.error_ttl(status) for status in ERRORS if distribution.error_ttl(status) > 0}
    if kept:
        longest = max(kept.values())
        yield Finding(
            "error-caching",
            "error",
            "the distribution",
            f"ErrorCachingMinTTL is up to {longest:g} s for {', '.join(map(str, kept))} (10 s where it is not set)",
            "an error is kept for that long even where the baker asks for 1 s or none: a 404 that a new user's first "
            "post ends, a 503 that was over at once [custom-error-pages-expiration]",
            f"set CustomErrorResponses with ErrorCachingMinTTL 0 for {', '.join(map(str, kept))}",
        )


def _paths(distribution: Distribution) -> Iterator[Finding]:
    default = distribution.behaviors[-1]
    missing = [path for path in (*PUBLIC, *PRIVATE) if distribution.behavior_of(path) is default]
    if missing:
        yield Finding(
            "path-pattern",
            "error",
            "the behaviours",
            f"no path pattern matches {_listed(missing)}",
            "these artifacts have the default behaviour, which answers nothing of Edgebake's (patterns are "
            "case-sensitive and match whole paths) [DownloadDistValuesCacheBehavior]",
            "add behaviours for '/feed/*', '/private/*', '/author/*' and '/post/*'",
        )
    yield from _open(distribution)
    yield from _access(distribution)


def _open(distribution: Distribution) -> Iterator[Finding]:
    """Find what reaches the origin and should not."""
    origins = {origin.id for origin in _feeds_origins(distribution)}
    through: dict[str, str] = {}
    for path in CLOSED:
        behavior = distribution.behavior_of(path)
        if behavior.origins & origins and not behavior.leads_nowhere:
            through.setdefault(behavior.pattern, path)
    for pattern, path in through.items():
        yield Finding(
            "open-path",
            "error",
            f"behaviour '{pattern}'",
            f"it sends '{path}' to the origin of the feeds",
            "whoever asks for anything reaches the origin, past every cache, and where a port is mixed up the write "
            "API, too",
            f"give it a viewer-request function that answers 404 itself (ours is '{NOWHERE}'), or an origin of its own"
            + ("" if pattern == "*" else ", or narrow the pattern"),
        )


def _access(distribution: Distribution) -> Iterator[Finding]:
    private = dict.fromkeys(distribution.behavior_of(path) for path in PRIVATE)
    public = dict.fromkeys(distribution.behavior_of(path) for path in PUBLIC)
    default = distribution.behaviors[-1]
    for behavior in private:
        if behavior is default:
            continue
        if behavior in public:
            yield Finding(
                "mixed",
                "error",
                f"behaviour '{behavior.pattern}'",
                "it has private feeds and public ones",
                "a key group guards a whole behaviour: either private feeds are open, or public ones are closed "
                "[private-content-trusted-signers]",
                "give '/private/*' a behaviour of its own, before the other, with a trusted key group",
            )
        elif not behavior.key_groups:
            yield Finding(
                "private-open",
                "error",
                f"behaviour '{behavior.pattern}'",
                "it has no trusted key group",
                "whoever knows a private feed's address can read it",
                "add a trusted key group with the public key whose private half signs the cookies",
            )
    for behavior in public:
        if behavior.key_groups and behavior not in private:
            yield Finding(
                "public-closed",
                "error",
                f"behaviour '{behavior.pattern}'",
                f"it has the trusted key group {_listed(behavior.key_groups)}",
                "public feeds are refused (403) to whoever has no signed cookie",
                "take the key group away; private feeds are under '/private/*'",
            )


def _origins(distribution: Distribution, expected: Expected) -> Iterator[Finding]:
    for origin in _feeds_origins(distribution):
        where = f"origin '{origin.id}'"
        if origin.shield and expected.least_tiers <= expected.tiers < SHIELDED_TIERS:
            yield Finding(
                "tiers",
                "error",
                where,
                f"Origin Shield is on, in '{origin.shield}', and EDGEBAKE_TIERS is {expected.tiers}",
                "an answer may live once in each tier, edge location, regional cache and shield: the horizon is "
                "reckoned too short, and the ledger forgets what an edge still has",
                f"set EDGEBAKE_TIERS to {SHIELDED_TIERS}, or turn Origin Shield off",
            )
        bound = origin.completion_timeout_s
        if bound is None or bound > expected.origin_timeout:
            yield Finding(
                "completion-timeout",
                "error",
                where,
                "ResponseCompletionTimeout is not set"
                if bound is None
                else f"ResponseCompletionTimeout is {bound:g} s, over EDGEBAKE_ORIGIN_TIMEOUT, "
                f"{expected.origin_timeout:g} s",
                "an answer may be on its way for longer than the second tap waits, and be stored after it, stale until "
                "it expires [DownloadDistValuesOrigin]",
                f"set ResponseCompletionTimeout and OriginReadTimeout to {expected.origin_timeout:g} s, or raise "
                "EDGEBAKE_ORIGIN_TIMEOUT",
            )
        if not origin.private and not origin.custom_headers:
            yield Finding(
                "open-origin",
                "error",
                where,
                f"'{origin.domain}' is told no secret header, and is no VPC origin",
                "nothing tells CloudFront's requests from others: AWS's prefix list alone admits any customer's "
                "distribution, so caches, key groups and rate rules can be passed by",
                "add a secret origin custom header that the load balancer demands, or make it a VPC origin",
            )


def _behaviors(served: list[Behavior]) -> Iterator[Finding]:
    if those := [each for each in served if not {"GET", "HEAD", "OPTIONS"}.issuperset(each.methods)]:
        yield Finding(
            "methods",
            "warning",
            _patterns(those),
            f"more than GET, HEAD and OPTIONS is let through: {_listed(those[0].methods)}",
            "other methods are never cached, so each reaches the origin, which answers 405",
            "allow GET and HEAD alone",
        )
    if those := [each for each in served if each.leads_nowhere]:
        yield Finding(
            "function",
            "error",
            _patterns(those),
            f"its viewer-request function is '{those[0].function}'",
            "that one answers 404 at the edge, so none of these pages is ever served",
            "take the function away; it is for the default behaviour",
        )
    if those := [each for each in served if each.compress]:
        yield Finding(
            "compress",
            "warning",
            _patterns(those),
            "Compress is true",
            "the baker compresses; what CloudFront compresses besides has a weak ETag, and takes its time "
            "[ServingCompressedFiles]",
            "set Compress to false",
        )
    plain = [each for each in served if each.viewer_protocol == "allow-all"]
    yield from _plain([each for each in plain if each.key_groups], "error", "signed cookies can be read on the way")
    yield from _plain(
        [each for each in plain if not each.key_groups], "warning", "pages can be read and changed on the way"
    )


def _plain(those: list[Behavior], severity: Severity, why: str) -> Iterator[Finding]:
    if those:
        yield Finding(
            "viewer-protocol",
            severity,
            _patterns(those),
            "ViewerProtocolPolicy is 'allow-all'",
            why,
            "set ViewerProtocolPolicy to 'redirect-to-https'",
        )


def _patterns(behaviors: list[Behavior]) -> str:
    return f"behaviour {_listed(each.pattern for each in behaviors)}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
