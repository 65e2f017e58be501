"""What the API refuses, each with the code, status and words that CloudFront answers with.

Refusal
├── Throttling                       too many calls
├── TooManyInvalidationsInProgress   too many items, or wildcards, in progress
├── BatchTooLarge                    more items in one batch than are ever taken
├── NoSuchDistribution, NoSuchInvalidation, NoSuchResource
├── InconsistentQuantities           Quantity does not count the items
├── MissingBody, MalformedXML        no body, or not the XML that is asked for
├── InvalidArgument                  a bad item, marker or number, or a reference used for other items
└── AccessDenied, ServiceUnavailable where a fault was asked for
"""

from typing import ClassVar


class Refusal(Exception):
    """The API refuses a call."""

    status: ClassVar[int] = 400
    default: ClassVar[str] = ""

    def __init__(self, message: str = "") -> None:
        super().__init__(message or self.default)

    @property
    def code(self) -> str:
        """The error's name, as botocore raises it."""
        return type(self).__name__


class Throttling(Refusal):
    """Too many calls."""

    default = "Rate exceeded"


class TooManyInvalidationsInProgress(Refusal):
    """Too many items, or too many wildcards, would be in progress."""

    default = "Processing your request will cause you to exceed the maximum number of in-progress invalidations."


class BatchTooLarge(Refusal):
    """A batch has more items than are ever taken at once."""

    status = 413
    default = "Invalidation batch specified is too large."


class NoSuchDistribution(Refusal):
    """There is no such distribution here."""

    status = 404
    default = "The specified distribution does not exist."


class NoSuchInvalidation(Refusal):
    """There is no such invalidation here, or none any more."""

    status = 404
    default = "The specified invalidation does not exist."


class NoSuchResource(Refusal):
    """The local edge has no such call."""

    status = 404
    default = "The local edge has invalidations and the two reads of a distribution, and not this."


class InconsistentQuantities(Refusal):
    """Quantity does not count the items."""

    default = "The value of Quantity and the size of Items don't match."


class MissingBody(Refusal):
    """A call came without its body."""

    default = "This operation requires a body. Ensure that the body is present and the Content-Type header is set."


class MalformedXML(Refusal):
    """A body is not the XML that the call asks for."""

    default = "The XML document is not well formed, or not the one that this call asks for."


class InvalidArgument(Refusal):
    """An argument is no good.

    Also of a reference that was used for other items: the guide promises InvalidationBatchAlreadyExists there, which
    botocore has no class for; what users see is this (aws/aws-cdk#3878).
    """

    default = "Your request contains one or more invalid invalidation paths."


class AccessDenied(Refusal):
    """The caller may not do this. The local edge says so only where that was asked for."""

    status = 403
    default = "User is not authorized to perform this action."


class ServiceUnavailable(Refusal):
    """The API is down. The local edge says so only where that was asked for."""

    status = 503
    default = "CloudFront is temporarily unavailable."
