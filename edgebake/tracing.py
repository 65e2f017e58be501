"""Tracing: steps of changes and answers of the baker are sent as OpenTelemetry spans (``edgebake.spans``).

The packages are an extra (``edgebake[otel]``) and are imported only where tracing is on. Where spans go is said by
OpenTelemetry's own variables (https://opentelemetry.io/docs/specs/otel/protocol/exporter/).
"""

from collections.abc import Iterator
from contextlib import contextmanager

from edgebake.errors import CommandError
from edgebake.settings import Settings
from feeds import trace

MISSING = (
    "EDGEBAKE_TRACES is 'true', and OpenTelemetry is not installed: pip install 'edgebake[otel]', or set it to false."
)


@contextmanager
def traced(settings: Settings, process: str) -> Iterator[None]:
    """Send spans while this lasts, where EDGEBAKE_TRACES says so; at its end, those that were not sent yet.

    ``process`` names the service, unless OTEL_SERVICE_NAME does. Raises CommandError where the packages are missing.
    """
    if not settings.traces:
        yield
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        from edgebake.spans import Spans
    except ImportError as error:
        raise CommandError(MISSING) from error
    spans = Spans(process, BatchSpanProcessor(OTLPSpanExporter()), settings.trace_ratio)
    end = trace.listen(spans.take)
    try:
        yield
    finally:
        end()
        spans.close()
