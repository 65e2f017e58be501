"""The policies that the edge's distribution names, as CloudFront's API tells them. A policy's id is its name."""

from cdn.distribution import CachePolicy, Distribution, Keys, OriginRequestPolicy, ResponseHeadersPolicy
from cdn.local.configuration import Node, listed

KINDS = ("cache-policy", "origin-request-policy", "response-headers-policy")
"""What the three calls ask for."""
LAST_MODIFIED = "1970-01-01T00:00:00Z"
HEADERS = {"all": "allViewer"}
"""What an origin request policy calls it."""


def policy(distribution: Distribution, kind: str, name: str) -> tuple[str, dict[str, Node]] | None:
    """Return a policy's document and that document's name, None where no behaviour names such a policy."""
    for behavior in distribution.behaviors:
        for found in (behavior.cache, behavior.request, behavior.response):
            if found is not None and found.name == name and (told := _told(found))[0] == kind:
                _, document, config = told
                return document, {"Id": name, "LastModifiedTime": LAST_MODIFIED, f"{document}Config": config}
    return None


def _told(found: CachePolicy | OriginRequestPolicy | ResponseHeadersPolicy) -> tuple[str, str, Node]:
    match found:
        case CachePolicy():
            return KINDS[0], "CachePolicy", _cache(found)
        case OriginRequestPolicy():
            return KINDS[1], "OriginRequestPolicy", _request(found)
        case ResponseHeadersPolicy():
            return KINDS[2], "ResponseHeadersPolicy", _response(found)


def _cache(found: CachePolicy) -> Node:
    return {
        "Name": found.name,
        "DefaultTTL": round(found.default_ttl),
        "MaxTTL": round(found.max_ttl),
        "MinTTL": round(found.min_ttl),
        "ParametersInCacheKeyAndForwardedToOrigin": {
            "EnableAcceptEncodingGzip": found.gzip,
            "EnableAcceptEncodingBrotli": found.brotli,
            **_keys(found.headers, found.cookies, found.queries),
        },
    }


def _request(found: OriginRequestPolicy) -> Node:
    return {"Name": found.name, **_keys(found.headers, found.cookies, found.queries)}


def _keys(headers: Keys, cookies: Keys, queries: Keys) -> dict[str, Node]:
    return {
        "HeadersConfig": {
            "HeaderBehavior": HEADERS.get(headers.behavior, headers.behavior),
            "Headers": listed("Name", sorted(headers.names)),
        },
        "CookiesConfig": {"CookieBehavior": cookies.behavior, "Cookies": listed("Name", sorted(cookies.names))},
        "QueryStringsConfig": {
            "QueryStringBehavior": queries.behavior,
            "QueryStrings": listed("Name", sorted(queries.names)),
        },
    }


def _response(found: ResponseHeadersPolicy) -> Node:
    custom: list[Node] = [
        {"Header": name, "Value": value, "Override": override} for name, value, override in found.custom
    ]
    removed: list[Node] = [{"Header": name} for name in found.removed]
    return {
        "Name": found.name,
        "CustomHeadersConfig": listed("ResponseHeadersPolicyCustomHeader", custom),
        "RemoveHeadersConfig": listed("ResponseHeadersPolicyRemoveHeader", removed),
    }
