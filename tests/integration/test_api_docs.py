"""docs/api.md: its headings are the endpoints, and its examples are true."""

import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from feeds.command import CreatePost, PutSettings, React, Reaction
from feeds.progress import Progress
from publisher.app import ENDPOINTS
from publisher.rows import FOLLOWS, POSTS, TAG_FOLLOWS, USERS, Kind, Shape
from tests.integration.api import open_api

DOCS = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
EXAMPLE = re.compile(r"```http\n(\w+) (\S+)\n(.*?)```\n\nAnswers `(\d+)`(?:\.|:\n\n```json\n(.*?)```)", re.DOTALL)
JOB = re.compile(r"recompute-[0-9a-f]{28}")
VARIES = {"change", "at", "published", "edited", "created", "finished"}


def test_every_endpoint_has_its_heading_and_every_heading_its_endpoint() -> None:
    """In both directions."""
    headings = re.findall(r"^### `(.+)`$", DOCS, re.MULTILINE)
    assert sorted(headings) == sorted(endpoint.key for endpoint in ENDPOINTS)


@pytest.mark.parametrize("command", [CreatePost, PutSettings, React, Reaction])
def test_every_field_of_a_command_is_documented(command: type[BaseModel]) -> None:
    """In the table of its endpoint."""
    for field in set(command.model_fields) - {"user"}:
        assert f"`{field}`" in DOCS, field


@pytest.mark.parametrize("shape", [USERS, POSTS, FOLLOWS, TAG_FOLLOWS], ids=get_args(Kind))
def test_every_name_of_a_column_is_documented(shape: Shape[Any]) -> None:
    """Aliases too."""
    for name in shape.names:
        assert f"`{name}`" in DOCS, name


async def test_the_examples_run_one_after_the_other(record_url: str, valkey: str) -> None:
    """Each answers what the page says, but for ids and times that differ each time."""

    async def progress(change: str) -> Progress | None:
        at = 1_795_243_801_004
        return Progress(
            change,
            "invalidated",
            "user ada",
            "live",
            {"accepted": at, "readable": at + 6, "sent": at + 19, "live": at + 41},
        )

    examples = EXAMPLE.findall(DOCS)
    assert len(examples) == DOCS.count("```http")
    async with open_api(record_url, valkey, progress=progress) as api:
        job = ""
        for method, path, body, status, wanted in examples:
            headers = {"Content-Type": "application/json"}
            answer = await api.client.request(method, JOB.sub(job, path), content=body.strip(), headers=headers)
            assert (answer.status_code, _read(answer.text)) == (int(status), _read(wanted)), path
            job = found[0] if (found := JOB.search(answer.text)) else job


def _read(text: str) -> Any:
    """Return a body without what differs each time, None where there is none."""
    return _constant(json.loads(JOB.sub("a job", text))) if text else None


def _constant(value: Any) -> Any:
    """Return the document without what differs each time."""
    if isinstance(value, list):
        return [_constant(item) for item in value]
    if isinstance(value, dict):
        return {k: bool(v) if k in VARIES else _constant(v) for k, v in value.items()}
    return value
