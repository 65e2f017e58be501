"""Logs in S3: boto3 against a bucket over HTTP, which lists two keys a page."""

import gzip
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import boto3
import pytest
from botocore.config import Config
from typer.testing import CliRunner

from cdn.accesslog import HEAD
from cdn.errors import LogsMissing
from cdn.logs.bucket import Client, in_bucket
from cdn.logs.reader import Reader
from cdn.logs.request import Request
from edgebake.cli import app
from edgebake.errors import CommandError

LOG = HEAD + "2026-11-21\t15:04:05\tFRA\t{}\t-\tGET\t-\t/feed/ada\t200" + "\t-" * 24 + "\n"
A_PAGE = 2


class Bucket(BaseHTTPRequestHandler):
    """ListObjectsV2 and GetObject of one bucket, path style."""

    objects: Mapping[str, bytes]
    denied: bool

    def do_GET(self) -> None:
        """Answer."""
        url = urlsplit(self.path)
        name, _, key = unquote(url.path).removeprefix("/").partition("/")
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if name != "logs" or self.denied:
            self._send(403, b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>")
        elif "list-type" in query:
            self._send(200, self._listed(query))
        elif key in self.objects:
            self._send(200, self.objects[key], cut="cut" in key)
        else:
            self._send(404, b"<Error><Code>NoSuchKey</Code><Message>The key does not exist.</Message></Error>")

    def _listed(self, query: Mapping[str, str]) -> bytes:
        keys = sorted(key for key in {*self.objects, "e1/gone.gz"} if key.startswith(query.get("prefix", "")))
        start = int(query.get("continuation-token", "0"))
        rows = "".join(f"<Contents><Key>{escape(key)}</Key></Contents>" for key in keys[start : start + A_PAGE])
        more = start + A_PAGE < len(keys)
        told = f"<NextContinuationToken>{start + A_PAGE}</NextContinuationToken>" if more else ""
        return (
            f"<ListBucketResult><IsTruncated>{str(more).lower()}</IsTruncated>{told}{rows}</ListBucketResult>".encode()
        )

    def _send(self, status: int, body: bytes, *, cut: bool = False) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if cut else body)
        self.close_connection = cut

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def bucket(objects: Mapping[str, bytes], *, denied: bool = False) -> Iterator[Client]:
    """Serve a bucket named ``logs``; yield a client of it."""
    handler = type("Handler", (Bucket,), {"objects": objects, "denied": denied})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    client = boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{server.server_port}",
        region_name="eu-central-1",
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="secret",
        config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}, proxies={}),
    )
    try:
        yield client
    finally:
        client.close()
        server.shutdown()
        thread.join()
        server.server_close()


def log(size: int) -> bytes:
    """Return a log with one request of so many bytes, packed."""
    return gzip.compress(LOG.format(size).encode())


def test_all_objects_below_a_prefix_are_read_page_by_page() -> None:
    objects = {f"e1/E1.2026-11-21-{hour:02}.AB.gz": log(hour) for hour in range(9)} | {"e2/x.gz": log(99)}
    requests: list[Request] = []
    reader = Reader(requests.append)
    with bucket(objects) as client:
        for file in in_bucket("s3://logs/e1/E1", client):
            reader.read(file)
    assert [request.size for request in requests] == list(range(9))
    assert (reader.files, reader.damage.files) == (9, 0)


def test_objects_that_are_gone_or_break_off_are_counted_and_the_others_read() -> None:
    requests: list[Request] = []
    reader = Reader(requests.append)
    with bucket({"e1/a.gz": log(1), "e1/cut.gz": log(2), "e1/z.gz": log(3)}) as client:
        for file in in_bucket("s3://logs/e1/", client):
            reader.read(file)
    assert [request.size for request in requests] == [1, 3]
    assert {damaged.file: damaged.why.partition(":")[0] for damaged in reader.damage.first} == {
        "s3://logs/e1/cut.gz": "cannot be read",
        "s3://logs/e1/gone.gz": "cannot be read",
    }


def test_a_bucket_that_may_not_be_listed_says_which_permission_it_takes() -> None:
    with bucket({}, denied=True) as client, pytest.raises(LogsMissing, match=r"AccessDenied.*It takes s3:ListBucket"):
        list(in_bucket("s3://logs/e1/", client))


def test_a_prefix_without_objects_says_so() -> None:
    with bucket({}) as client, pytest.raises(LogsMissing, match=r"'s3://logs/e3/' holds nothing"):
        list(in_bucket("s3://logs/e3/", client))


def test_a_profile_that_is_not_there_is_told_with_what_to_correct() -> None:
    refused = CliRunner().invoke(app, ["report", "s3://logs/e1"], env={"AWS_PROFILE": "gone"}).exception
    assert isinstance(refused, CommandError)
    assert "(gone)" in str(refused)
    assert "AWS_PROFILE" in str(refused)
