"""`edgebake edge` by itself, before a site that is not Edgebake's."""

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from edgebake.valkey import free_port
from tests.e2e.running import edgebake, until
from tests.e2e.test_parts import part

SAVED = {
    "Id": "E1",
    "DistributionConfig": {
        "Enabled": True,
        "Origins": {"Quantity": 1, "Items": [{"Id": "origin", "DomainName": "feeds.example"}]},
        "CacheBehaviors": {
            "Quantity": 1,
            "Items": [
                {
                    "PathPattern": "/live/*",
                    "TargetOriginId": "origin",
                    "ViewerProtocolPolicy": "allow-all",
                    "CachePolicyId": "off",
                }
            ],
        },
        "DefaultCacheBehavior": {
            "TargetOriginId": "origin",
            "ViewerProtocolPolicy": "allow-all",
            "CachePolicyId": "on",
        },
    },
    "CachePolicies": {
        "off": {"Name": "off", "MinTTL": 0, "DefaultTTL": 0, "MaxTTL": 0},
        "on": {"Name": "on", "MinTTL": 0},
    },
}
"""What `edgebake doctor --save` writes, as little of it as a distribution needs."""


@pytest.fixture
def site() -> Iterator[str]:
    """The URL of a site that says how long its pages may be kept."""

    class Pages(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Cache-Control", "max-age=60")
            self.send_header("Content-Length", str(len(self.path)))
            self.end_headers()
            self.wfile.write(self.path.encode())

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@contextmanager
def edge(folder: Path, site: str, *arguments: str, **variables: str) -> Iterator[httpx.Client]:
    """Run an edge before a site, with these EDGEBAKE_ variables, and read there."""
    port = free_port()
    ports = ("--port", str(port), "--api-port", str(free_port()))
    environ = {f"EDGEBAKE_{name}": value for name, value in variables.items()}
    with (
        part(folder, environ, "edge", "--origin", site, *ports, *arguments),
        httpx.Client(base_url=f"http://127.0.0.1:{port}") as client,
    ):
        until(lambda: is_up(client), "the edge listens")
        yield client


def is_up(client: httpx.Client) -> bool:
    try:
        return client.get("/").status_code > 0
    except httpx.TransportError:
        return False


def x_caches(client: httpx.Client, *paths: str) -> list[str]:
    return [client.get(path).headers["x-cache"].partition(" ")[0] for path in paths]


def test_any_site_is_cached_as_its_headers_say(tmp_path: Path, site: str) -> None:
    with edge(tmp_path, site, "--all-paths") as client:
        assert client.get("/any/page?a=1").text == "/any/page?a=1"
        assert x_caches(client, "/any/page?a=1", "/any/page?a=2") == ["Hit", "Miss"]


def test_edgebakes_own_distribution_lets_nothing_else_through(tmp_path: Path, site: str) -> None:
    with edge(tmp_path, site) as client:
        assert x_caches(client, "/any/page", "/feed/ada", "/feed/ada") == ["FunctionGeneratedResponse", "Miss", "Hit"]


def test_a_saved_distribution_is_run(tmp_path: Path, site: str) -> None:
    file = tmp_path / "saved.json"
    file.write_text(json.dumps(SAVED), encoding="utf-8")
    with edge(tmp_path, site, "--distribution", str(file)) as client:
        assert x_caches(client, "/live/a", "/live/a", "/b", "/b") == ["Miss", "Miss", "Miss", "Hit"]


def test_a_saved_distribution_says_itself_which_paths_there_are(tmp_path: Path) -> None:
    refused = edgebake("edge", "--origin", "http://x", "--all-paths", "--distribution", "a.json", folder=tmp_path)
    assert refused.returncode == 2
    assert "leave --all-paths out" in refused.stderr


def test_two_locations_share_a_regional_cache_and_leave_a_log(tmp_path: Path, site: str) -> None:
    frankfurt, tokyo = free_port(), free_port()
    locations = ("--location", f"FRA56-P1:{frankfurt}", "--location", f"NRT12-C1:{tokyo}", "--tiers", "2")
    with edge(tmp_path, site, "--all-paths", *locations, "--effect", "regional=30", "--logs", "logs") as client:
        seen = [client.get(f"http://127.0.0.1:{port}/a").headers for port in (frankfurt, tokyo, tokyo)]
        named = client.get("/a", headers={"X-Edge-Location": "NRT12-C1"}).headers
    assert [(each["x-amz-cf-pop"], each["x-cache"].partition(" ")[0]) for each in (*seen, named)] == [
        ("FRA56-P1", "Miss"),
        ("NRT12-C1", "Hit"),  # of the regional cache
        ("NRT12-C1", "Hit"),
        ("NRT12-C1", "Hit"),
    ]
    (log,) = (tmp_path / "logs").glob("LOCALEDGE.*.gz")
    lines = [line.split("\t") for line in gzip.decompress(log.read_bytes()).decode().splitlines()[2:]]
    assert [line[2] for line in lines if line[7] == "/a"] == ["FRA56-P1", "NRT12-C1", "NRT12-C1", "NRT12-C1"]


@pytest.mark.parametrize(("megabytes", "first"), [("1", "Miss"), ("8", "Hit")])
def test_what_was_not_read_for_longest_makes_room_in_its_memory(
    tmp_path: Path, site: str, megabytes: str, first: str
) -> None:
    pages = [f"/{number}/{'x' * 7_000}" for number in range(300)]  # a page is as long as its path
    with edge(tmp_path, site, "--all-paths", EDGE_MEMORY_MB=megabytes) as client:
        assert set(x_caches(client, *pages)) == {"Miss"}
        assert x_caches(client, pages[-1], pages[0]) == ["Hit", first]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--origin", "127.0.0.1:8081"), "it must be a URL without a path, like http://127.0.0.1:8081"),
        (("--origin", "http://[::1"), "it must be a URL without a path, like http://127.0.0.1:8081"),
        (("--origin", "http://a:99999"), "it must be a URL without a path, like http://127.0.0.1:8081"),
        (("--origin", "http://a?b"), "it must be a URL without a path, like http://127.0.0.1:8081"),
        (("--front-page", "missing.html"), "there is no such file"),
        (("--logs", "/proc/logs"), "EDGEBAKE_EDGE_LOGS is '/proc/logs': no log can be written there"),
        (("--location", "FRA 56"), "it must be FRA56-P1 or FRA56-P1:8091"),
        (("--location", "FRA56-P1", "--location", "FRA56-P1:81"), "need a name each"),
        (("--effect", "LOCAL1-C1"), "it must be NAME=SECONDS"),
        (("--effect", "NRT12-C1=3"), "there is no 'nrt12-c1', but LOCAL1-C1"),
    ],
)
def test_what_cannot_be_is_refused_at_start_with_what_would_do(
    tmp_path: Path, arguments: tuple[str, ...], why: str
) -> None:
    refused = edgebake("edge", "--origin", "http://127.0.0.1:1", *arguments, folder=tmp_path)
    assert refused.returncode != 0
    assert why in " ".join(refused.stderr.split())
