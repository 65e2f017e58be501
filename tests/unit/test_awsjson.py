"""A distribution is read from AWS's JSON, whatever spelling of it AWS has, and nothing that is half there."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from cdn import awsjson
from cdn.awsjson import LEGACY, items
from cdn.distribution import ALL, Keys, ours
from cdn.errors import DistributionUnreadable
from tests.unit.cloudformation import Stack, document

OURS = document(Stack())


def test_a_saved_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "d.json").write_text(json.dumps(OURS), encoding="utf-8")
    assert awsjson.load(tmp_path / "d.json").behaviors == ours().behaviors


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"DistributionConfig": {}}', '{"DistributionConfig": 1}'])
def test_what_is_no_distribution_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "d.json").write_text(text, encoding="utf-8")
    with pytest.raises(DistributionUnreadable):
        awsjson.load(tmp_path / "d.json")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DistributionUnreadable, match=r"none\.json"):
        awsjson.load(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("member", "value", "named"),
    [
        ("CacheBehaviors", "five", '"five"'),
        ("Origins", {"Items": [{"Id": "main", "ResponseCompletionTimeout": "five"}]}, "origin 'main'"),
        ("DefaultCacheBehavior", {"TrustedKeyGroups": 5}, "behaviour '\\*'"),
        ("DefaultCacheBehavior", {"ViewerProtocolPolicy": 5}, "ViewerProtocolPolicy is 5, which is no text"),
    ],
)
def test_a_part_that_is_not_cloudfronts_is_named(member: str, value: object, named: str) -> None:
    told = deepcopy(OURS)
    part = told["DistributionConfig"][member]
    told["DistributionConfig"][member] = part | value if member == "DefaultCacheBehavior" else value
    if member == "Origins":
        told["DistributionConfig"][member]["Items"][0]["DomainName"] = "a.example"
    with pytest.raises(DistributionUnreadable, match=named):
        awsjson.parse(told)


def test_a_policy_that_is_missing_is_named_with_what_to_do() -> None:
    told = deepcopy(OURS)
    del told["CachePolicies"]["edgebake-live"]
    with pytest.raises(DistributionUnreadable, match=r"no 'edgebake-live'.*doctor --save"):
        awsjson.parse(told)


def test_a_behaviour_without_a_policy_has_what_it_says_itself() -> None:
    told = deepcopy(OURS)
    behavior: dict[str, Any] = items(told["DistributionConfig"]["CacheBehaviors"])[0]
    del behavior["CachePolicyId"]
    forwarded = {
        "QueryString": True,
        "Cookies": {"Forward": "whitelist", "WhitelistedNames": {"Quantity": 1, "Items": ["a"]}},
        "Headers": {"Quantity": 1, "Items": ["Host"]},
    }
    behavior |= {"ForwardedValues": forwarded, "MinTTL": 5, "DefaultTTL": 6, "MaxTTL": 7}
    policy = awsjson.parse(told).behaviors[0].cache
    assert (policy.name, policy.min_ttl, policy.default_ttl, policy.max_ttl) == (LEGACY, 5, 6, 7)
    assert policy.queries == ALL
    assert policy.cookies == Keys("whitelist", frozenset({"a"}))
    assert policy.headers == Keys("whitelist", frozenset({"host"}))


def test_names_of_headers_are_in_lower_case() -> None:
    live = awsjson.parse(OURS).behavior_of("/live/ada").request
    assert live is not None
    assert "sec-websocket-key" in live.headers.names


def test_each_policy_is_named_once() -> None:
    named = list(awsjson.policies_named(OURS["DistributionConfig"]))
    assert len(named) == len(set(named))
    assert {policy for member, policy in named if member == "CachePolicyId"} == set(OURS["CachePolicies"])


def test_the_values_of_the_origins_headers_are_hidden() -> None:
    hidden = awsjson.without_secrets(OURS["DistributionConfig"])
    (header,) = items(items(hidden["Origins"])[0]["CustomHeaders"])
    assert header == {"HeaderName": "Edgebake-Secret", "HeaderValue": "(hidden)"}
    assert awsjson.parse(OURS | {"DistributionConfig": hidden}) == awsjson.parse(OURS)
