"""What the audit takes for right: a feed's page by the system of record alone."""

from typing import Literal

from feeds.command import Command, DeletePost, DeleteUser, EditPost, PutSettings, RenameUser, UnpublishPost
from invalidator.reference import page_of
from invalidator.shown import Card, Page
from tests.integration.baking import START_MS, ada_follows_grace, before, follows, post, users
from tests.integration.house import House

NOTHING = Page(200)


async def page(house: House, shown: Page = NOTHING, order: Literal["newest", "ranked"] = "newest") -> Page:
    """Return ada's page by the record."""
    return await page_of(house.record, "ada", shown, order=order, own_posts=True)


async def test_a_page_is_what_the_record_has_newest_first(house: House) -> None:
    await ada_follows_grace(house)
    found = await page(house)
    assert [card.post for card in found.cards] == ["post-0002", "post-0001", "post-0000"]
    assert found.cards[0] == Card("post-0002", "grace", "Grace", "Title2", START_MS // 1000 + 2, START_MS // 1000 + 2)
    assert (found.status, found.user, found.name, found.more) == (200, "ada", "Ada", False)


async def test_names_titles_and_the_time_of_an_edit_are_the_records(house: House) -> None:
    await ada_follows_grace(house, posts=1)
    await before(house, RenameUser(user="grace", name="Amazing!"), EditPost(post="post-0000", title="Anew"))
    (card,) = (await page(house)).cards
    assert (card.name, card.title) == ("Amazing", "Anew")
    assert card.edited_s > card.published_s


async def test_a_full_page_says_that_there_is_more(house: House) -> None:
    await ada_follows_grace(house)
    await before(house, PutSettings(user="ada", page_size=2))
    found = await page(house)
    assert (len(found.cards), found.more) == (2, True)


async def test_what_a_ranked_feed_may_show_is_what_it_shows_and_may(house: House) -> None:
    """Which posts its first page should have, the record cannot tell."""
    await ada_follows_grace(house)
    await before(house, *users("hal"), post(7, "hal"), UnpublishPost(post="post-0001"))
    cards = [Card(name, "", "", "", 0, 0) for name in ("post-0000", "post-0001", "post-0007")]
    found = await page(house, Page(200, cards=tuple(cards)), "ranked")
    assert [card.post for card in found.cards] == ["post-0000"]
    await before(house, *follows("ada", "hal"))
    found = await page(house, Page(200, cards=tuple(cards)), "ranked")
    assert {card.post for card in found.cards} == {"post-0000", "post-0007"}


async def test_a_feed_that_is_not_there_has_its_status(house: House) -> None:
    assert await page(house) == Page(404)
    await ada_follows_grace(house)
    hides: list[tuple[Command, int]] = [
        (DeletePost(post="post-0001"), 200),
        (PutSettings(user="ada", feed_visibility="private"), 404),
        (DeleteUser(user="ada"), 410),
    ]
    for command, status in hides:
        await before(house, command)
        assert (await page(house)).status == status
