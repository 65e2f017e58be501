"""Spans: steps of changes and answers of the baker, as OpenTelemetry has them.

A change has one trace, whose id is a hash of the change's: so every process finds it, and all keep or leave out the
same changes. Its root span goes from accepted to live and is sent when the change is live.
"""

import os
from collections.abc import Sequence
from hashlib import blake2b

from opentelemetry.context import Context
from opentelemetry.sdk.environment_variables import OTEL_SERVICE_NAME
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from feeds.trace import Step

PROPAGATOR = TraceContextTextMapPropagator()


class Spans:
    """Makes spans of steps. Used from one thread, as ``feeds.trace`` is."""

    def __init__(self, process: str, processor: SpanProcessor, ratio: float = 1.0) -> None:
        """``ratio``: of how many traces, 0 to 1."""
        named = {} if OTEL_SERVICE_NAME in os.environ else {SERVICE_NAME: process}
        self._ids = Ids()
        self._provider = TracerProvider(
            sampler=TraceIdRatioBased(ratio), resource=Resource.create(named), id_generator=self._ids
        )
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("edgebake")

    def take(self, step: Step) -> None:
        """Make a span of a step that is done."""
        span = self._tracer.start_span(
            step.name,
            context=self._context(step),
            kind=SpanKind.INTERNAL if step.change else SpanKind.SERVER,
            attributes=dict(step.attributes) | ({"edgebake.change": step.change} if step.change else {}),
            links=_links(step),
            start_time=step.began_ns,
        )
        if step.error:
            span.set_status(Status(StatusCode.ERROR, step.error))
        span.end(step.ended_ns)

    def close(self) -> None:
        """Send what was not sent yet."""
        self._provider.shutdown()

    def _context(self, step: Step) -> Context:
        """Return what the step's span is below: its change's root, or whoever asked."""
        if not step.change:
            return _called(step)
        if step.whole:
            self._ids.given = (trace_id(step.change), root_id(step.change))
            return Context()
        root = SpanContext(trace_id(step.change), root_id(step.change), is_remote=True, trace_flags=TraceFlags(1))
        return set_span_in_context(NonRecordingSpan(root), Context())


class Ids(RandomIdGenerator):
    """Random ids, but for the next span where they are ``given``, as its trace's and its own."""

    def __init__(self) -> None:
        self.given: tuple[int, int] | None = None

    def generate_trace_id(self) -> int:
        """Return the id of a trace that begins."""
        return super().generate_trace_id() if self.given is None else self.given[0]

    def generate_span_id(self) -> int:
        """Return the id of a span, which is asked for after that of its trace."""
        given, self.given = self.given, None
        return super().generate_span_id() if given is None else given[1]


def trace_id(change: str) -> int:
    """Return the trace of a change: 128 bits, never 0."""
    return int.from_bytes(blake2b(change.encode(), digest_size=16, person=b"trace").digest()) or 1


def root_id(change: str) -> int:
    """Return the root span of a change's trace: 64 bits, never 0."""
    return int.from_bytes(blake2b(change.encode(), digest_size=8, person=b"root").digest()) or 1


def _called(step: Step) -> Context:
    return PROPAGATOR.extract({"traceparent": step.caller} if step.caller else {}, Context())


def _links(step: Step) -> Sequence[Link]:
    """Return a link from a change's step to the trace of whoever asked for the change."""
    called = get_current_span(_called(step)).get_span_context()
    return [Link(called)] if step.change and called.is_valid else []
