"""Packed forms: what is written is read back."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from feeds import packing
from feeds.model import TAG, Sources

nums = st.lists(st.integers(1, TAG - 1), unique=True, max_size=5).map(lambda found: tuple(sorted(found)))
tags = nums.map(lambda found: tuple(TAG | num for num in found))
names = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=9)
"""A tag is one line of any characters (``feeds.command``)."""


@st.composite
def sources(draw: st.DrawFn) -> Sources:
    """Draw what a user draws from."""
    authors, topics = draw(nums), draw(tags)
    named = tuple(draw(names) for _ in (*authors, *topics))
    return Sources("ada", draw(st.integers(0, 9)), authors, topics, draw(nums), draw(tags), draw(nums), 7, named)


@given(sources())
def test_sources_and_their_names_are_read_as_they_were_written(found: Sources) -> None:
    packed = packing.pack_sources(found)
    assert packing.read_sources("ada", packed, 7) == found
    lists = (found.authors, found.tags, found.muted_authors, found.muted_tags, found.blocked)
    head = [found.num, *map(len, lists), *(num for listed in lists for num in listed)]
    assert np.frombuffer(packing.without_names(packed), "<u4").tolist() == head
