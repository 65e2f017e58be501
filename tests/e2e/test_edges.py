"""One scenario over each edge: the same observations, but for those that are listed here and in docs/varnish.md."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e.running import up
from tests.e2e.scenario import SETTINGS, Scenario
from tests.integration.varnish import MISSING, is_installed

SEEN = """\
# nobody is there
fan: Error 404, origin 1
fan again: Error 404, origin 0
# users come
fan: Miss 200 [], origin 1
stranger: Miss 200 [], origin 1
fan: Hit 200 [], origin 0
stranger: Hit 200 [], origin 0
# a post is published
fan: Miss 200 [One], origin 1
stranger: Hit 200 [], origin 0
fan again: Hit 200 [One], origin 0
fan, without gzip: Miss 200 [One], origin 1
fan, with a cookie and a query: Hit 200 [One], origin 0
the author: Miss 200 [One], origin 1
the post: Miss 200, origin 1
# it is edited
fan: Miss 200 [First], origin 1
stranger: Hit 200 [], origin 0
the author: Miss 200 [First], origin 1
# it is deleted
fan: Miss 200 [Two, First], origin 1
fan: Miss 200 [Two], origin 1
stranger: Hit 200 [], origin 0
the post: Error 410, origin 1
# a user is invalidated
fan: Miss 200 [Two], origin 1
stranger: Hit 200 [], origin 0
# everything is invalidated
fan: Miss 200 [Two], origin 1
stranger: Miss 200 [], origin 1
fan: Hit 200 [Two], origin 0
stranger: Hit 200 [], origin 0
# an author is renamed
fan: Miss 200 [Two], origin 1
stranger: Hit 200 [], origin 0
# the origin is down
fan: Hit 200 [Two]
explore, which has expired: Hit 200 [Two]
never read: Error 504
# the origin is back
never read: Miss 200 []
explore: RefreshHit 200 [Two]
fan: Hit 200 [Two], origin 0
# redis is flushed
fan: Miss 200 [Three, Two], origin 1
stranger: Miss 200 [], origin 1
fan: Hit 200 [Three, Two], origin 0
stranger: Hit 200 [], origin 0
""".splitlines()

DIFFERENCES: Mapping[str, Mapping[str, str]] = {
    "local": {},
    # Varnish keeps what it fetched with gzip, and unpacks it for whoever does without: one variant, one miss.
    "varnish": {"fan, without gzip: Miss 200 [One], origin 1": "fan, without gzip: Hit 200 [One], origin 0"},
}


def scenario_over(edge: str, folder: Path) -> list[str]:
    """Return what was seen over an edge."""
    with up(folder / "data", "--edge", edge, others=SETTINGS) as running:
        return Scenario(running).run()


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, list[str]]:
    """What was seen over each edge that is there: both at once, for most of it is waiting."""
    edges = [edge for edge in DIFFERENCES if edge != "varnish" or is_installed()]
    with ThreadPoolExecutor(len(edges)) as pool:
        runs = {edge: pool.submit(scenario_over, edge, tmp_path_factory.mktemp(edge)) for edge in edges}
    return {edge: run.result() for edge, run in runs.items()}


@pytest.mark.parametrize("edge", DIFFERENCES)
def test_the_scenario_is_seen_the_same_over_each_edge(seen: Mapping[str, list[str]], edge: str) -> None:
    if edge not in seen:
        pytest.skip(MISSING)
    assert seen[edge] == [DIFFERENCES[edge].get(line, line) for line in SEEN]


def test_every_difference_is_one_and_is_told(seen: Mapping[str, list[str]]) -> None:
    page = (Path(__file__).parents[2] / "docs" / "varnish.md").read_text(encoding="utf-8")
    told = page.partition("\n## What differs from CloudFront\n")[2]
    for edge, lines in DIFFERENCES.items():
        assert set(lines) <= set(SEEN), edge
        assert [line for line in lines.values() if f"`{line}`" not in told] == []
