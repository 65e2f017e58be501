"""Doctor on distributions: silent on the template's own, and on one with a planted mistake it names that alone."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from cdn import awsjson
from cdn.awsjson import items
from cdn.distribution import ours
from cdn.doctor import Expected, judge, notes
from cdn.errors import DistributionUnreadable
from tests.unit.cloudformation import Stack, document

Document = dict[str, Any]
Mistake = Callable[[Document], None]

TEMPLATES_OWN = document(Stack())
NONE = {"Quantity": 0}


def config(told: Document) -> Document:
    """Return the configuration of a distribution."""
    found: Document = told["DistributionConfig"]
    return found


def origin(told: Document) -> Document:
    """Return the origin."""
    found: Document = items(config(told)["Origins"])[0]
    return found


def behavior(told: Document, pattern: str) -> Document:
    """Return a behaviour."""
    found: Document = next(each for each in items(config(told)["CacheBehaviors"]) if each["PathPattern"] == pattern)
    return found


def caching(told: Document) -> Document:
    """Return the cache policy of the feeds."""
    found: Document = told["CachePolicies"]["edgebake-feeds"]
    return found


def key(told: Document) -> Document:
    """Return what is in the key."""
    found: Document = caching(told)["ParametersInCacheKeyAndForwardedToOrigin"]
    return found


def answers(told: Document) -> Document:
    """Return the response headers policy of the feeds."""
    found: Document = told["ResponseHeadersPolicies"]["edgebake-feeds"]
    return found


def managed(name: str, **changed: Any) -> Mistake:
    """Plant one of AWS's policies at /feed/*."""

    def plant(told: Document) -> None:
        told["CachePolicies"]["658327ea"] = deepcopy(caching(told)) | {"Name": name, **changed}
        behavior(told, "/feed/*")["CachePolicyId"] = "658327ea"

    return plant


def forwarding(**kinds: Document) -> Mistake:
    """Plant an origin request policy at /feed/*."""

    def plant(told: Document) -> None:
        told["OriginRequestPolicies"]["own"] = {"Name": "own", **kinds}
        behavior(told, "/feed/*")["OriginRequestPolicyId"] = "own"

    return plant


def without_behavior(pattern: str) -> Mistake:
    """Plant that a path has the default behaviour."""

    def plant(told: Document) -> None:
        behaviors = config(told)["CacheBehaviors"]
        behaviors["Items"] = [each for each in behaviors["Items"] if each["PathPattern"] != pattern]

    return plant


def without_key_group(told: Document) -> None:
    """Plant that private feeds are open."""
    behavior(told, "/private/*")["TrustedKeyGroups"] = NONE | {"Enabled": False}


def public_and_private(told: Document) -> None:
    """Plant that one behaviour has private feeds and posts."""
    without_behavior("/private/*")(told)
    behavior(told, "/post/*")["PathPattern"] = "/p*"


def second_origin(**changed: Any) -> Mistake:
    """Plant an origin group whose second origin is not as the first."""

    def plant(told: Document) -> None:
        config(told)["Origins"]["Items"] = [origin(told), deepcopy(origin(told)) | {"Id": "second"} | changed]
        members = {"Quantity": 2, "Items": [{"OriginId": "origin"}, {"OriginId": "second"}]}
        config(told)["OriginGroups"] = {"Quantity": 1, "Items": [{"Id": "both", "Members": members}]}
        for each in items(config(told)["CacheBehaviors"]):
            each["TargetOriginId"] = "both"

    return plant


def telling_viewers(cache_control: str) -> Mistake:
    """Plant what viewers of /feed/* are told."""
    return lambda told: items(answers(told)["CustomHeadersConfig"])[0].update(Value=cache_control)


MISTAKES: dict[str, tuple[str, Mistake]] = {
    "no CacheTagConfig": ("tag-header", lambda told: config(told).pop("CacheTagConfig")),
    "another tag header": ("tag-header", lambda told: config(told).update(CacheTagConfig={"HeaderName": "Edge-Tag"})),
    "no answer within any time": ("completion-timeout", lambda told: origin(told).pop("ResponseCompletionTimeout")),
    "too long for an answer": ("completion-timeout", lambda told: origin(told).update(ResponseCompletionTimeout=30)),
    "anybody's origin": ("open-origin", lambda told: origin(told).update(CustomHeaders=NONE)),
    "a shield that nobody reckons with": (
        "tiers",
        lambda told: origin(told).update(OriginShield={"Enabled": True, "OriginShieldRegion": "eu-west-1"}),
    ),
    "a minimum": ("minimum-ttl", lambda told: caching(told).update(MinTTL=1, DefaultTTL=1)),
    "a maximum over the horizon": ("maximum-ttl", lambda told: caching(told).update(MaxTTL=86_400)),
    "a maximum under the life": ("short-ttl", lambda told: caching(told).update(MaxTTL=60)),
    "a default": ("default-ttl", lambda told: caching(told).update(DefaultTTL=3_600)),
    "no gzip": ("gzip", lambda told: key(told).update(EnableAcceptEncodingGzip=False)),
    "brotli": ("brotli", lambda told: key(told).update(EnableAcceptEncodingBrotli=True)),
    "cookies in the key": (
        "cookies-in-key",
        lambda told: key(told).update(
            CookiesConfig={"CookieBehavior": "whitelist", "Cookies": {"Quantity": 1, "Items": ["session"]}}
        ),
    ),
    "a header in the key": (
        "headers-in-key",
        lambda told: key(told).update(
            HeadersConfig={"HeaderBehavior": "whitelist", "Headers": {"Quantity": 1, "Items": ["User-Agent"]}}
        ),
    ),
    "all queries in the key": (
        "queries-in-key",
        lambda told: key(told).update(QueryStringsConfig={"QueryStringBehavior": "all"}),
    ),
    "UseOriginCacheControlHeaders": (
        "managed-policy",
        managed("Managed-UseOriginCacheControlHeaders", DefaultTTL=0, MaxTTL=31_536_000),
    ),
    "CachingOptimized": (
        "managed-policy",
        managed("Managed-CachingOptimized", MinTTL=1, DefaultTTL=86_400, MaxTTL=31_536_000),
    ),
    "cookies forwarded": ("cookies-forwarded", forwarding(CookiesConfig={"CookieBehavior": "all"})),
    "AllViewer": (
        "cookies-forwarded",
        forwarding(
            CookiesConfig={"CookieBehavior": "all"},
            HeadersConfig={"HeaderBehavior": "allViewer"},
            QueryStringsConfig={"QueryStringBehavior": "all"},
        ),
    ),
    "headers forwarded": ("headers-forwarded", forwarding(HeadersConfig={"HeaderBehavior": "allViewer"})),
    "queries forwarded": ("queries-forwarded", forwarding(QueryStringsConfig={"QueryStringBehavior": "all"})),
    "no response headers policy": (
        "response-policy",
        lambda told: behavior(told, "/feed/*").pop("ResponseHeadersPolicyId"),
    ),
    "tags for everybody": ("tags-shown", lambda told: answers(told).pop("RemoveHeadersConfig")),
    "a browser that keeps pages": ("viewer-cache-control", lambda told: answers(told).pop("CustomHeadersConfig")),
    "a browser that shows old pages": ("viewer-cache-control", telling_viewers("max-age=0, stale-while-revalidate=60")),
    "a proxy that keeps pages": ("viewer-cache-control", telling_viewers("max-age=0, s-maxage=300")),
    "a second origin that anybody may ask": ("open-origin", second_origin(CustomHeaders=NONE)),
    "a second origin that takes its time": ("completion-timeout", second_origin(ResponseCompletionTimeout=60)),
    "404 for feeds": (
        "function",
        lambda told: behavior(told, "/feed/*").update(
            FunctionAssociations=config(told)["DefaultCacheBehavior"]["FunctionAssociations"]
        ),
    ),
    "errors for as long as CloudFront likes": (
        "error-caching",
        lambda told: config(told).update(CustomErrorResponses=NONE),
    ),
    "404 for a minute": (
        "error-caching",
        lambda told: items(config(told)["CustomErrorResponses"])[2].update(ErrorCachingMinTTL=60),
    ),
    "everything to the origin": (
        "open-path",
        lambda told: config(told)["DefaultCacheBehavior"].pop("FunctionAssociations"),
    ),
    "authors forgotten": ("path-pattern", without_behavior("/author/*")),
    "a pattern in capitals": ("path-pattern", lambda told: behavior(told, "/post/*").update(PathPattern="/Post/*")),
    "private feeds open": ("private-open", without_key_group),
    "public feeds closed": (
        "public-closed",
        lambda told: behavior(told, "/feed/*").update(
            TrustedKeyGroups={"Enabled": True, "Quantity": 1, "Items": ["k"]}
        ),
    ),
    "signed cookies in the clear": (
        "viewer-protocol",
        lambda told: behavior(told, "/private/*").update(ViewerProtocolPolicy="allow-all"),
    ),
    "writes let through": (
        "methods",
        lambda told: behavior(told, "/feed/*").update(AllowedMethods={"Quantity": 3, "Items": ["GET", "HEAD", "POST"]}),
    ),
    "compression at the edge": ("compress", lambda told: behavior(told, "/feed/*").update(Compress=True)),
    "no logs": ("logging", lambda told: config(told).update(Logging={"Enabled": False})),
    "HTTP/1.1": ("http-version", lambda told: config(told).update(HttpVersion="http1.1")),
    "switched off": ("disabled", lambda told: config(told).update(Enabled=False)),
}


def codes(told: Document, expected: Expected | None = None) -> list[str]:
    """Return the codes of what doctor finds."""
    return [finding.code for finding in judge(awsjson.parse(told), expected or Expected())]


def test_doctor_is_silent_on_the_templates_own() -> None:
    assert codes(TEMPLATES_OWN) == []
    assert judge(ours(), Expected()) == []


@pytest.mark.parametrize("name", MISTAKES)
def test_a_planted_mistake_is_named_and_nothing_else(name: str) -> None:
    code, plant = MISTAKES[name]
    told = deepcopy(TEMPLATES_OWN)
    plant(told)
    assert told != TEMPLATES_OWN
    assert codes(told) == [code]


def test_every_finding_is_in_the_docs_with_its_severity() -> None:
    from tests.unit.test_docs_headings import page

    rows = page("doctor.md").splitlines()
    for code, plant in MISTAKES.values():
        told = deepcopy(TEMPLATES_OWN)
        plant(told)
        (finding,) = judge(awsjson.parse(told), Expected())
        assert any(row.startswith(f"| `{code}` |") and finding.severity in row for row in rows), code


def test_a_mistake_of_a_policy_is_named_once_with_its_behaviours() -> None:
    told = deepcopy(TEMPLATES_OWN)
    caching(told)["MinTTL"] = 5
    (finding,) = judge(awsjson.parse(told), Expected())
    assert finding.where == "policy 'edgebake-feeds' of '/feed/*', '/author/*', '/post/*', '/private/*'"


def test_a_mistake_of_several_behaviours_is_named_once_for_each_thing_it_breaks() -> None:
    told = deepcopy(TEMPLATES_OWN)
    for each in items(config(told)["CacheBehaviors"]):
        each["ViewerProtocolPolicy"] = "allow-all"
    private, public = judge(awsjson.parse(told), Expected())
    assert (private.severity, private.where) == ("error", "behaviour '/private/*'")
    assert (public.severity, public.where) == ("warning", "behaviour '/feed/*', '/author/*', '/post/*'")


def test_errors_come_before_warnings() -> None:
    told = deepcopy(TEMPLATES_OWN)
    config(told).update(HttpVersion="http1.1")
    behavior(told, "/post/*")["ResponseHeadersPolicyId"] = ""
    assert [finding.severity for finding in judge(awsjson.parse(told), Expected())] == ["error", "warning"]


def test_what_is_set_is_what_is_expected() -> None:
    assert codes(TEMPLATES_OWN, Expected(max_ttl=600)) == ["maximum-ttl"]
    assert codes(TEMPLATES_OWN, Expected(origin_timeout=3)) == ["completion-timeout"]
    assert codes(TEMPLATES_OWN, Expected(tag_header="edge-tag")) == ["tag-header", "tags-shown", "tags-shown"]
    assert codes(TEMPLATES_OWN, Expected(tag_header="CACHE-TAG")) == []


@pytest.mark.parametrize("told", ["No-Cache", "private, max-age=0, must-revalidate", "no-store", "max-age=0"])
def test_what_makes_viewers_ask_each_time_is_well_however_it_is_spelt(told: str) -> None:
    document = deepcopy(TEMPLATES_OWN)
    telling_viewers(told)(document)
    assert codes(document) == []


def test_cloudfront_has_two_tiers_at_least_and_the_local_edge_may_have_one() -> None:
    assert codes(TEMPLATES_OWN, Expected(tiers=1)) == ["tiers"]
    assert codes(TEMPLATES_OWN, Expected(tiers=1, least_tiers=1)) == []


def test_what_leads_to_an_origin_of_the_feeds_group_is_open() -> None:
    told = deepcopy(TEMPLATES_OWN)
    second_origin()(told)
    assert codes(told) == []
    config(told)["DefaultCacheBehavior"].update(TargetOriginId="second", FunctionAssociations=NONE)
    assert codes(told) == ["open-path"]


def test_a_behaviour_whose_origin_is_not_there_is_unreadable() -> None:
    told = deepcopy(TEMPLATES_OWN)
    behavior(told, "/feed/*")["TargetOriginId"] = "gone"
    with pytest.raises(DistributionUnreadable, match=r"behaviour '/feed/\*' .* names the origin 'gone'"):
        awsjson.parse(told)


def test_a_vpc_origin_needs_no_secret() -> None:
    told = deepcopy(TEMPLATES_OWN)
    origin(told).update(CustomHeaders=NONE, VpcOriginConfig={"VpcOriginId": "vo_1", "OriginReadTimeout": 5})
    assert codes(told) == []


def test_a_default_behaviour_with_an_origin_of_its_own_is_well() -> None:
    told = deepcopy(TEMPLATES_OWN)
    bucket = {"Id": "bucket", "DomainName": "b.s3.amazonaws.com", "OriginAccessControlId": "E1", "S3OriginConfig": {}}
    items(config(told)["Origins"]).append(bucket)  # type: ignore[attr-defined]  # it is a list here
    config(told)["DefaultCacheBehavior"].update(TargetOriginId="bucket", FunctionAssociations=NONE)
    assert codes(told) == []


def test_private_feeds_in_the_clear_between_edge_and_origin_are_noted() -> None:
    told = deepcopy(TEMPLATES_OWN)
    (origin,) = items(config(told)["Origins"])
    for protocol, count in (("https-only", 0), ("http-only", 1), ("match-viewer", 1)):
        origin["CustomOriginConfig"]["OriginProtocolPolicy"] = protocol
        assert sum("in the clear" in note for note in notes(awsjson.parse(told))) == count, protocol


def test_shield_and_web_acl_are_noted_and_judged_by_nobody() -> None:
    assert ["off" in note or "No web ACL" in note for note in notes(ours())] == [True, True]
    assert "eu-west-1" in notes(ours(shield="eu-west-1"))[0]
    assert judge(ours(shield="eu-west-1"), Expected(tiers=3)) == []
