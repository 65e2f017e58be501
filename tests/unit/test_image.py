"""The image gets what it builds from, and compose.yaml starts what there is, with settings that there are."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from edgebake.cli import app
from edgebake.sources import BY_VARIABLE

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
OURS = {name: service for name, service in COMPOSE["services"].items() if service["image"] == "edgebake"}


def copied() -> set[str]:
    """Return what the Dockerfile copies out of the folder."""
    lines = re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
    return {source for line in lines for source in line.split()[:-1]}


def locked(name: str) -> set[str]:
    """Return the packages of a lock, with their versions."""
    return set(re.findall(r"^[a-z][^\\\n]*==\S+", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE))


def test_what_is_copied_is_there_and_let_through() -> None:
    let_through = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert copied() == let_through
    assert [source for source in sorted(copied()) if not (ROOT / source).exists()] == []


def test_all_of_the_wheel_is_copied() -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert {*wheel["packages"], *wheel.get("force-include", {})} <= copied()


def test_the_packages_for_traces_are_the_others_and_more() -> None:
    assert locked("requirements.txt") < locked("requirements-otel.txt")


@pytest.mark.parametrize("name", OURS)
def test_a_service_is_a_command_with_settings_that_there_are(name: str) -> None:
    service = OURS[name]
    command, *words = service["command"]
    typer.main.get_command(app).commands[command].make_context(command, words, obj={})  # type: ignore[attr-defined]
    assert {*service["environment"]} - BY_VARIABLE.keys() == set()


def test_the_images_variables_are_settings() -> None:
    assert {*re.findall(r"(EDGEBAKE_\w+)=", DOCKERFILE)} - BY_VARIABLE.keys() == set()
