"""A SQLite file belongs to one host at a time; the next is refused with the remedy."""

import os
from pathlib import Path

import pytest

from edgebake.errors import ForeignHost
from edgebake.hosts import GONE_AFTER_S, marked


async def test_a_second_host_is_refused_with_the_postgresql_url(tmp_path: Path) -> None:
    async with marked(tmp_path / "edgebake.db", "first"):
        with pytest.raises(ForeignHost, match=r"in use on host first.*EDGEBAKE_DATABASE_URL=postgresql://"):
            async with marked(tmp_path / "edgebake.db", "second"):
                pass


async def test_processes_of_one_host_share_the_file(tmp_path: Path) -> None:
    (tmp_path / "edgebake.db-hosts").mkdir()
    (tmp_path / "edgebake.db-hosts" / "1@here").touch()
    async with marked(tmp_path / "edgebake.db", "here"):
        assert len(list((tmp_path / "edgebake.db-hosts").iterdir())) == 2


async def test_a_host_that_left_in_order_is_in_nobodys_way(tmp_path: Path) -> None:
    async with marked(tmp_path / "edgebake.db", "first"):
        pass
    async with marked(tmp_path / "edgebake.db", "second"):
        pass


async def test_a_host_that_was_killed_is_in_the_way_for_a_while_only(tmp_path: Path) -> None:
    folder = tmp_path / "edgebake.db-hosts"
    folder.mkdir()
    mark = folder / "1@gone"
    mark.touch()
    touched = mark.stat().st_mtime - GONE_AFTER_S - 1
    os.utime(mark, (touched, touched))
    async with marked(tmp_path / "edgebake.db", "here"):
        pass
