"""CloudFront as an edge: boto3 in a thread of its own. The local edge is driven by the same code.

botocore does not retry here (``total_max_attempts`` 1): whoever dispatches sends the same bytes again under the
account's call budget, which hidden retries would spend unseen. boto3 is imported with the first call, not with this.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from os import devnull
from typing import TYPE_CHECKING, Any, TypeVar

from cdn.edge import Batch, Receipt
from cdn.errors import EdgeMisconfigured

if TYPE_CHECKING:
    from types_boto3_cloudfront import CloudFrontClient

CONNECT_TIMEOUT_S = 3.0
READ_TIMEOUT_S = 10.0
MAX_ITEMS = 1_000
"""Items of one call: a third of CloudFront's quota of items in progress. What was refused is sent again as it is, so it
has to find room beside what others invalidate on the distribution; CloudFront itself would take 3,000."""
COMPLETED = "Completed"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Credentials:
    """Keys to sign calls with, where not those of the machine are to be used."""

    access_key: str
    secret_key: str
    session_token: str | None = None

    def __repr__(self) -> str:
        return f"Credentials(access_key={self.access_key!r}, secret_key='***')"


MADE_UP = Credentials("LOCALEDGE", "not-a-secret")
"""For the local edge, which verifies no signature: the machine's own are not shown to it."""


class CloudFrontEdge:
    """A CloudFront distribution. ``tag_header`` is the header in which the origin sends its cache tags."""

    def __init__(
        self,
        name: str,
        distribution: str,
        *,
        tag_header: str = "Cache-Tag",
        region: str = "us-east-1",
        endpoint_url: str | None = None,
        credentials: Credentials | None = None,
        max_items: int = MAX_ITEMS,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        read_timeout_s: float = READ_TIMEOUT_S,
    ) -> None:
        """Without ``credentials`` boto3 looks for them where it always does: environment, profile, role."""
        self.name = name
        self.max_items = max_items
        self._distribution = distribution
        self._tag_header = tag_header
        self._region = region
        self._endpoint_url = endpoint_url
        self._credentials = credentials
        self._timeouts = (connect_timeout_s, read_timeout_s)
        self._client: CloudFrontClient | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"cloudfront-{name}")

    @classmethod
    def local(
        cls, name: str, endpoint_url: str, *, distribution: str = "LOCALEDGE", tag_header: str = "Cache-Tag"
    ) -> "CloudFrontEdge":
        """Return the driver of a local edge: made-up credentials, nothing read from this machine's configuration."""
        return cls(name, distribution, tag_header=tag_header, endpoint_url=endpoint_url, credentials=MADE_UP)

    async def check(self) -> None:
        """Raise EdgeMisconfigured where the distribution takes no cache tags from our header."""
        config = await self._call("its configuration", self._get_config)
        header = config.get("CacheTagConfig", {}).get("HeaderName", "")
        if header.lower() == self._tag_header.lower():
            return
        found = f"takes cache tags from the header '{header}'" if header else "has no CacheTagConfig"
        raise EdgeMisconfigured(
            f"CloudFront distribution '{self._distribution}' {found}, and Edgebake sends them in '{self._tag_header}': "
            f"set CacheTagConfig.HeaderName to '{self._tag_header}' (what is cached before that has no tags: "
            "invalidate '/*' once)."
        )

    async def describe(self) -> dict[str, Any]:
        """Return the distribution and its policies, as ``awsjson`` reads them."""
        from cdn.describe import describe  # noqa: PLC0415 - doctor alone asks

        return await self._call("its configuration and policies", lambda client: describe(client, self._distribution))

    async def invalidate(self, batch: Batch) -> Receipt:
        """Create the invalidation, or find the one that the same batch created before."""
        items = [f"#{tag}" for tag in batch.tags]

        def create(client: "CloudFrontClient") -> Receipt:
            answer = client.create_invalidation(
                DistributionId=self._distribution,
                InvalidationBatch={"Paths": {"Quantity": len(items), "Items": items}, "CallerReference": batch.id},
            )
            taken, request = answer["Invalidation"], answer["ResponseMetadata"].get("RequestId", "")
            return Receipt(taken["Id"], taken["Status"] == COMPLETED, request)

        return await self._call(f"batch {batch.id} ({len(items)} items)", create)

    async def is_complete(self, invalidation: str) -> bool:
        """Tell whether CloudFront reports the invalidation complete."""

        def get(client: "CloudFrontClient") -> bool:
            answer = client.get_invalidation(DistributionId=self._distribution, Id=invalidation)
            return answer["Invalidation"]["Status"] == COMPLETED

        return await self._call(f"the status of invalidation {invalidation}", get)

    async def close(self) -> None:
        """Wait for a call under way (its time-outs bound it) and close the connections."""
        if self._client is not None:
            await self._in_thread(self._client.close)
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _call(self, what: str, call: Callable[["CloudFrontClient"], T]) -> T:
        """Run a call in the thread. Raises EdgeBusy or EdgeDenied, which name ``what`` CloudFront was asked for."""
        return await self._in_thread(lambda: self._guarded(what, call))

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _guarded(self, what: str, call: Callable[["CloudFrontClient"], T]) -> T:
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - late, as boto3
        from botocore.parsers import ResponseParserError  # noqa: PLC0415

        from cdn.cloudfront_errors import refusal  # noqa: PLC0415

        try:
            if self._client is None:
                self._client = self._make_client()
            return call(self._client)
        except (BotoCoreError, ClientError, ResponseParserError, KeyError, ValueError) as error:
            raise refusal(error, what, self._distribution) from error

    def _get_config(self, client: "CloudFrontClient") -> dict[str, Any]:
        return dict(client.get_distribution_config(Id=self._distribution)["DistributionConfig"])

    def _make_client(self) -> "CloudFrontClient":
        import boto3  # noqa: PLC0415 - half a second of start time, and only this thread needs it
        from botocore.config import Config  # noqa: PLC0415
        from botocore.session import Session  # noqa: PLC0415

        connect, read = self._timeouts
        retries: Any = {"mode": "standard", "total_max_attempts": 1}
        config = Config(connect_timeout=connect, read_timeout=read, retries=retries, max_pool_connections=1)
        own = self._credentials
        if own is None:
            session = boto3.Session(region_name=self._region)
            return session.client("cloudfront", endpoint_url=self._endpoint_url, config=config)
        # Nothing of this machine: no profile, no configuration files, no proxy.
        nowhere = {"profile": (None,) * 4, "config_file": (None, None, devnull, None)}
        core = Session(session_vars={**nowhere, "credentials_file": (None, None, devnull, None)})
        return boto3.Session(botocore_session=core, region_name=self._region).client(
            "cloudfront",
            endpoint_url=self._endpoint_url,
            aws_access_key_id=own.access_key,
            aws_secret_access_key=own.secret_key,
            aws_session_token=own.session_token,
            config=config.merge(Config(proxies={})),
        )
