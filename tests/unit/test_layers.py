"""Nothing imports upwards or sideways: the table of the layers, held against every import in the tree."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAY_IMPORT = {
    "edgebake": {"edgebake", "publisher", "baker", "invalidator", "feeds", "cdn", "templates"},
    "publisher": {"publisher", "feeds"},
    "baker": {"baker", "feeds", "cdn", "templates"},
    "invalidator": {"invalidator", "feeds", "cdn"},
    "feeds": {"feeds"},
    "cdn": {"cdn"},
}
OURS = {*MAY_IMPORT, "templates", "tests", "bench"}


def imports_of(source: str) -> Iterator[str]:
    """Yield the top-level package of each import, at any depth of the code."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0]


@pytest.mark.parametrize("layer", MAY_IMPORT)
def test_a_layer_imports_only_what_is_below_it(layer: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sorted((ROOT / layer).rglob("*.py"))
        for name in imports_of(path.read_text(encoding="utf-8"))
        if name in OURS - MAY_IMPORT[layer]
    ]
    assert wrong == []


def test_an_import_inside_a_function_counts() -> None:
    assert list(imports_of("def late():\n    from feeds.record import Record\n    import cdn.tags")) == ["feeds", "cdn"]
