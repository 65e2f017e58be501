"""Traces of a whole `edgebake up`, as a collector gets them."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from edgebake.spans import root_id, trace_id
from tests.e2e.running import until, up

WHOLE = {"accept", "relay", "fan-out", "record", "invalidate", "change"}


class Collector:
    """What was sent to it."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, Span]] = []
        self.url = ""

    def take(self, body: bytes) -> None:
        """Keep the spans of a request, each with the service that it is of."""
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            (service,) = [a.value.string_value for a in resource.resource.attributes if a.key == "service.name"]
            self.spans += [(service, span) for scope in resource.scope_spans for span in scope.spans]

    def trace_of(self, change: str) -> dict[str, tuple[str, Span]]:
        """Return the spans of a change's trace, by name."""
        wanted = trace_id(change).to_bytes(16)
        return {span.name: (service, span) for service, span in list(self.spans) if span.trace_id == wanted}


@contextmanager
def collecting() -> Iterator[Collector]:
    """Serve OTLP over HTTP on a free port."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            collector.take(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    collector.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield collector
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_change_of_a_running_edgebake_has_one_trace_over_all_processes(tmp_path: Path) -> None:
    with collecting() as collector:
        told = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}
        with up(tmp_path / "data", others=told, TRACES="true") as running:
            running.until_live(running.write("PUT", "/api/users/ada", {"name": "Ada"}))
            answer = running.read("/feed/ada")
            change = running.write("PUT", "/api/users/ada", {"name": "Ada Lovelace"})
            running.until_live(change)
            until(lambda: collector.trace_of(change).keys() >= WHOLE, f"all of {change} is sent")
            requests = {
                a.value.string_value for _, s in collector.spans for a in s.attributes if a.key == "edge_request"
            }
            assert answer.headers["x-amz-cf-id"] in requests
    found = collector.trace_of(change)
    services = {name: service for name, (service, _) in found.items()}
    assert services["accept"] == "edgebake-api"
    assert services["relay"] == "edgebake-relay"
    assert services["fan-out"] == "edgebake-fanout"
    assert services["invalidate"] == services["change"] == "edgebake-invalidator"
    root = root_id(change).to_bytes(8)
    assert found["change"][1].span_id == root
    assert {span.parent_span_id for name, (_, span) in found.items() if name != "change"} == {root}
    invalidations = next(a for a in found["invalidate"][1].attributes if a.key == "invalidations")
    assert invalidations.value.string_value.startswith("I")
