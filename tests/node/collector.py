"""A collector of OpenTelemetry traces for tests: real HTTP, real protobuf, nothing kept but spans."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

WAIT_S = 60.0


@dataclass(frozen=True, slots=True)
class SpanSeen:
    """A span as it came; ids in hex, no parent: empty."""

    name: str
    trace: str
    span: str
    parent: str
    began_ns: int
    ended_ns: int
    said: dict[str, Any]
    resource: dict[str, Any]
    links: int
    events: int

    @property
    def node(self) -> str:
        """Whose it is."""
        return str(self.resource["service.instance.id"])


@dataclass
class Collector:
    """What has come so far.

    Attributes:
        answer: HTTP status that posts are answered with.
        held: posts wait while it is not set.
    """

    url: str = ""
    answer: int = 200
    posts: int = 0
    held: threading.Event = field(default_factory=threading.Event)
    came: threading.Event = field(default_factory=threading.Event)
    spans: list[SpanSeen] = field(default_factory=list)

    @property
    def target(self) -> str:
        """Where spans are posted to."""
        return f"{self.url}/v1/traces"

    def take(self, path: str, body: bytes) -> None:
        self.posts += 1
        self.came.set()
        self.held.wait(WAIT_S)
        assert path == "/v1/traces"
        if self.answer == 200:
            self.spans.extend(spans_in(ExportTraceServiceRequest.FromString(body)))

    def of(self, name: str, **said: object) -> list[SpanSeen]:
        """Spans of a name with these attributes."""
        return [
            span
            for span in self.spans
            if span.name == name and all(span.said.get(f"gossipfl.{key}") == value for key, value in said.items())
        ]


def spans_in(request: ExportTraceServiceRequest) -> Iterator[SpanSeen]:
    for resource in request.resource_spans:
        about = _values(resource.resource.attributes)
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield SpanSeen(
                    span.name,
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    span.parent_span_id.hex(),
                    span.start_time_unix_nano,
                    span.end_time_unix_nano,
                    _values(span.attributes),
                    about,
                    len(span.links),
                    len(span.events),
                )


def _values(pairs: Sequence[Any]) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}


@contextmanager
def collecting(*, held: bool = False) -> Iterator[Collector]:
    """A collector on loopback.

    Args:
        held: it takes posts and does not answer before `Collector.held` is set.
    """
    collector = Collector()
    if not held:
        collector.held.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            collector.take(self.path, self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(collector.answer)
            if collector.answer == 301:
                self.send_header("Location", "http://127.0.0.1:9/")
            self.end_headers()
            self.wfile.write(ExportTraceServiceResponse().SerializeToString())

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: a test's output is its own."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield collector
        finally:
            collector.held.set()
            server.shutdown()
            thread.join()
