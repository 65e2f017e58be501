"""Every metric, error class, command, option and Lua script of the code stands in the documentation."""

import ast
import importlib
import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

from edgebake.cli import app

ROOT = Path(__file__).parents[2]
ROOMS = ("baker", "cdn", "edgebake", "feeds", "invalidator", "publisher")
METRICS = {"Counter", "Gauge", "Histogram", "Summary"}
FLOW = {"_Moved"}  # no error: a page that is selected again
PROGRAMS = {"__main__.py", "env.py", "preloaded.py"}  # what runs when it is imported


def page(name: str) -> str:
    """Return a page of the documentation."""
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def headings(text: str, level: str = "##") -> list[str]:
    """Return the headings of a level."""
    return re.findall(rf"^{level} (.+)$", text, re.MULTILINE)


def section(text: str, heading: str) -> str:
    """Return what stands under a heading."""
    return re.split(r"^##+ ", text.partition(f"## {heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


@cache
def modules() -> Sequence[ast.Module]:
    """Return every module of ours."""
    paths = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
    return [ast.parse(path.read_text(encoding="utf-8")) for path in paths]


@cache
def metrics() -> Sequence[tuple[str, list[str]]]:
    """Return each metric that is declared, with its labels."""
    return list(_metrics())


def _metrics() -> Iterator[tuple[str, list[str]]]:
    for node in (node for module in modules() for node in ast.walk(module)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in METRICS:
            if not node.args or not isinstance(node.args[0], ast.Constant):
                continue  # another Counter, of things
            labels = node.args[2:3]
            yield ast.literal_eval(node.args[0]), ast.literal_eval(labels[0]) if labels else []


def errors() -> set[str]:
    """Return the names of all exception classes of ours."""
    for path in (path for room in ROOMS for path in (ROOT / room).rglob("*.py")):
        if path.name not in PROGRAMS:
            importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"))
    return {kind.__name__ for kind in kinds_of(Exception) if kind.__module__.partition(".")[0] in ROOMS} - FLOW


def kinds_of(kind: type[Exception]) -> Iterator[type[Exception]]:
    """Yield all classes below one."""
    for below in kind.__subclasses__():
        yield below
        yield from kinds_of(below)


def commands() -> dict[str, Any]:
    """Return the commands by name."""
    found: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]  # it is a group
    return found


def options(command: Any) -> list[str]:
    """Return the options of a command that are not hidden; of a group, those of its commands too."""
    parts = [command, *getattr(command, "commands", {}).values()] if command.name != "edgebake" else [command]
    shown = [parameter for part in parts for parameter in part.params if not getattr(parameter, "hidden", False)]
    return [option for parameter in shown for option in parameter.opts if option.startswith("--")]


def trees() -> Iterator[str]:
    """Yield the trees of errors that are drawn in docstrings."""
    for module in modules():
        paragraphs = (ast.get_docstring(module) or "").split("\n\n")
        yield from (paragraph for paragraph in paragraphs if "├── " in paragraph)


def test_every_metric_has_a_heading_and_every_heading_its_metric() -> None:
    assert sorted(headings(page("metrics.md"))) == sorted(name for name, _ in metrics())


@pytest.mark.parametrize(("name", "labels"), [(name, labels) for name, labels in metrics() if labels])
def test_the_labels_of_a_metric_are_in_its_section(name: str, labels: list[str]) -> None:
    told = section(page("metrics.md"), name)
    assert [label for label in labels if f"`{label}`" not in told] == []


def test_every_error_has_a_heading_and_every_heading_its_error() -> None:
    assert sorted(headings(page("errors.md"), "###")) == sorted(errors())


def test_the_trees_of_errors_are_those_of_the_code() -> None:
    assert [tree for tree in trees() if tree not in page("errors.md")] == []


def test_every_command_has_a_heading_and_every_heading_its_command() -> None:
    assert sorted(headings(page("commands.md"))) == sorted(f"edgebake {name}" for name in commands())


@pytest.mark.parametrize("name", commands())
def test_every_option_is_in_the_section_of_its_command(name: str) -> None:
    told = section(page("commands.md"), f"edgebake {name}")
    assert [option for option in options(commands()[name]) if f"`{option}" not in told] == []


def test_every_flag_before_a_command_is_at_the_head_of_the_page() -> None:
    told = page("commands.md").partition("\n## ")[0]
    assert [option for option in options(typer.main.get_command(app)) if f"`{option}" not in told] == []


def test_every_lua_script_is_explained() -> None:
    told = page("how-it-works.md")
    scripts = [path.relative_to(ROOT).as_posix() for room in ROOMS for path in (ROOT / room).rglob("*.lua")]
    assert sorted(script for script in scripts if f"`{script}`" not in told) == []


def test_every_interleaving_that_the_code_names_is_told() -> None:
    told = page("how-it-works.md").partition("\n## The interleavings\n")[2]
    files = [path for room in ROOMS for ending in ("py", "lua") for path in (ROOT / room).rglob(f"*.{ending}")]
    named = {name for path in files for name in re.findall(r"interleaving (\d[a-z])", path.read_text(encoding="utf-8"))}
    assert named
    assert [name for name in sorted(named) if not re.search(rf"\b{name}\b", told)] == []
