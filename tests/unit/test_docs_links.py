"""What the documentation points at is there: pages, headings, files of the code, tests; and its table of the layers."""

import re
from pathlib import Path

import pytest

from tests.unit.test_layers import MAY_IMPORT

ROOT = Path(__file__).parents[2]
PAGES = sorted(path.relative_to(ROOT).as_posix() for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")))
FOLDERS = "baker|bench|cdn|deploy|docs|edgebake|feeds|invalidator|publisher|scripts|templates|tests"

_link = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)").finditer
_file = re.compile(rf"(?<![\w/.-])((?:{FOLDERS})/[\w/*-]+\.[a-z]+)(?:::(\w+))?").finditer
_fence = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def text(page: str | Path) -> str:
    """Return a page."""
    return (ROOT / page).read_text(encoding="utf-8")


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as the forges make them."""
    found = re.findall(r"^#+ (.+)$", _fence.sub("", text(page)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    broken = []
    for found in _link(_fence.sub("", text(page))):
        path, anchor = found.groups()
        target = (ROOT / page).parent / path if path else ROOT / page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(found[0])
    assert broken == []


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_is_named_is_there(page: str) -> None:
    named = {found[1] for found in _file(text(page))}
    assert [name for name in sorted(named) if not any(ROOT.glob(name))] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_test_that_is_named_is_there(page: str) -> None:
    named = {(found[1], found[2]) for found in _file(text(page)) if found[2]}
    assert [name for file, name in sorted(named) if f"def {name}(" not in text(file)] == []


def test_the_readmes_table_of_the_layers_is_the_one_that_is_tested() -> None:
    rows = re.findall(r"^\| (`[a-z`, ]+`) \| .*? \| ([a-z`, ]+) \| .*? \|$", text("README.md"), re.MULTILINE)
    told = {layer: set(re.findall(r"\w+", allowed)) for layers, allowed in rows for layer in re.findall(r"\w+", layers)}
    assert told.keys() == MAY_IMPORT.keys()
    assert told["edgebake"] == {"everything"}
    for layer in MAY_IMPORT.keys() - {"edgebake"}:
        allowed = told[layer] - {"nothing", "of", "ours"}
        assert allowed == MAY_IMPORT[layer] - {layer, "templates"}
