"""The page of the local edge: each row of its table has a test of that name, and no behaviour is missing."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "local-edge.md").read_text(encoding="utf-8")
TABLE = PAGE.partition("| CloudFront | page | local edge | test |\n")[2].partition("\n\n")[0]
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in TABLE.splitlines()[1:]]


def names_in(cell: str) -> list[str]:
    return re.findall(r"`(test_\w+)`", cell)


def known_tests() -> Iterator[str]:
    """Yield the name of each test in the tree."""
    for path in (ROOT / "tests").rglob("test_*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                yield node.name


def test_every_row_of_the_table_has_a_test_of_that_name() -> None:
    known = set(known_tests())
    missing = {name for row in ROWS for name in names_in(row[-1])} - known
    assert missing == set()


def test_every_row_says_what_where_and_which_test() -> None:
    wrong = [row for row in ROWS if len(row) != 4 or not row[0] or not row[2] or not names_in(row[3])]
    assert wrong == []


def test_a_row_names_a_page_or_says_that_none_settles_it() -> None:
    assert [row[0] for row in ROWS if not re.search(r"\[[\w.-]+\]", row[1]) and "(?)" not in "".join(row)] == []


@pytest.mark.parametrize(
    "behaviour",
    [
        "minimum TTL", "default TTL", "maximum TTL",
        "cache key", "query strings", "`Accept-Encoding`", "`Vary` is not in the key",
        "first behaviour", "wait for it and share it", "cookies forwarded", "`max-age=0` or `s-maxage=0`",
        "`RefreshHit`", "`stale-while-revalidate`", "`stale-if-error`", "5xx", "`ErrorCachingMinTTL`",
        "Compression", "ETag weak", "response headers policy",
        "`X-Cache`", "`Via`", "`Age`", "`X-Amz-Cf-Id`", "`X-Amz-Cf-Pop`",
        "edge location", "regional cache", "Origin Shield",
        "Signed cookies and URLs", "trusted key group",
        "`#tag`", "A path drops", "3,000 items", "15 wildcards", "`Throttling`", "`InProgress`", "`CallerReference`",
        "`ListInvalidations`", "XML", "Standard log",
    ],
)  # fmt: skip
def test_what_the_local_edge_has_to_do_is_in_the_table(behaviour: str) -> None:
    assert behaviour.lower() in TABLE.lower()


@pytest.mark.parametrize("fault", ["slow", "refusing", "silent"])
def test_the_faults_on_demand_are_on_the_page(fault: str) -> None:
    words = {"slow": "takes so much longer"}
    assert words.get(fault, f"`{fault}`") in PAGE
