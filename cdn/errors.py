"""What can go wrong with an edge. Each error says what failed and what to do.

EdgeError
├── TooManyTags           an artifact with more cache tags than an edge keeps: a mistake in the baker
├── EdgeMisconfigured     the edge cannot do what Edgebake needs of it; says what to set
├── DistributionUnreadable   JSON that is not the configuration of a distribution and its policies
├── LogsMissing           there are no access logs where they were looked for
└── InvalidationRefused   the edge refused or did not take a batch
    ├── EdgeBusy          for now: quota, throttling, 5xx, time-out, no connection; the same bytes may be tried again
    └── EdgeDenied        for good, until somebody changes something: permissions, no such distribution, malformed
        └── InvalidationUnknown   the edge does not know, or no longer, the invalidation it is asked about

RedisForgot               not of the edge: Redis lost what it was told; a kind of redis-py's ConnectionError
"""

from redis.exceptions import ConnectionError


class EdgeError(Exception):
    """Something about an edge failed."""


class TooManyTags(EdgeError):
    """An artifact has more cache tags than an edge keeps."""


class EdgeMisconfigured(EdgeError):
    """The edge cannot do what Edgebake needs of it."""


class LogsMissing(EdgeError):
    """There are no access logs where they were looked for."""


class DistributionUnreadable(EdgeError):
    """JSON is not the configuration of a distribution and its policies."""


class InvalidationRefused(EdgeError):
    """The edge did not take a batch. ``passes``: it may well take the same bytes if they are sent again soon."""

    passes = False


class EdgeBusy(InvalidationRefused):
    """The edge did not take a batch now; the same bytes may be tried again."""

    passes = True


class EdgeDenied(InvalidationRefused):
    """The edge will not take a batch until somebody changes something."""


class InvalidationUnknown(EdgeDenied):
    """The edge does not know the invalidation it is asked about (a local edge forgets when it ends): send it again."""

    passes = True


class RedisForgot(ConnectionError):
    """Redis lost what it had: what was noted there counts no more, and whoever noted it begins again.

    The connection is closed, and the next one begins an epoch.
    """
