"""http-cache-tests against the local edge: what the page says of it is what it comes to. Needs node and the network."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "local-edge.md").read_text(encoding="utf-8")


@pytest.mark.long
@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is missing")
def test_the_page_has_the_counts_and_each_required_case_that_fails(tmp_path: Path) -> None:
    script = [str(ROOT / "scripts" / "http-cache-tests"), str(tmp_path / "result.json")]
    ran = subprocess.run(script, capture_output=True, text=True, check=False, timeout=300)
    assert ran.returncode == 0, ran.stderr
    counted = re.findall(r": (\d+) of \d+ passed", ran.stdout)
    assert f"| **local edge** | **{counted[0]}** | **{counted[1]}** |" in PAGE
    failed = {line.partition(": ")[0] for line in ran.stdout.splitlines()[2:]}
    assert failed == explained()


def explained() -> set[str]:
    """Return the cases that the page explains."""
    table = PAGE.partition("| case | CloudFront | page |\n")[2].partition("\n\n")[0]
    return {case for line in table.splitlines()[1:] for case in re.findall(r"`([^`]+)`", line.split("|")[1])}
