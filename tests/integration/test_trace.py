"""One trace for each change, from accepted to live, whichever processes take part; and a span for each answer."""

from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from edgebake.spans import Spans, root_id, trace_id
from feeds import trace
from feeds.command import EditPost
from tests.integration.api import open_api
from tests.integration.baking import Baker, ada_follows_grace
from tests.integration.house import House

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def exported() -> Iterator[InMemorySpanExporter]:
    """The spans that were made of all steps."""
    exporter = InMemorySpanExporter()
    spans = Spans("tests", SimpleSpanProcessor(exporter))
    end = trace.listen(spans.take)
    yield exporter
    end()
    spans.close()


def spans_of(exporter: InMemorySpanExporter, change: str) -> dict[str, ReadableSpan]:
    """Return the spans of a change's trace, by name."""
    found = [span for span in exporter.get_finished_spans() if span.context.trace_id == trace_id(change)]
    return {span.name: span for span in found}


async def test_a_change_has_one_trace_from_accepted_to_live(
    house: House, baker: Baker, exported: InMemorySpanExporter
) -> None:
    await ada_follows_grace(house)
    await baker.get("/feed/ada")
    (change,) = await house.loop(EditPost(post="post-0001", title="Another"))
    await house.step()
    assert await house.state(change) == "live"
    spans = spans_of(exported, change)
    assert set(spans) >= {"accept", "relay", "record", "invalidate", "change"}
    whole = spans.pop("change")
    assert (whole.context.span_id, whole.parent) == (root_id(change), None)
    assert all(span.parent is not None and span.parent.span_id == root_id(change) for span in spans.values())
    begun = [spans[name].start_time or 0 for name in ("accept", "relay", "record", "invalidate")]
    assert begun == sorted(begun)
    told = spans["invalidate"].attributes or {}
    assert told["batches"] == house.edge.calls[-1].id


async def test_a_change_that_drops_nothing_has_a_trace_without_batches(
    house: House, exported: InMemorySpanExporter
) -> None:
    await ada_follows_grace(house)
    (change,) = await house.loop(EditPost(post="post-0001", title="Another"))
    await house.step()
    assert (spans_of(exported, change)["invalidate"].attributes or {})["batches"] == ""


async def test_an_answer_names_the_edges_request_and_what_it_passed_the_fence_under(
    house: House, baker: Baker, exported: InMemorySpanExporter
) -> None:
    await ada_follows_grace(house)
    exported.clear()
    answer = await baker.get("/feed/ada", **{"x-amz-cf-id": "request-7", "traceparent": CALLER})
    (span,) = exported.get_finished_spans()
    told = span.attributes or {}
    assert span.name == "bake feed"
    assert (told["edge_request"], told["count"]) == ("request-7", answer.headers["edgebake-count"])
    assert f"{span.context.trace_id:032x}" == CALLER.split("-")[1], "whoever asked for it has it in their trace"


async def test_a_change_is_linked_to_the_trace_of_who_asked_for_it(
    record_url: str, exported: InMemorySpanExporter
) -> None:
    async with open_api(record_url) as api:
        answer = await api.client.put("/api/users/ada", json={"name": "Ada"}, headers={"traceparent": CALLER})
    accepted = spans_of(exported, answer.json()["change"])["accept"]
    assert [f"{link.context.trace_id:032x}" for link in accepted.links] == [CALLER.split("-")[1]]
    (request,) = [span for span in exported.get_finished_spans() if span.name == "PUT /api/users/{user}"]
    assert f"{request.context.trace_id:032x}" == CALLER.split("-")[1]


def test_all_processes_keep_the_same_share_of_changes() -> None:
    kept: list[set[str]] = []
    for name in ("relay", "fan-out"):
        exporter = InMemorySpanExporter()
        spans = Spans("tests", SimpleSpanProcessor(exporter), ratio=0.5)
        for number in range(200):
            spans.take(trace.Step(name, f"c-{number}", 1, 2, {}))
        kept.append({str((span.attributes or {})["edgebake.change"]) for span in exporter.get_finished_spans()})
    assert kept[0] == kept[1]
    assert 50 < len(kept[0]) < 150
