"""The Grafana dashboard asks for metrics that are there, and leaves none out."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.test_docs_headings import metrics

DASHBOARD: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "deploy" / "grafana" / "edgebake.json").read_text(encoding="utf-8")
)
PANELS: list[dict[str, Any]] = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
NAMED = re.compile(r"(edgebake_\w+?)(?:_bucket)?\{([^}]*)\}").findall
SUMMED = re.compile(r"by \(([^)]*)\)").findall


def asked() -> Iterator[tuple[str, str]]:
    """Yield each expression, with the name of its panel."""
    for panel in PANELS:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


def test_every_metric_is_in_a_panel_and_every_panels_metric_in_the_code() -> None:
    shown = {name for _, expression in asked() for name, _ in NAMED(expression)}
    assert shown == {name for name, _ in metrics()}


@pytest.mark.parametrize(("panel", "expression"), list(asked()))
def test_an_expression_sums_by_labels_that_its_metrics_have(panel: str, expression: str) -> None:
    labels = {name: set(found) | {"job", "le"} for name, found in metrics()}
    known = set().union(*(labels[name] for name, _ in NAMED(expression)))
    wanted = {label.strip() for group in SUMMED(expression) for label in group.split(",")}
    assert wanted <= known, panel
    assert expression.count("(") == expression.count(")")


def test_no_two_panels_stand_in_each_others_way() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert taken.isdisjoint(cells), panel["title"]
        taken |= cells
    assert max(x for x, _ in taken) < 24
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
