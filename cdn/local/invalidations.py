"""The invalidations that the edge was told: by reference, in progress, complete when every place has dropped them."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from cdn.local.config import Clock, Profile
from cdn.local.items import is_item, is_wildcard
from cdn.local.places import NEVER, Place
from cdn.local.refusals import (
    BatchTooLarge,
    InvalidArgument,
    NoSuchInvalidation,
    Throttling,
    TooManyInvalidationsInProgress,
)
from cdn.local.throttle import Throttle

REMEMBERED = 5_000
"""Completed invalidations that are kept; older ones are forgotten, and their references with them."""
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
MAX_REFERENCE = 255
TOO_MANY_WILDCARDS = (
    "Processing your request will cause you to exceed the maximum number of in-progress wildcard invalidations."
)
REFERENCE_USED = (
    "Your request contains a caller reference that was used for a previous invalidation batch "
    "for the same distribution."
)


@dataclass(frozen=True, slots=True)
class Invalidation:
    """A batch that was taken. ``complete``: when it is reported so at the earliest, by the edge's clock."""

    id: str
    reference: str
    items: tuple[str, ...]
    created: datetime
    complete: float


class Page(NamedTuple):
    """Some invalidations, newest first, and whether there are older ones."""

    invalidations: list[Invalidation]
    is_truncated: bool


class Invalidations:
    """Takes batches, has their items dropped at each place when they take effect there, and tells how far each is."""

    def __init__(self, profile: Profile, places: Sequence[Place], clock: Clock) -> None:
        self._profile = profile
        self._places = tuple(places)
        self._clock = clock
        self._throttle = Throttle(profile.calls_per_s, profile.call_burst, clock)
        self._by_id: dict[str, Invalidation] = {}  # oldest first
        self._by_reference: dict[str, Invalidation] = {}
        self._running: list[Invalidation] = []

    def create(self, reference: str, items: Sequence[str]) -> Invalidation:
        """Take a batch; the same reference with the same items returns what was taken then, and drops nothing.

        Raises a Refusal where CloudFront would refuse.
        """
        if not self._throttle.admits():
            raise Throttling
        batch = tuple(items)
        self._check_shape(reference, batch)
        earlier = self._by_reference.get(reference)
        if earlier is not None:
            if sorted(earlier.items) != sorted(batch):
                raise InvalidArgument(REFERENCE_USED)
            return earlier
        self._check_quota(batch)
        return self._take(reference, batch)

    def get(self, invalidation: str) -> Invalidation:
        """Return one by its id. Raises NoSuchInvalidation."""
        found = self._by_id.get(invalidation)
        if found is None:
            raise NoSuchInvalidation
        return found

    def is_complete(self, invalidation: Invalidation) -> bool:
        """Tell whether it is reported Completed."""
        is_due = self._clock() >= invalidation.complete
        return is_due and all(place.has_dropped(invalidation.id) for place in self._places)

    def page(self, after: str, size: int) -> Page:
        """Return those that were taken before ``after`` ("": all), newest first. Raises InvalidArgument."""
        if after and after not in self._by_id:
            raise InvalidArgument("The parameter Marker is not the ID of an invalidation of this distribution.")
        newest_first = list(reversed(self._by_id.values()))
        start = next((n for n, each in enumerate(newest_first, 1) if each.id == after), 0)
        return Page(newest_first[start : start + size], start + size < len(newest_first))

    def in_progress(self) -> list[Invalidation]:
        """Return those that are not complete."""
        self._running = [each for each in self._running if not self.is_complete(each)]
        return self._running

    def settle(self) -> float:
        """Drop what is due at each place, and return when anything was last dropped anywhere."""
        return max((place.settle() for place in self._places), default=NEVER)

    def _check_shape(self, reference: str, batch: tuple[str, ...]) -> None:
        if not 0 < len(reference) <= MAX_REFERENCE:
            raise InvalidArgument(f"CallerReference must have 1 to {MAX_REFERENCE} characters.")
        if len(batch) > self._profile.max_items:
            raise BatchTooLarge
        if not batch or not all(map(is_item, batch)):
            raise InvalidArgument

    def _check_quota(self, batch: tuple[str, ...]) -> None:
        items = [item for running in self.in_progress() for item in running.items]
        items += batch
        wildcards = sum(map(is_wildcard, items))
        if any(map(is_wildcard, batch)) and wildcards > self._profile.max_wildcards:
            raise TooManyInvalidationsInProgress(TOO_MANY_WILDCARDS)
        if len(items) - wildcards > self._profile.max_items:
            raise TooManyInvalidationsInProgress

    def _take(self, reference: str, batch: tuple[str, ...]) -> Invalidation:
        name = "I" + "".join(secrets.choice(ALPHABET) for _ in range(24))
        complete = self._clock() + self._profile.complete_s
        taken = Invalidation(name, reference, batch, datetime.now(UTC), complete)
        self._by_id[name] = self._by_reference[reference] = taken
        self._running.append(taken)
        self._forget()
        for place in self._places:
            place.tell(name, batch)
        return taken

    def _forget(self) -> None:
        while len(self._by_id) > REMEMBERED:
            oldest = next(iter(self._by_id.values()))
            if not self.is_complete(oldest):
                return
            del self._by_id[oldest.id], self._by_reference[oldest.reference]
