"""The page docs/settings.md is what the table says, and says it of every setting."""

from pathlib import Path

from edgebake.commands.show import document
from edgebake.sources import TABLE

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


def test_the_page_is_as_the_command_prints_it() -> None:
    assert PAGE.read_text(encoding="utf-8") == document(), "run `edgebake config --markdown > docs/settings.md`"


def test_every_setting_has_a_heading() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert [row.variable for row in TABLE if f"\n## {row.variable}\n" not in page] == []
