"""Logs in S3: the objects below a prefix, in their order (CloudFront's keys begin with distribution and hour)."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, Protocol

from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from cdn.errors import LogsMissing
from cdn.logs.files import CHUNK, LogFile

SCHEME = "s3://"


class Client(Protocol):
    """What is used of boto3's client of S3."""

    def get_paginator(self, operation_name: Literal["list_objects_v2"]) -> Any:
        """Return what lists objects page by page."""

    def get_object(self, *, Bucket: str, Key: str) -> Mapping[str, Any]:
        """Return an object; its ``Body`` is a stream."""


def in_bucket(where: str, client: Client) -> Iterator[LogFile]:
    """Yield the objects below ``s3://bucket/prefix``. Raises LogsMissing where none is, or they cannot be listed."""
    bucket, _, prefix = where.removeprefix(SCHEME).partition("/")
    if not bucket:
        raise LogsMissing(f"{where!r} names no bucket: give s3://bucket/prefix.")
    empty = True
    try:
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for item in page.get("Contents", ()):
                empty = False
                yield _object(client, bucket, item["Key"])
    except (BotoCoreError, ClientError) as error:
        why = " ".join(str(error).split()).rstrip(".")
        raise LogsMissing(f"{where!r} was not listed: {why}. It takes s3:ListBucket there.") from error
    if empty:
        raise LogsMissing(f"{where!r} holds nothing: CloudFront delivers a log an hour after its requests, or later.")


def _object(client: Client, bucket: str, key: str) -> LogFile:
    def chunks() -> Iterator[bytes]:
        try:
            yield from client.get_object(Bucket=bucket, Key=key)["Body"].iter_chunks(CHUNK)
        except (BotoCoreError, ClientError, HTTPError) as error:
            raise OSError(str(error)) from error  # of this object: the next one may be read

    return LogFile(f"{SCHEME}{bucket}/{key}", chunks)
