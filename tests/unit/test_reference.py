"""The reference, by examples small enough to work out on paper."""

from math import e

from tests.reference import Formula, Liking, Reader, Source, World, Written, means_of


def a_world(*posts: Written, **settings: object) -> World:
    """Return a world in which ada follows grace, alan and the tag "c"."""
    ada = Reader(authors={"grace", "alan"}, tags={"c"}, page_size=2)
    return World({"ada": ada}, {post.post: post for post in posts}, **settings)  # type: ignore[arg-type]  # as named


def test_a_feed_is_newest_first_and_ties_go_by_id() -> None:
    world = a_world(Written("a", "grace", 5), Written("b", "alan", 5), Written("d", "grace", 9), Written("x", "eve", 7))
    assert world.newest("ada") == ["d", "b", "a"]
    assert world.pages("ada", 40) == [["d", "b"], ["a"]]
    assert world.pages("ada", 1) == [["d", "b"]]


def test_own_posts_and_followed_tags_are_in_what_is_muted_blocked_or_gone_is_not() -> None:
    own, tagged = Written("own", "ada", 1), Written("tagged", "eve", 2, frozenset("c"))
    muted, blocked = Written("muted", "mallory", 3, frozenset("c")), Written("blocked", "bob", 4, frozenset("c"))
    spoiler, gone = Written("spoiler", "grace", 5, frozenset("s")), Written("gone", "grace", 6, live=False)
    world = a_world(own, tagged, muted, blocked, spoiler, gone, blocks={("bob", "ada")})
    world.readers["ada"].muted_authors = {"mallory"}
    world.readers["ada"].muted_tags = {"s"}
    assert world.newest("ada") == ["tagged", "own"]


def test_a_rank_is_the_time_moved_forward_by_engagement_and_taste() -> None:
    formula = Formula(tau=100, likes=1, comments=1, views=1, tags=1, authors=1, shown=1)
    post = Written("p", "grace", 10_000, frozenset("c"), likes=4, comments=0, views=7)
    world = a_world(post, formula=formula, means=(2.0, 5.0, 0.0))
    # ln 3 = 1.0986 for likes, ln 8 = 2.0794 for views, whose mean counts as 1: 317.8 s
    assert world.rank_ms("ada", "p") == 10_000 + 318_000 + 100_000
    world.readers["ada"].liking = Liking({"grace": round(e**3)}, {"p": 12})
    # ln 21 = 3.0445 and the tag, less ten times shown
    assert world.rank_ms("ada", "p") == 10_000 + 318_000 + round(100 + 304.45 - 1000) * 1000


def test_no_more_than_so_many_by_one_author_stand_together_while_there_are_others() -> None:
    posts = [Written(f"g{n}", "grace", 100_000 - n) for n in range(4)] + [Written("a0", "alan", 5)]
    world = a_world(*posts, formula=Formula(in_a_row=2))
    assert world.ranked("ada") == ["g0", "g1", "a0", "g2", "g3"]


def test_what_is_beyond_the_cap_follows_newest_first() -> None:
    posts = [Written(f"p{n}", "grace", n * 1000, likes=100 * (n == 2)) for n in range(8)]
    world = a_world(*posts, cap=2, formula=Formula(in_a_row=9))
    assert world.ranked("ada") == ["p7", "p6", "p5", "p4", "p3", "p2", "p1", "p0"]  # p2 is the sixth newest of 2 * 2
    posts[6].likes = 100
    assert world.ranked("ada") == ["p6", "p7", "p5", "p4", "p3", "p2", "p1", "p0"]


def test_a_pulled_sources_newest_posts_are_ranked_whatever_the_cap() -> None:
    posts = [Written(f"p{n}", "grace", n * 1000) for n in range(5)] + [Written("a", "alan", 500)]
    world = a_world(*posts, cap=1, latest=2, pulled={Source("author", "grace")})
    assert world.members("ada") == {"a", "p4", "p3"}
    assert world.ranked("ada") == ["p4", "p3", "a", "p2", "p1", "p0"]


def test_means_are_over_the_posts_that_are_in_feeds() -> None:
    posts = {name: Written(name, "a", 0, likes=n, live=n < 9) for name, n in (("a", 1), ("b", 2), ("c", 9))}
    assert means_of(posts) == (1.5, 0.0, 0.0)
