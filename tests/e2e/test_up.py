"""`edgebake up`: starts everything, stops it in order, and never leaves anything behind."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.e2e.running import COMMAND, PATIENCE_S, Running, edgebake, is_alive, until, up


def test_the_line_of_json_says_where_everything_is(demo: Running) -> None:
    assert {"edge", "origin", "api", "ops", "redis", "database", "token", "users", "pids"} <= demo.found.keys()
    assert demo.read(f"/feed/{demo.found['users'][0]}").headers["x-cache"].endswith(" from cloudfront")
    assert demo.ops.get("/readyz").status_code == 200
    assert demo.api.get("/api/site").status_code == 200


def test_the_front_page_lists_feeds_that_are_there(demo: Running) -> None:
    page = demo.read("/").text
    for user in demo.found["users"]:
        assert f"/feed/{user}" in page
        demo.read(f"/feed/{user}")


def test_what_clients_need_is_readable_for_the_owner_alone(demo: Running) -> None:
    for name in ("up.json", "api-token", "valkey-password"):
        assert (demo.folder / name).stat().st_mode & 0o077 == 0


def test_a_second_up_in_the_same_folder_is_refused_with_the_first_ones_pid(demo: Running, tmp_path: Path) -> None:
    second = edgebake("up", "--json", "--port", "0", "--data-dir", str(demo.folder), folder=tmp_path)
    assert (second.returncode, second.stdout) == (1, "")
    assert second.stderr.count("\n") == 1
    assert f"in use by process {demo.process.pid}" in second.stderr


def test_a_port_that_is_taken_is_said_with_the_variable_to_change(demo: Running, tmp_path: Path) -> None:
    port = demo.found["edge"].rpartition(":")[2]
    second = edgebake("up", "--port", port, folder=tmp_path)
    assert second.returncode == 1
    assert second.stderr.startswith(f"edgebake: EDGEBAKE_EDGE_PORT is '{port}': ")


def test_ctrl_c_stops_everything_in_order(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with subprocess.Popen(
        [COMMAND, "up", "--port", "0", "--data-dir", str(folder)],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        until((folder / "up.json").exists, "up.json is there")
        pids = json.loads((folder / "up.json").read_text())["pids"]
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    steps = [line.partition("  step")[2].strip() for line in said.splitlines() if "  step" in line]
    wanted = ["edge", "feeds, api", "relay, fanout, invalidator, recompute", "valkey"]
    assert steps == [*(f"stopping {names}" for names in wanted), "stopped"]
    assert "Traceback" not in said
    assert [name for name, pid in pids.items() if is_alive(pid)] == []
    assert not (folder / "up.json").exists()


def test_folders_of_the_reader_with_names_of_ours_do_not_get_in_the_way(tmp_path: Path) -> None:
    for name in ("cdn", "edgebake", "feeds"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('not ours')")
    with up(tmp_path / "data") as running:
        assert running.ops.get("/readyz").status_code == 200


def test_an_up_that_was_killed_leaves_nothing_and_the_next_one_has_its_data(tmp_path: Path) -> None:
    with up(tmp_path / "data") as first:
        first.until_live(first.write("PUT", "/api/users/ada", {"name": "Ada"}), first.publish("ada", "Kept"))
        pids = first.pids()
        first.process.kill()
        first.process.wait()
    until(lambda: not any(map(is_alive, pids.values())), "its children ended of themselves")
    with up(tmp_path / "data") as second:
        assert second.found["token"] == first.found["token"]
        assert "Kept" in second.read("/feed/ada").text


def test_an_up_that_starts_while_a_killed_ones_children_end_waits_for_them(tmp_path: Path) -> None:
    with up(tmp_path / "data") as first:
        first.process.kill()
        first.process.wait()
        with up(tmp_path / "data") as second:
            assert second.ops.get("/readyz").status_code == 200


@pytest.mark.parametrize("name", ["edge", "valkey"])
def test_a_process_that_dies_is_started_again(tmp_path: Path, name: str) -> None:
    with up(tmp_path / "data") as running:
        running.until_live(running.write("PUT", "/api/users/ada", {"name": "Ada"}))
        first = running.pids()[name]
        os.kill(first, signal.SIGKILL)
        until(lambda: running.pids()[name] not in (first, None), f"{name} runs again")
        running.until_live(running.publish("ada", "After the crash"))
        assert "After the crash" in running.read("/feed/ada").text


def test_fresh_empties_the_folder(tmp_path: Path) -> None:
    with up(tmp_path / "data") as first:
        first.until_live(first.write("PUT", "/api/users/ada", {"name": "Ada"}))
    with up(tmp_path / "data", "--fresh") as second:
        assert second.api.get("/api/users/ada").status_code == 404
        assert second.found["token"] != first.found["token"]


def test_a_folder_that_holds_other_things_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear-ada.txt").write_text("…")
    refused = edgebake("up", "--fresh", "--data-dir", "letters", folder=tmp_path)
    assert refused.returncode == 1
    assert "files that are not ours" in refused.stderr
    assert [path.name for path in (tmp_path / "letters").iterdir()] == ["dear-ada.txt"]
