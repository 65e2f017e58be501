"""To which feed a path of the log counts."""

import pytest

from edgebake.report.names import feed_of


@pytest.mark.parametrize(
    ("path", "feed"),
    [
        ("/feed/ada", "/feed/ada"),
        ("/feed/ada/feed.json", "/feed/ada"),
        ("/feed/ada/after/p-1/feed.atom", "/feed/ada"),
        ("/author/ada/after/p-1", "/author/ada"),
        ("/private/ada/feed.json", "/private/ada/"),
        ("/post/p-1", "/post/p-1"),
        ("/feed/explore/tag/rust/feed.atom", "/feed/explore/tag/rust"),
        ("/static/site.css", "/static"),
        ("/private/", "/private/"),
        ("/wp-login.php", "/wp-login.php"),
        ("/caf%25C3%25A9", "/caf%C3%A9"),
        ("/feed/Ada", "/feed/Ada"),  # no artifact: ids are lower case
    ],
)
def test_all_formats_and_pages_of_a_feed_are_one(path: str, feed: str) -> None:
    assert feed_of(path.encode()) == feed


def test_a_path_does_nothing_to_the_terminal_and_is_not_long() -> None:
    assert feed_of(b"/%1B[31m\x1b[2J") == r"/\x1b[31m\x1b[2J"
    assert len(feed_of(b"/x" * 500)) == 80
