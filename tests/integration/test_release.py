"""`edgebake release` names the templates of this version as the current ones, once."""

from pathlib import Path

from typer.testing import CliRunner

from baker.render import template_version
from edgebake.cli import app
from templates import FOLDER


def run(folder: Path, *words: str) -> str:
    """Return what the command prints."""
    result = CliRunner().invoke(app, ["--data-dir", str(folder), "release", *words])
    assert result.exit_code == 0, result.output
    return result.output.strip()


def test_a_release_makes_this_versions_templates_current_once(tmp_path: Path) -> None:
    version = template_version(FOLDER)
    assert run(tmp_path).startswith(f"templates {version}: change c-")
    assert run(tmp_path, "--show") == f"these templates: {version}\nthe site's: {version}"
    assert run(tmp_path) == f"templates {version} are current already"
