"""The CloudFormation template does what the code needs: the distribution, ports, commands, variables, permissions."""

import ast
import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer
from botocore import xform_name
from botocore.session import Session

from cdn import awsjson
from cdn.distribution import ours
from cdn.doctor import Expected, judge
from edgebake.cli import app
from edgebake.settings import Settings
from edgebake.sources import BY_VARIABLE, load
from tests.unit.cloudformation import TEMPLATE, Stack, document

ROOT = Path(__file__).parents[2]
ROOMS = ("baker", "cdn", "edgebake", "feeds", "invalidator", "publisher")
DIRECT_BYTES = 51_200
"""The largest template that CloudFormation takes without a bucket [cloudformation-limits]."""


def expected(settings: Settings) -> Expected:
    """Return what settings reckon with, as the command hands it to doctor."""
    from edgebake.checks import expected_of

    return expected_of(settings)


def containers(stack: Stack) -> dict[str, dict[str, Any]]:
    """Return the container of each task."""
    tasks = stack.of_type("AWS::ECS::TaskDefinition").values()
    return {container["Name"]: container for task in tasks for container in task["ContainerDefinitions"]}


def environ(container: dict[str, Any]) -> dict[str, str]:
    """Return the variables of a container; secrets as made-up values."""
    made_up = {
        "EDGEBAKE_REDIS_URL": "rediss://:p@cache:6379/0",
        "EDGEBAKE_DATABASE_URL": "postgresql://edgebake:p@database/edgebake",
        "EDGEBAKE_API_TOKEN": "token",
        "EDGEBAKE_SIGNING_KEY": "PEM",
    }
    secrets = {each["Name"]: made_up[each["Name"]] for each in container.get("Secrets", [])}
    return secrets | {each["Name"]: str(each["Value"]) for each in container["Environment"]}


def settings_of(container: dict[str, Any]) -> Settings:
    """Return the settings that a container runs with: the image's, and the template's over them."""
    image = dict(re.findall(r"(EDGEBAKE_\w+)=(\S+)", (ROOT / "Dockerfile").read_text(encoding="utf-8")))
    told = image | environ(container)
    told["EDGEBAKE_DISTRIBUTION_ID"] = "E2EXAMPLE1"  # made up by CloudFormation, and not by its spelling
    told["EDGEBAKE_PUBLIC_URL"] = told["EDGEBAKE_PUBLIC_URL"].lower()
    if "EDGEBAKE_KEY_PAIR_ID" in told:
        told["EDGEBAKE_KEY_PAIR_ID"] = "K2EXAMPLE"
    return load({}, told, {}).settings


@pytest.mark.parametrize("region", ["eu-west-1", "us-east-1"])
def test_the_distribution_is_ours(region: str) -> None:
    made = awsjson.parse(document(Stack(**{"AWS::Region": region})))
    web_acl = "Acl.Arn" if region == "us-east-1" else None
    assert made == replace(ours(domain="FeedsBalancer.DNSName"), web_acl=web_acl)


def test_the_distribution_with_shield_a_name_and_other_times_is_ours() -> None:
    stack = Stack(
        OriginShieldRegion="eu-west-1", MaxTtl="600", OriginTimeout="7", OriginDomainName="origin.example.org"
    )
    wanted = ours(domain="origin.example.org", shield="eu-west-1", max_ttl=600, completion_timeout_s=7)
    assert awsjson.parse(document(stack)) == wanted


@pytest.mark.parametrize("given", [{}, {"OriginShieldRegion": "eu-west-1", "OriginTimeout": "7", "MaxTtl": "600"}])
def test_doctor_is_silent_on_it_with_its_own_settings(given: dict[str, str]) -> None:
    stack = Stack(**given)
    made = awsjson.parse(document(stack))
    for container in containers(stack).values():
        assert judge(made, expected(settings_of(container))) == []


@pytest.mark.parametrize("given", [{}, {"SigningKeySecret": "arn"}])
def test_its_variables_are_settings_and_load(given: dict[str, str]) -> None:
    for container in containers(Stack(**given)).values():
        assert environ(container).keys() - BY_VARIABLE.keys() == set()
        settings = settings_of(container)
        assert (settings.edge, settings.host) == ("cloudfront", "0.0.0.0")  # noqa: S104 - in a container


def test_all_services_reckon_with_the_same_edge() -> None:
    found = [
        {name: value for name, value in environ(container).items() if name != "EDGEBAKE_API_TOKEN"}
        for container in containers(Stack()).values()
    ]
    assert found[0] == found[1] == found[2]


def test_its_commands_are_the_codes() -> None:
    commands = {name: container["Command"] for name, container in containers(Stack()).items()}
    assert commands == {"feeds": ["serve", "--only", "feeds"], "api": ["serve", "--only", "api"], "work": ["work"]}
    group = typer.main.get_command(app)
    for words in commands.values():
        group.commands[words[0]].make_context(words[0], words[1:], obj={})  # type: ignore[attr-defined]  # a group


def test_its_health_check_is_the_images() -> None:
    image = re.search(r"HEALTHCHECK .*CMD (\[.*\])", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
    assert image is not None
    for container in containers(Stack()).values():
        assert container["HealthCheck"]["Command"] == ["CMD", *ast.literal_eval(image[1])]


def test_its_ports_are_the_settings() -> None:
    stack, settings = Stack(), Settings()
    ports = {name: {each["ContainerPort"] for each in c["PortMappings"]} for name, c in containers(stack).items()}
    assert ports == {
        "feeds": {settings.feeds_port, settings.ops_port},
        "api": {settings.api_port, settings.ops_port},
        "work": {settings.work_port},
    }
    targets = stack.of_type("AWS::ElasticLoadBalancingV2::TargetGroup")
    checked = {name: (each["Port"], each["HealthCheckPort"], each["HealthCheckPath"]) for name, each in targets.items()}
    assert checked == {
        "FeedsTargets": (settings.feeds_port, str(settings.ops_port), "/readyz"),
        "ApiTargets": (settings.api_port, str(settings.ops_port), "/readyz"),
    }


def test_the_distribution_leads_to_the_bakers_alone() -> None:
    stack = Stack()
    services = stack.of_type("AWS::ECS::Service").values()
    behind = {each["TargetGroupArn"]: each["ContainerName"] for s in services for each in s.get("LoadBalancers", [])}
    assert behind == {"FeedsTargets": "feeds", "ApiTargets": "api"}
    assert stack.properties("FeedsRule")["Actions"] == [{"Type": "forward", "TargetGroupArn": "FeedsTargets"}]
    assert [each["Type"] for each in stack.properties("FeedsListener")["DefaultActions"]] == ["fixed-response"]
    (ingress,) = stack.properties("FeedsBalancerGroup")["SecurityGroupIngress"]
    assert "CidrIp" not in ingress


def test_the_secret_header_is_the_same_at_both_ends() -> None:
    stack = Stack()
    (told,) = stack.properties("Distribution")["DistributionConfig"]["Origins"][0]["OriginCustomHeaders"]
    (wanted,) = stack.properties("FeedsRule")["Conditions"]
    wanted = wanted["HttpHeaderConfig"]
    assert (told["HeaderName"], [told["HeaderValue"]]) == (wanted["HttpHeaderName"], wanted["Values"])


def calls() -> Iterator[str]:
    """Yield the operations of CloudFront that our code calls, by the name of boto3's method."""
    operations = Session().get_service_model("cloudfront").operation_names
    methods = {xform_name(operation): operation for operation in operations}
    for path in (path for room in ROOMS for path in (ROOT / room).rglob("*.py")):
        if "local" in path.parts:
            continue  # the local edge answers such calls, and makes none
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in methods:
                yield methods[node.func.attr]


def test_the_worker_may_do_what_the_code_calls_and_no_more() -> None:
    roles = Stack().of_type("AWS::IAM::Role")
    statements = [
        statement for policy in roles["WorkRole"]["Policies"] for statement in policy["PolicyDocument"]["Statement"]
    ]
    allowed = {action for statement in statements for action in statement["Action"]}
    assert allowed == {f"cloudfront:{operation}" for operation in calls()}
    on_distribution = [each["Resource"] for each in statements if "cloudfront:CreateInvalidation" in each["Action"]]
    assert on_distribution == ["arn:aws:cloudfront::123456789012:distribution/Distribution"]


@pytest.mark.parametrize("signs_with", ["ReadersKey", "NextReadersKey"])
def test_cookies_are_signed_with_a_key_that_the_key_group_has(signs_with: str) -> None:
    stack = Stack(SigningKeySecret="arn", NextReadersKey="PEM 2", SignsWith=signs_with)
    pair = environ(containers(stack)["api"])["EDGEBAKE_KEY_PAIR_ID"]
    public = stack.properties(f"{signs_with.removesuffix('Key')}PublicKey")["PublicKeyConfig"]
    assert (pair, public["EncodedKey"]) == (public["Name"], stack.parameters[signs_with])
    assert pair in stack.properties("Readers")["KeyGroupConfig"]["Items"]


def test_a_file_of_settings_may_be_read_and_nothing_besides() -> None:
    stack = Stack(SettingsFile="arn:aws:s3:::mine/edge/edgebake.env")
    files = [container["EnvironmentFiles"] for container in containers(stack).values()]
    assert files == [[{"Type": "s3", "Value": "arn:aws:s3:::mine/edge/edgebake.env"}]] * 3
    (policy,) = stack.of_type("AWS::IAM::Role")["ExecutionRole"]["Policies"]
    allowed = {each["Action"]: each["Resource"] for each in policy["PolicyDocument"]["Statement"]}
    assert allowed["s3:GetObject"] == "arn:aws:s3:::mine/edge/edgebake.env"
    assert allowed["s3:GetBucketLocation"] == "arn:aws:s3:::mine"
    (policy,) = Stack().of_type("AWS::IAM::Role")["ExecutionRole"]["Policies"]
    assert [each["Action"] for each in policy["PolicyDocument"]["Statement"]] == ["secretsmanager:GetSecretValue"]


def test_only_the_worker_has_a_role() -> None:
    tasks = Stack().of_type("AWS::ECS::TaskDefinition")
    assert {name for name, task in tasks.items() if "TaskRoleArn" in task} == {"WorkTask"}


def test_valkey_evicts_nothing_and_has_the_images_parameters() -> None:
    parameters = Stack().properties("CacheParameters")["Properties"]
    compose = (ROOT / "compose.yaml").read_text(encoding="utf-8")
    words = shlex.split(compose.partition("valkey-server ")[2].partition("healthcheck")[0])
    told = dict(zip(words[::2], words[1::2], strict=True))
    assert parameters["maxmemory-policy"] == "noeviction"
    assert {name: told[f"--{name}"] for name in parameters} == parameters


def test_it_is_taken_without_a_bucket() -> None:
    assert TEMPLATE.stat().st_size <= DIRECT_BYTES
