"""The data folder: what cannot be one is told in a line, and a damaged up.json too."""

from pathlib import Path

import pytest

from edgebake.errors import CommandError
from edgebake.folder import DataFolder


@pytest.mark.parametrize("below", ["", "deeper"])
def test_a_file_where_the_folder_should_be_is_told(tmp_path: Path, below: str) -> None:
    file = tmp_path / "file"
    file.write_text("not ours")
    with pytest.raises(CommandError, match=r"EDGEBAKE_DATA_DIR is '.*', which cannot be a folder of ours: "):
        DataFolder(file / below).make()
    assert file.read_text() == "not ours"
    assert DataFolder(file / below).read_up() is None


def test_a_damaged_up_json_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "up.json").write_text('{"edge')
    with pytest.raises(CommandError, match=r"up\.json is damaged .* start `edgebake up` again"):
        DataFolder(tmp_path).read_up()


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    DataFolder(tmp_path).write_up({"edge": "http://127.0.0.1:8080"})
    assert DataFolder(tmp_path).read_up() == {"edge": "http://127.0.0.1:8080"}
    assert (tmp_path / "up.json").stat().st_mode & 0o077 == 0
