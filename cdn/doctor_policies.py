"""Doctor's look at policies: the cache key and the TTLs, what is forwarded, and what the viewer is told."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import TypeVar

from cdn.cache_control import parse, seconds
from cdn.distribution import Behavior, CachePolicy, Keys, OriginRequestPolicy, ResponseHeadersPolicy
from cdn.finding import Finding

P = TypeVar("P", bound=Hashable)

AVOIDED = {
    "Managed-UseOriginCacheControlHeaders": "it has every cookie and some headers in the key, so no two viewers share "
    "an answer and nothing is collapsed",
    "Managed-UseOriginCacheControlHeaders-QueryStrings": "it has every cookie, query string and some headers in the "
    "key, so no two viewers share an answer and nothing is collapsed",
    "Managed-CachingOptimized": "its minimum TTL is 1 s, so even what is private is kept, and its maximum is a year",
    "Managed-CachingOptimizedForUncompressedObjects": "its minimum TTL is 1 s, so even what is private is kept, its "
    "maximum is a year, and everything leaves uncompressed",
    "Managed-CachingDisabled": "nothing is kept, so every request is a bake",
}
"""AWS's own policies, and what is wrong with each here [using-managed-cache-policies]."""


def judge_cache_policies(behaviors: Iterable[Behavior], max_ttl: float, life: float) -> Iterator[Finding]:
    """Find what is wrong with the cache policies of the behaviours that serve artifacts."""
    for policy, where in _each(behaviors, lambda behavior: behavior.cache):
        if (why := AVOIDED.get(policy.name)) is not None:
            yield Finding(
                "managed-policy",
                "error",
                where,
                f"the cache policy is AWS's '{policy.name}'",
                why,
                "use a cache policy of your own, as deploy/cloudformation/edgebake.yaml has it",
            )
        else:
            yield from _ttls(policy, where, max_ttl, life)
            yield from _encodings(policy, where)
            yield from _key(policy, where)


def judge_request_policies(behaviors: Iterable[Behavior]) -> Iterator[Finding]:
    """Find what is forwarded and should not be."""
    for policy, where in _each(behaviors, lambda behavior: behavior.request):
        if policy is not None:
            yield from _forwarded(policy, where)


def judge_response_policies(behaviors: Iterable[Behavior], tag_header: str) -> Iterator[Finding]:
    """Find what a viewer is told and should not be."""
    for policy, where in _each(behaviors, lambda behavior: behavior.response):
        yield from _told(policy, where, tag_header)


def _each(behaviors: Iterable[Behavior], of: Callable[[Behavior], P]) -> Iterator[tuple[P, str]]:
    """Yield each policy once, with the behaviours that have it."""
    patterns: defaultdict[P, list[str]] = defaultdict(list)
    for behavior in behaviors:
        patterns[of(behavior)].append(f"'{behavior.pattern}'")
    for policy, those in patterns.items():
        name = getattr(policy, "name", "")
        yield policy, (f"policy '{name}' of " if name else "") + ", ".join(those)


def _ttls(policy: CachePolicy, where: str, max_ttl: float, life: float) -> Iterator[Finding]:
    if policy.min_ttl > 0:
        yield Finding(
            "minimum-ttl",
            "error",
            where,
            f"MinTTL is {policy.min_ttl:g} s",
            "it overrides what the baker asks for: an answer that may be late and lives 1 s is kept longer, and so is "
            "what is `private` or `no-store` [Expiration]",
            "set MinTTL to 0",
        )
    if policy.max_ttl > max_ttl:
        yield Finding(
            "maximum-ttl",
            "error",
            where,
            f"MaxTTL is {policy.max_ttl:g} s, over EDGEBAKE_MAX_TTL, {max_ttl:g} s",
            "the ledger forgets an answer after the horizon, which is reckoned with EDGEBAKE_MAX_TTL: the edge may "
            "have it longer, and no item would be sent for it",
            f"set MaxTTL to {max_ttl:g}, or EDGEBAKE_MAX_TTL to {policy.max_ttl:g}",
        )
    if policy.max_ttl < life:
        yield Finding(
            "short-ttl",
            "warning",
            where,
            f"MaxTTL is {policy.max_ttl:g} s, under the {life:g} s that feeds ask for",
            "feeds expire sooner than set, and are baked anew more often",
            "raise MaxTTL, or lower EDGEBAKE_FEED_TTL and the stale windows",
        )
    if policy.default_ttl > life and policy.max_ttl <= max_ttl and policy.min_ttl == 0:
        yield Finding(
            "default-ttl",
            "warning",
            where,
            f"DefaultTTL is {policy.default_ttl:g} s",
            "an answer without Cache-Control, which is then the load balancer's and no artifact, is kept for that "
            "long, without tags",
            "set DefaultTTL to 0",
        )


def _encodings(policy: CachePolicy, where: str) -> Iterator[Finding]:
    if not policy.gzip:
        yield Finding(
            "gzip",
            "warning",
            where,
            "EnableAcceptEncodingGzip is false",
            "CloudFront asks for no gzip, so every page leaves origin and edge uncompressed, four times as large",
            "set EnableAcceptEncodingGzip to true",
        )
    if policy.brotli:
        yield Finding(
            "brotli",
            "warning",
            where,
            "EnableAcceptEncodingBrotli is true",
            "a third variant of each artifact is kept, each a miss of its own; the baker has gzip and none",
            "set EnableAcceptEncodingBrotli to false",
        )


def _key(policy: CachePolicy, where: str) -> Iterator[Finding]:
    for kind, keys, why in (
        ("cookies", policy.cookies, "collapsing and revalidation are off, and each viewer has an answer of their own"),
        ("headers", policy.headers, "each value is a miss of its own, and a bake; no header changes an artifact"),
        (
            "queries",
            policy.queries,
            "each spelling of a query string is a miss and a bake: anybody can cause many",
        ),
    ):
        if keys.behavior != "none":
            yield Finding(
                f"{kind}-in-key",
                "error",
                where,
                f"{kind} are in the cache key: {_spelt(keys)}",
                f"{why} [controlling-the-cache-key]",
                f"take them out: {_MEMBERS[kind]} 'none'. The path alone says which artifact it is",
            )


def _forwarded(policy: OriginRequestPolicy, where: str) -> Iterator[Finding]:
    if policy.cookies.behavior != "none":
        yield Finding(
            "cookies-forwarded",
            "error",
            where,
            f"cookies are forwarded: {_spelt(policy.cookies)}",
            "collapsing and revalidation are off [RequestAndResponseBehaviorCustomOrigin]: 500 readers of a feed that "
            "was just dropped are 500 requests at the origin",
            "set CookieBehavior to 'none', or take the origin request policy away",
        )
    for kind, keys in (("headers", policy.headers), ("queries", policy.queries)):
        if keys.behavior != "none" and policy.cookies.behavior == "none":
            yield Finding(
                f"{kind}-forwarded",
                "warning",
                where,
                f"{kind} are forwarded that are not in the key: {_spelt(keys)}",
                "the baker looks at none; whatever stood between and did would answer one viewer with what is for "
                "another",
                f"set {_MEMBERS[kind]} to 'none', or take the origin request policy away",
            )


def _told(policy: ResponseHeadersPolicy | None, where: str, tag_header: str) -> Iterator[Finding]:
    if policy is None:
        yield Finding(
            "response-policy",
            "error",
            where,
            "there is no response headers policy",
            "browsers and proxies are told the edge's `s-maxage` and stale windows and keep pages that no "
            "invalidation reaches, and everybody sees the cache tags",
            f"add one that removes '{tag_header}' and sets `Cache-Control: no-cache` with Override true",
        )
        return
    if tag_header.lower() not in {name.lower() for name in policy.removed}:
        yield Finding(
            "tags-shown",
            "error",
            where,
            f"the header '{tag_header}' is not removed",
            "viewers may see the cache tags, and in them whom a user follows (whether CloudFront strips it is not "
            "documented)",
            f"add '{tag_header}' to RemoveHeadersConfig",
        )
    own = [value for name, value, override in policy.custom if name.lower() == "cache-control" and override]
    if not any(map(_is_asked_again, own)):
        yield Finding(
            "viewer-cache-control",
            "error",
            where,
            f"viewers are told `Cache-Control: {own[0]}`" if own else "viewers are told the origin's Cache-Control",
            "browsers obey stale-while-revalidate and proxies s-maxage: they keep pages that no invalidation reaches "
            "[modifying-response-headers]",
            "set the custom header `Cache-Control: no-cache` with Override true; CloudFront keeps to the origin's",
        )


def _is_asked_again(cache_control: str) -> bool:
    """Tell whether browsers and proxies that are told this ask each time."""
    directives = parse(cache_control)
    if not directives.keys().isdisjoint(("no-cache", "no-store")):
        return True
    kept = (seconds(directives, name) for name in ("s-maxage", "stale-while-revalidate"))
    return seconds(directives, "max-age") == 0 and not any(kept)


_MEMBERS = {"cookies": "CookieBehavior", "headers": "HeaderBehavior", "queries": "QueryStringBehavior"}


def _spelt(keys: Keys) -> str:
    names = ", ".join(sorted(keys.names))
    return {"all": "all", "whitelist": names, "allExcept": f"all except {names}"}.get(keys.behavior, "none")
