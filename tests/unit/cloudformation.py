"""A CloudFormation template, resolved as CloudFormation would: its parameters given, its resources made up.

What is made up goes by the template's names: a policy's id is its name, an attribute is ``Resource.Attribute``.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

TEMPLATE = Path(__file__).parents[2] / "deploy" / "cloudformation" / "edgebake.yaml"
GIVEN = {"Image": "registry/edgebake:1", "CloudFrontPrefixList": "pl-1", "ReadersKey": "PEM"}
"""The parameters that have no default, and the key, of which there must be one."""
PSEUDO = {
    "AWS::StackName": "edgebake",
    "AWS::Region": "eu-west-1",
    "AWS::AccountId": "123456789012",
    "AWS::Partition": "aws",
}
NO_VALUE = object()
NAMES = ("Name", "PublicKeyConfig", "KeyGroupConfig", "CachePolicyConfig", "OriginRequestPolicyConfig")
"""Where a resource of CloudFront has its name, itself or below."""


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms: ``!Ref x`` is ``{"Ref": x}``, ``!Sub x`` is ``{"Fn::Sub": x}``."""


def _short_form(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        raise TypeError(f"{suffix} has neither a text nor a list")
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _short_form)


def read() -> dict[str, Any]:
    """Return the template as it is written."""
    template: dict[str, Any] = yaml.load(TEMPLATE.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - a safe one
    return template


class Stack:
    """A template with its parameters given."""

    def __init__(self, **given: str) -> None:
        self.template = read()
        defaults = {name: row.get("Default") for name, row in self.template["Parameters"].items()}
        self.parameters: Mapping[str, Any] = {**defaults, **GIVEN, **given}
        self.pseudo = PSEUDO | {name: given[name] for name in PSEUDO.keys() & given.keys()}

    def properties(self, resource: str) -> dict[str, Any]:
        """Return the properties of a resource, resolved."""
        found: dict[str, Any] = self.resolve(self.template["Resources"][resource]["Properties"])
        return found

    def of_type(self, kind: str) -> dict[str, dict[str, Any]]:
        """Return the resources of a type that are made, resolved."""
        those = self.template["Resources"].items()
        made = (name for name, row in those if row["Type"] == kind and self.holds(row.get("Condition")))
        return {name: self.properties(name) for name in made}

    def holds(self, condition: str | None) -> bool:
        """Tell whether a condition holds."""
        return condition is None or bool(self.resolve(self.template["Conditions"][condition]))

    def resolve(self, node: Any) -> Any:
        """Return a part of the template, its functions replaced by what they give."""
        if isinstance(node, list):
            return [found for each in node if (found := self.resolve(each)) is not NO_VALUE]
        if not isinstance(node, dict):
            return node
        if len(node) == 1 and (name := next(iter(node))) in _FUNCTIONS:
            return getattr(self, _FUNCTIONS[name])(node[name])
        return {name: found for name, each in node.items() if (found := self.resolve(each)) is not NO_VALUE}

    def ref(self, name: str) -> Any:
        """Return what ``!Ref`` gives."""
        if name == "AWS::NoValue":
            return NO_VALUE
        if name in self.parameters:
            return self.parameters[name]
        return self.pseudo.get(name) or self._id(name)

    def _id(self, resource: str) -> str:
        properties = self.properties(resource) if "CloudFront::" in self.template["Resources"][resource]["Type"] else {}
        found = next((properties[key] for key in properties if key in NAMES or key.endswith("PolicyConfig")), resource)
        return str(found["Name"] if isinstance(found, dict) else found)

    def _sub(self, text: str) -> str:
        return re.sub(r"\$\{([^}]+)\}", lambda found: self._named(found[1]), text)

    def _named(self, name: str) -> str:
        return name if "." in name else str(self.ref(name))

    def _attribute(self, name: str) -> str:
        resource, _, attribute = name.partition(".")
        return f"arn:aws:cloudfront::1:function/{self._id(resource)}" if attribute == "FunctionARN" else name

    def _if(self, node: list[Any]) -> Any:
        return self.resolve(node[1] if self.holds(node[0]) else node[2])

    def _equals(self, node: list[Any]) -> bool:
        one, other = self.resolve(node)
        return bool(one == other)

    def _not(self, node: list[Any]) -> bool:
        return not self.resolve(node[0])

    def _and(self, node: list[Any]) -> bool:
        return all(map(self.resolve, node))

    def _join(self, node: list[Any]) -> str:
        return str(node[0].join(self.resolve(node[1])))

    def _select(self, node: list[Any]) -> Any:
        return self.resolve(node[1])[node[0]]

    def _split(self, node: list[Any]) -> list[str]:
        return str(self.resolve(node[1])).split(node[0])

    def _zones(self, region: str) -> list[str]:
        return [f"{region}a", f"{region}b"]


_FUNCTIONS = {
    "Ref": "ref",
    "Condition": "holds",
    "Fn::Sub": "_sub",
    "Fn::GetAtt": "_attribute",
    "Fn::If": "_if",
    "Fn::Equals": "_equals",
    "Fn::Not": "_not",
    "Fn::And": "_and",
    "Fn::Join": "_join",
    "Fn::Select": "_select",
    "Fn::Split": "_split",
    "Fn::GetAZs": "_zones",
}


def document(stack: Stack) -> dict[str, Any]:
    """Return the template's distribution as ``edgebake doctor --save`` writes that of an account."""
    (config,) = (each["DistributionConfig"] for each in stack.of_type("AWS::CloudFront::Distribution").values())
    return {
        "Id": "LOCALEDGE",
        "DistributionConfig": _as_told(config),
        "CachePolicies": _policies(stack, "CachePolicy"),
        "OriginRequestPolicies": _policies(stack, "OriginRequestPolicy"),
        "ResponseHeadersPolicies": _policies(stack, "ResponseHeadersPolicy"),
    }


def _policies(stack: Stack, kind: str) -> dict[str, Any]:
    configs = [each[f"{kind}Config"] for each in stack.of_type(f"AWS::CloudFront::{kind}").values()]
    return {config["Name"]: _as_told(config) for config in configs}


_RENAMED = {"OriginCustomHeaders": "CustomHeaders"}
_SWITCHED = ("TrustedKeyGroups", "Logging")
"""What is on where a template has it, and says so where the API tells it."""


def _as_told(node: Any, name: str = "") -> Any:
    """Return a part of a template as the API tells it: lists with their quantity, and other names here and there."""
    if isinstance(node, list):
        listed = [_as_told(each) for each in node]
        return {"Quantity": len(listed), "Items": listed, **({"Enabled": True} if name in _SWITCHED else {})}
    if not isinstance(node, dict):
        return node
    if "Items" in node:
        return {"Quantity": len(node["Items"]), "Items": [_as_told(each) for each in node["Items"]]}
    told = {_RENAMED.get(member, member): _as_told(each, member) for member, each in node.items()}
    return told | ({"Enabled": True} if name in _SWITCHED else {})
