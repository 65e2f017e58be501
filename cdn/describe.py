"""Reads a distribution, and each policy that it names, from CloudFront's API into the document of ``awsjson``."""

from typing import TYPE_CHECKING, Any

from cdn.awsjson import POLICIES, policies_named, without_secrets

if TYPE_CHECKING:
    from types_boto3_cloudfront import CloudFrontClient


def describe(client: "CloudFrontClient", distribution: str) -> dict[str, Any]:
    """Return the document, without the values of the headers that CloudFront shows to the origin."""
    config = client.get_distribution_config(Id=distribution)["DistributionConfig"]
    document: dict[str, Any] = {"Id": distribution, "DistributionConfig": without_secrets(config)}
    document |= {kind: {} for kind in POLICIES.values()}
    for member, policy in policies_named(config):
        document[POLICIES[member]][policy] = _policy(client, member, policy)
    return document


def _policy(client: "CloudFrontClient", member: str, policy: str) -> dict[str, Any]:
    match member:
        case "CachePolicyId":
            return dict(client.get_cache_policy(Id=policy)["CachePolicy"]["CachePolicyConfig"])
        case "OriginRequestPolicyId":
            found = client.get_origin_request_policy(Id=policy)["OriginRequestPolicy"]
            return dict(found["OriginRequestPolicyConfig"])
        case _:
            told = client.get_response_headers_policy(Id=policy)["ResponseHeadersPolicy"]
            return dict(told["ResponseHeadersPolicyConfig"])
