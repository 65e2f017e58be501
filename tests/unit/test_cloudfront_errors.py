"""Which of CloudFront's errors may be tried again, and what is said of the others."""

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    ReadTimeoutError,
)

from cdn.cloudfront import Credentials
from cdn.cloudfront_errors import refusal
from cdn.errors import EdgeBusy, EdgeDenied, InvalidationUnknown


def answered(code: str, status: int, words: str = "Words.") -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": words}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item]  # the rest of the metadata is not looked at
        "CreateInvalidation",
    )


@pytest.mark.parametrize(
    "error",
    [
        answered("TooManyInvalidationsInProgress", 400),
        answered("Throttling", 400),
        answered("ThrottlingException", 429),
        answered("ServiceUnavailable", 503),
        answered("Whatever", 500),
        EndpointConnectionError(endpoint_url="http://127.0.0.1:1"),
        ConnectTimeoutError(endpoint_url="http://127.0.0.1:1"),
        ReadTimeoutError(endpoint_url="http://127.0.0.1:1"),
    ],
)
def test_what_passes_by_itself_is_busy(error: Exception) -> None:
    refused = refusal(error, "batch 9f3c (3 items)", "E1")
    assert type(refused) is EdgeBusy
    assert "The same may be tried again" in str(refused)


@pytest.mark.parametrize(
    ("error", "to_do"),
    [
        (answered("AccessDenied", 403), "allow cloudfront:CreateInvalidation"),
        (answered("NoSuchDistribution", 404), "set the id of a distribution"),
        (answered("InvalidArgument", 400), "no retry will help"),
        (answered("BatchTooLarge", 413), "lower the number of items"),
        (answered("ExpiredToken", 403), "credentials that are valid"),
        (NoCredentialsError(), "AWS_ACCESS_KEY_ID"),
        (ParamValidationError(report="x"), "no retry will help"),
    ],
)
def test_what_does_not_pass_is_denied_and_says_what_to_do(error: Exception, to_do: str) -> None:
    refused = refusal(error, "batch 9f3c (3 items)", "E1")
    assert type(refused) is EdgeDenied
    assert to_do in str(refused)


def test_a_refusal_names_what_failed_and_why() -> None:
    told = str(refusal(answered("Throttling", 400, "Rate exceeded"), "batch 9f3c (3 items)", "E1"))
    assert told == (
        "CloudFront distribution 'E1' refused batch 9f3c (3 items): Throttling: Rate exceeded. "
        "The same may be tried again."
    )


def test_a_forgotten_invalidation_is_told_apart() -> None:
    assert (
        type(refusal(answered("NoSuchInvalidation", 404), "the status of invalidation I1", "E1")) is InvalidationUnknown
    )


def test_a_secret_does_not_show() -> None:
    assert "hidden" not in repr(Credentials("id", "hidden", "hidden"))
