"""A distribution as AWS tells it, in JSON: GetDistributionConfig, and each policy that it names.

The document is what ``edgebake doctor --save`` writes: ``Id``, ``DistributionConfig``, and by id ``CachePolicies``,
``OriginRequestPolicies`` and ``ResponseHeadersPolicies`` (each the policy's ``…Config``). Members are those of
CloudFront's API, as boto3 returns them.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from cdn.distribution import (
    ALL,
    NONE,
    Behavior,
    CachePolicy,
    Distribution,
    Keys,
    OriginRequestPolicy,
    OriginSettings,
    ResponseHeadersPolicy,
)
from cdn.errors import DistributionUnreadable

Json = Mapping[str, Any]

POLICIES = {
    "CachePolicyId": "CachePolicies",
    "OriginRequestPolicyId": "OriginRequestPolicies",
    "ResponseHeadersPolicyId": "ResponseHeadersPolicies",
}
"""Where a behaviour's policies are in the document."""
LEGACY = "(none: ForwardedValues)"
"""The name of a cache policy made of a behaviour's own settings, as distributions of before 2020 have them."""
SAVED = (
    "let `edgebake doctor --save FILE` write it, which asks for the distribution's configuration and each policy that "
    "it names"
)
WRONG = (TypeError, AttributeError, ValueError, OverflowError)
"""What comes of a member that is not of its kind."""
DAY_S, YEAR_S = 86_400.0, 31_536_000.0
READ_TIMEOUT_S = 30.0


def load(path: Path) -> Distribution:
    """Return the distribution that a file holds. Raises DistributionUnreadable."""
    return parse(read(path))


def read(path: Path) -> dict[str, Any]:
    """Return the document that a file holds. Raises DistributionUnreadable."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DistributionUnreadable(f"'{path}' cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise DistributionUnreadable(f"'{path}' is no JSON: {error}.") from error
    if not isinstance(found, dict):
        raise DistributionUnreadable(f"'{path}' holds no JSON object: {SAVED}.")
    return found


def parse(document: Json) -> Distribution:
    """Return the distribution that a document tells. Raises DistributionUnreadable where a part is missing."""
    try:
        return _distribution(document, document["DistributionConfig"])
    except KeyError as error:
        raise DistributionUnreadable(f"the JSON of the distribution has no {error}: {SAVED}.") from error
    except WRONG as error:
        raise DistributionUnreadable(f"the JSON of the distribution is not CloudFront's: {error}.") from error


def policies_named(config: Json) -> Iterable[tuple[str, str]]:
    """Yield each policy that a configuration names, once: the member that names it, and its id."""
    found = {(member, each[member]) for each in _behaviors(config) for member in POLICIES if each.get(member)}
    yield from sorted(found)


def without_secrets(config: Json) -> dict[str, Any]:
    """Return a configuration whose origins' header values are hidden: one of them lets people past CloudFront."""
    hidden = cast(dict[str, Any], json.loads(json.dumps(config)))
    for origin in items(hidden.get("Origins")):
        for header in items(origin.get("CustomHeaders")):
            header["HeaderValue"] = "(hidden)"
    return hidden


def items(node: Any) -> Sequence[Any]:
    """Return what a list of CloudFront's holds: ``{"Quantity": 1, "Items": […]}``, without Items where it is empty."""
    listed = (node or {}).get("Items") or () if isinstance(node, Mapping | None) else node
    if not isinstance(listed, Sequence) or isinstance(listed, str):
        raise ValueError(f"{json.dumps(node)} is no list of CloudFront's")
    return listed


def _behaviors(config: Json) -> list[Json]:
    return [*items(config.get("CacheBehaviors")), config["DefaultCacheBehavior"]]


def _distribution(document: Json, config: Json) -> Distribution:
    # An error without ErrorCachingMinTTL has a page of its own, and CloudFront's default.
    errors = items(config.get("CustomErrorResponses"))
    return Distribution(
        id=document.get("Id", ""),
        tag_header=(config.get("CacheTagConfig") or {}).get("HeaderName") or None,
        origins=tuple(_origin(each) for each in items(config["Origins"])),
        behaviors=tuple(_behavior(document, each) for each in _behaviors(config)),
        error_min_ttl={
            int(each["ErrorCode"]): float(each["ErrorCachingMinTTL"]) for each in errors if "ErrorCachingMinTTL" in each
        },
        http_versions=config.get("HttpVersion", "http2").lower(),
        enabled=config["Enabled"],
        logging=(config.get("Logging") or {}).get("Enabled", False),
        web_acl=config.get("WebACLId") or None,
    )


def _named_wrong(what: str, node: Json, member: str, error: Exception) -> DistributionUnreadable:
    """Return the error that says which part of the document is wrong."""
    name = node.get(member, "*") if isinstance(node, Mapping) else node
    return DistributionUnreadable(f"in the JSON of the distribution, {what} '{name}' is not CloudFront's: {error}.")


def _behavior(document: Json, node: Json) -> Behavior:
    try:
        return _read_behavior(document, node)
    except WRONG as error:
        raise _named_wrong("behaviour", node, "PathPattern", error) from error


def _read_behavior(document: Json, node: Json) -> Behavior:
    request, response = (_policy(document, node, member) for member in list(POLICIES)[1:])
    origin, *failover = _origins_named(document["DistributionConfig"], _text(node, "TargetOriginId"))
    return Behavior(
        pattern=_text({"PathPattern": "*", **node}, "PathPattern"),
        cache=_cache_policy(document, node),
        request=None if request is None else _request_policy(request),
        response=None if response is None else _response_policy(response),
        origin=origin,
        failover=tuple(failover),
        methods=tuple(items(node.get("AllowedMethods"))) or ("GET", "HEAD"),
        compress=bool(node.get("Compress", False)),
        key_groups=(*items(node.get("TrustedKeyGroups")), *items(node.get("TrustedSigners"))),
        viewer_protocol=_text(node, "ViewerProtocolPolicy"),
        function=next(
            (
                each["FunctionARN"].rpartition("/")[2]
                for each in items(node.get("FunctionAssociations"))
                if each["EventType"] == "viewer-request"
            ),
            None,
        ),
    )


def _text(node: Json, member: str) -> str:
    """Return a member that is text. Raises KeyError, or TypeError for anything else."""
    found = node[member]
    if not isinstance(found, str):
        raise TypeError(f"{member} is {json.dumps(found)}, which is no text")
    return found


def _origins_named(config: Json, target: str) -> list[str]:
    """Return the origin of that id, or those of the origin group that has it, in the order in which they are asked."""
    groups = (each for each in items(config.get("OriginGroups")) if each["Id"] == target)
    found = [member["OriginId"] for group in groups for member in items(group["Members"])] or [target]
    known = {origin["Id"] for origin in items(config["Origins"])}
    if missing := [name for name in found if name not in known]:
        raise ValueError(f"it names the origin '{missing[0]}', which is not there")
    return found


def _policy(document: Json, node: Json, member: str) -> Json | None:
    """Return the configuration of a policy that a behaviour names, None where it names none."""
    if not (name := node.get(member)):
        return None
    return cast(Json, document[POLICIES[member]][name])


def _cache_policy(document: Json, node: Json) -> CachePolicy:
    policy = _policy(document, node, "CachePolicyId")
    if policy is None:
        return _legacy_policy(node)
    key = policy.get("ParametersInCacheKeyAndForwardedToOrigin") or {}
    return CachePolicy(
        name=_text(policy, "Name"),
        min_ttl=float(policy["MinTTL"]),
        default_ttl=float(policy.get("DefaultTTL", DAY_S)),
        max_ttl=float(policy.get("MaxTTL", YEAR_S)),
        gzip=key.get("EnableAcceptEncodingGzip", False),
        brotli=key.get("EnableAcceptEncodingBrotli", False),
        **_keys(key),
    )


def _legacy_policy(node: Json) -> CachePolicy:
    """Return what a behaviour without a policy says for itself: all that it forwards is in the key, too."""
    forwarded = node.get("ForwardedValues") or {}
    cookies = forwarded.get("Cookies") or {}
    headers = frozenset(name.lower() for name in items(forwarded.get("Headers")))
    return CachePolicy(
        name=LEGACY,
        min_ttl=float(node.get("MinTTL", 0)),
        default_ttl=float(node.get("DefaultTTL", DAY_S)),
        max_ttl=float(node.get("MaxTTL", YEAR_S)),
        gzip=node.get("Compress", False),
        brotli=False,
        queries=ALL if forwarded.get("QueryString") else NONE,
        headers=ALL if "*" in headers else Keys("whitelist", headers) if headers else NONE,
        cookies=_named(cookies.get("Forward", "none"), items(cookies.get("WhitelistedNames"))),
    )


def _request_policy(policy: Json) -> OriginRequestPolicy:
    return OriginRequestPolicy(_text(policy, "Name"), **_keys(policy))


def _keys(node: Json) -> dict[str, Keys]:
    """Return which query strings, headers and cookies a policy takes."""
    queries, headers, cookies = (node.get(f"{each}Config") or {} for each in ("QueryStrings", "Headers", "Cookies"))
    names = (name.lower() for name in items(headers.get("Headers")))
    return {
        "queries": _named(queries.get("QueryStringBehavior", "none"), items(queries.get("QueryStrings"))),
        "headers": _named(headers.get("HeaderBehavior", "none"), names),
        "cookies": _named(cookies.get("CookieBehavior", "none"), items(cookies.get("Cookies"))),
    }


def _named(behavior: str, names: Iterable[str]) -> Keys:
    match behavior:
        case "none":
            return NONE
        case "all" | "allViewer" | "allViewerAndWhitelistCloudFront":
            return ALL
        case "whitelist" | "allExcept":
            return Keys(behavior, frozenset(names))
        case _:
            raise ValueError(f"a policy takes '{behavior}' of its names")


def _response_policy(policy: Json) -> ResponseHeadersPolicy:
    custom = tuple(
        (_text(each, "Header"), _text(each, "Value"), bool(each["Override"]))
        for each in items(policy.get("CustomHeadersConfig"))
    )
    removed = tuple(_text(each, "Header") for each in items(policy.get("RemoveHeadersConfig")))
    return ResponseHeadersPolicy(_text(policy, "Name"), removed, custom)


def _origin(node: Json) -> OriginSettings:
    try:
        return _read_origin(node)
    except WRONG as error:
        raise _named_wrong("origin", node, "Id", error) from error


def _read_origin(node: Json) -> OriginSettings:
    vpc, shield = node.get("VpcOriginConfig"), node.get("OriginShield") or {}
    own = node.get("CustomOriginConfig") or vpc or node.get("S3OriginConfig") or {}
    completion = node.get("ResponseCompletionTimeout")
    return OriginSettings(
        id=node["Id"],
        domain=node["DomainName"],
        read_timeout_s=float(own.get("OriginReadTimeout", READ_TIMEOUT_S)),
        completion_timeout_s=float(completion) if completion else None,
        shield=shield.get("OriginShieldRegion") if shield.get("Enabled") else None,
        custom_headers=tuple(each["HeaderName"] for each in items(node.get("CustomHeaders"))),
        private=bool(vpc or node.get("OriginAccessControlId") or own.get("OriginAccessIdentity")),
        protocol=own.get("OriginProtocolPolicy", ""),
    )
