"""What CloudFront's errors mean: the one place that says which may be tried again, and what to do about the others."""

from botocore.exceptions import (
    ClientError,
    ConnectionError,
    CredentialRetrievalError,
    HTTPClientError,
    MetadataRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    SSLError,
)
from botocore.parsers import ResponseParserError

from cdn.errors import EdgeBusy, EdgeDenied, InvalidationRefused, InvalidationUnknown

BUSY = frozenset(
    ("InternalError", "PriorRequestNotComplete", "RequestLimitExceeded", "RequestTimeout", "ServiceUnavailable",
     "SlowDown", "Throttling", "ThrottlingException", "ThrottledException", "TooManyInvalidationsInProgress",
     "TooManyRequestsException")
)  # fmt: skip
"""Codes that pass by themselves; so does every 5xx, and what a proxy before CloudFront says in its place."""
PASSING = (408, 425, 429)
UNKNOWN = "NoSuchInvalidation"
SIGN_ANEW = "give Edgebake credentials that are valid, and check this machine's clock"
REMEDIES = {
    "AccessDenied": "allow cloudfront:CreateInvalidation, cloudfront:GetInvalidation and "
    "cloudfront:GetDistributionConfig on the distribution to Edgebake's role (doctor: GetCachePolicy, "
    "GetOriginRequestPolicy and GetResponseHeadersPolicy on its policies, too)",
    "BatchTooLarge": "lower the number of items in a batch",
    "ExpiredToken": SIGN_ANEW,
    "InvalidClientTokenId": SIGN_ANEW,
    "NoSuchDistribution": "set the id of a distribution that is in this AWS account",
    "RequestExpired": SIGN_ANEW,
    "SignatureDoesNotMatch": SIGN_ANEW,
}
NO_CREDENTIALS = "give Edgebake AWS credentials: a role, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
ASK = "no retry will help: look up this error of CloudFront's API, and correct what it names"
UNREACHABLE = (
    *(ConnectionError, HTTPClientError, CredentialRetrievalError, MetadataRetrievalError),
    *(ResponseParserError, KeyError, ValueError),
)
"""No connection, none in time, cut off, or whoever hands out credentials does not answer; no XML, or not CloudFront's,
which lacks what we read or has it in another form."""


def refusal(error: Exception, what: str, distribution: str) -> InvalidationRefused:
    """Return what an error of botocore means: EdgeBusy, EdgeDenied or InvalidationUnknown, saying what to do."""
    if isinstance(error, ClientError):
        return _answered(error, what, distribution)
    told = f"CloudFront distribution '{distribution}' could not be asked for {what}: {type(error).__name__}: {error}."
    if isinstance(error, UNREACHABLE) and not isinstance(error, SSLError):
        return EdgeBusy(f"{told} The same may be tried again.")
    if isinstance(error, NoCredentialsError | PartialCredentialsError | ProfileNotFound):
        return EdgeDenied(f"{told} To do: {NO_CREDENTIALS}.")
    return EdgeDenied(f"{told} To do: {ASK}.")


def _answered(error: ClientError, what: str, distribution: str) -> InvalidationRefused:
    code = error.response.get("Error", {}).get("Code", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    words = error.response.get("Error", {}).get("Message", "").rstrip(".")
    told = f"CloudFront distribution '{distribution}' refused {what}: {code}: {words}."
    if code in BUSY or status >= 500 or status in PASSING:
        return EdgeBusy(f"{told} The same may be tried again.")
    if code == UNKNOWN:
        return InvalidationUnknown(f"{told} Send its batch again: the same reference creates nothing twice.")
    return EdgeDenied(f"{told} To do: {REMEDIES.get(code, ASK)}.")
