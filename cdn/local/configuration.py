"""The distribution that the edge runs, as GetDistributionConfig tells it. A policy's id is its name."""

from collections.abc import Iterable, Mapping, Sequence

from cdn.distribution import Behavior, Distribution, OriginSettings

Node = str | int | bool | Mapping[str, "Node"] | Sequence[tuple[str, "Node"]]
"""A document as plain values; pairs where a name comes more than once."""
CACHED = ("GET", "HEAD")


def configuration(distribution: Distribution, comment: str) -> dict[str, Node]:
    """Return the DistributionConfig."""
    *others, default = distribution.behaviors
    errors = sorted(distribution.error_min_ttl.items())
    tags: dict[str, Node] = (
        {"CacheTagConfig": {"HeaderName": distribution.tag_header}} if distribution.tag_header else {}
    )
    return {
        "CallerReference": distribution.id,
        "Aliases": listed("CNAME", ()),
        "DefaultRootObject": "",
        "Origins": listed("Origin", (_origin(each) for each in distribution.origins)),
        "DefaultCacheBehavior": _behavior(default),
        "CacheBehaviors": listed(
            "CacheBehavior", ({"PathPattern": each.pattern, **_behavior(each)} for each in others)
        ),
        "CustomErrorResponses": listed(
            "CustomErrorResponse", ({"ErrorCode": code, "ErrorCachingMinTTL": round(ttl)} for code, ttl in errors)
        ),
        "Comment": comment,
        "Logging": {"Enabled": distribution.logging, "IncludeCookies": False, "Bucket": "", "Prefix": ""},
        "PriceClass": "PriceClass_All",
        "Enabled": distribution.enabled,
        "WebACLId": distribution.web_acl or "",
        "HttpVersion": distribution.http_versions,
        "IsIPV6Enabled": False,
        **tags,
    }


def listed(name: str, nodes: Iterable[Node]) -> dict[str, Node]:
    """Return a list as CloudFront has them: its length, and its items unless there are none."""
    items = [(name, node) for node in nodes]
    return {"Quantity": len(items), **({"Items": items} if items else {})}


def _origin(origin: OriginSettings) -> Node:
    headers = ({"HeaderName": name, "HeaderValue": "(hidden)"} for name in origin.custom_headers)
    shield: dict[str, Node] = {"OriginShieldRegion": origin.shield} if origin.shield else {}
    timeouts: dict[str, Node] = {"OriginReadTimeout": round(origin.read_timeout_s), "OriginKeepaliveTimeout": 5}
    custom: dict[str, Node] = {"HTTPPort": 80, "HTTPSPort": 443, "OriginProtocolPolicy": "http-only", **timeouts}
    vpc: dict[str, Node] = {"VpcOriginId": "vo_local", **timeouts}
    bound: dict[str, Node] = (
        {} if origin.completion_timeout_s is None else {"ResponseCompletionTimeout": round(origin.completion_timeout_s)}
    )
    return {
        "Id": origin.id,
        "DomainName": origin.domain,
        "OriginPath": "",
        "CustomHeaders": listed("OriginCustomHeader", headers),
        **({"VpcOriginConfig": vpc} if origin.private else {"CustomOriginConfig": custom}),
        "ConnectionAttempts": 1,
        "ConnectionTimeout": 10,
        **bound,
        "OriginShield": {"Enabled": origin.shield is not None, **shield},
    }


def _behavior(behavior: Behavior) -> dict[str, Node]:
    policies: dict[str, Node] = {"CachePolicyId": behavior.cache.name}
    if behavior.request is not None:
        policies["OriginRequestPolicyId"] = behavior.request.name
    if behavior.response is not None:
        policies["ResponseHeadersPolicyId"] = behavior.response.name
    return {
        "TargetOriginId": behavior.origin,
        "TrustedSigners": {"Enabled": False, "Quantity": 0},
        "TrustedKeyGroups": {"Enabled": bool(behavior.key_groups), **listed("KeyGroup", behavior.key_groups)},
        "ViewerProtocolPolicy": behavior.viewer_protocol,
        "AllowedMethods": {**listed("Method", behavior.methods), "CachedMethods": listed("Method", CACHED)},
        "SmoothStreaming": False,
        "Compress": behavior.compress,
        "FunctionAssociations": listed("FunctionAssociation", _functions(behavior)),
        **policies,
    }


def _functions(behavior: Behavior) -> list[Node]:
    if behavior.function is None:
        return []
    arn = f"arn:aws:cloudfront::000000000000:function/{behavior.function}"
    return [{"FunctionARN": arn, "EventType": "viewer-request"}]
