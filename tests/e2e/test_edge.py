"""`edgebake edge` by itself: locations on ports of their own, the caches between them, and the logs that it leaves."""

import gzip
import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx

from edgebake.valkey import free_port
from tests.e2e.running import COMMAND, edgebake, until


class Site(ThreadingHTTPServer):
    """Any site: answers each path with it, and counts."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), self._handler())
        Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked.append(self.path)
                self.send_response(200)
                self.send_header("Cache-Control", "max-age=60")
                self.send_header("Content-Length", str(len(self.path)))
                self.end_headers()
                self.wfile.write(self.path.encode())

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        return Handler

    def end(self) -> None:
        self.shutdown()
        self.server_close()


@contextmanager
def running(*arguments: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """An `edgebake edge`, told to end when the test is done."""
    with subprocess.Popen([COMMAND, "edge", *arguments], cwd=folder, env={}) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(10)


def test_two_locations_share_a_regional_cache_and_leave_a_log(tmp_path: Path) -> None:
    site, (port, api, frankfurt, tokyo) = Site(), (free_port() for _ in range(4))
    arguments = ("--origin", f"http://127.0.0.1:{site.server_port}", "--all-paths", "--port", str(port))
    locations = ("--location", f"FRA56-P1:{frankfurt}", "--location", f"NRT12-C1:{tokyo}", "--regional")
    rest = ("--api-port", str(api), "--logs", "logs", "--effect", "regional=30")
    try:
        with running(*arguments, *locations, *rest, folder=tmp_path), httpx.Client() as client:
            until(lambda: _answers(f"http://127.0.0.1:{api}/faults"), "the edge")
            seen = [client.get(f"http://127.0.0.1:{each}/a").headers for each in (frankfurt, tokyo, tokyo)]
            faults = client.get(f"http://127.0.0.1:{api}/faults").json()
    finally:
        site.end()
    assert [(each["x-amz-cf-pop"], each["x-cache"].split()[0]) for each in seen] == [
        ("FRA56-P1", "Miss"), ("NRT12-C1", "Hit"), ("NRT12-C1", "Hit"),
    ]  # fmt: skip
    assert site.asked == ["/a"]
    assert faults["api"] == "none"
    (log,) = (tmp_path / "logs").glob("LOCALEDGE.*.gz")
    lines = gzip.decompress(log.read_bytes()).decode().splitlines()[2:]
    assert [line.split("\t")[2] for line in lines] == ["FRA56-P1", "NRT12-C1", "NRT12-C1"]


def test_a_location_or_a_time_that_cannot_be_is_refused_with_what_would_do(tmp_path: Path) -> None:
    for arguments, why in (
        (("--location", "FRA 56"), "it must be a name of its own, FRA56-P1 or FRA56-P1:8091"),
        (("--location", "FRA56-P1", "--location", "FRA56-P1:81"), "a name of its own"),
        (("--location", "regional", "--regional"), "need a name each"),
        (("--effect", "NRT12-C1=3"), "NAME=SECONDS, of LOCAL1-C1"),
    ):
        refused = edgebake("edge", "--origin", "http://127.0.0.1:1", *arguments, folder=tmp_path)
        assert refused.returncode != 0
        assert why in " ".join(refused.stderr.split())


def _answers(url: str) -> bool:
    try:
        return json.loads(httpx.get(url).content) is not None
    except (httpx.HTTPError, ValueError):
        return False
