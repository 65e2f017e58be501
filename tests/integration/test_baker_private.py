"""Private feeds: the same tree below /private/<user>/, and nothing of it below /feed."""

import pytest

from feeds.command import PutSettings
from tests.integration.baking import Baker, ada_follows_grace, next_path, pages, titles
from tests.integration.house import House

FORMATS = ("", "feed.json", "feed.atom")
PRIVATE = PutSettings(user="ada", feed_visibility="private")


@pytest.mark.parametrize("format", FORMATS)
async def test_a_feed_made_private_moves_to_its_own_tree_and_back(house: House, baker: Baker, format: str) -> None:
    await ada_follows_grace(house, posts=3)
    public, private = f"/feed/ada/{format}".removesuffix("/"), f"/private/ada/{format}"
    shown = titles(await baker.get(public))
    assert len(shown) == 3
    assert (await baker.get(private)).status_code == 404
    await house.read(PRIVATE)
    assert (await baker.get(public)).status_code == 404
    assert titles(await baker.get(private)) == shown
    await house.read(PutSettings(user="ada"))
    assert (await baker.get(private)).status_code == 404
    assert titles(await baker.get(public)) == shown


@pytest.mark.parametrize("format", FORMATS)
async def test_every_page_of_a_private_feed_leads_to_the_next_below_the_same_path(
    house: House, baker: Baker, format: str
) -> None:
    await ada_follows_grace(house, posts=60)
    await house.read(PRIVATE)
    found = await pages(baker, f"/private/ada/{format}")
    assert [len(page) for page in found] == [25, 25, 10]
    assert len({title for page in found for title in page}) == 60
    older = next_path(await baker.get(f"/private/ada/{format}"))
    assert older is not None
    assert older.startswith("/private/ada/after/")


async def test_no_link_of_a_private_page_leads_into_the_public_tree(house: House, baker: Baker) -> None:
    await ada_follows_grace(house, posts=30)
    await house.read(PRIVATE)
    for format in FORMATS:
        for path in (f"/private/ada/{format}", next_path(await baker.get(f"/private/ada/{format}"))):
            text = (await baker.get(path or "")).text
            assert "/feed/ada" not in text
            assert "/private/ada//" not in text


async def test_a_private_answer_carries_its_users_tag_and_is_for_no_index_and_no_other_site(
    house: House, baker: Baker
) -> None:
    await ada_follows_grace(house)
    await house.read(PRIVATE)
    for format in FORMATS:
        answer = await baker.get(f"/private/ada/{format}")
        assert "u-ada" in answer.headers["cache-tag"].split(",")
        assert answer.headers["x-robots-tag"] == "noindex"
        assert "access-control-allow-origin" not in answer.headers
