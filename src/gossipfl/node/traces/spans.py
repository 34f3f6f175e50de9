"""A node's exchanges as OpenTelemetry spans (extra `opentelemetry`).

    train ─> publish ─┬─> send to bob ── the wire ──> receive from ada ─> mix ada's      the last two at bob
                      └─> send to cid ── the wire ──> receive from ada ─> mix ada's      at cid

An arrow is from parent to child. All of it is one trace, see `names`. Attributes tell no more than a status or a log at
level debug does: names, numbers of rounds and steps, codec and size, staleness; nothing of data or parameters.
"""

import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    TraceFlags,
    set_span_in_context,
)

from gossipfl.core.events import Report, Trained
from gossipfl.core.messages import Header
from gossipfl.net.passage import Passage
from gossipfl.net.wire import Envelope
from gossipfl.node.traces.delivery import delivering
from gossipfl.node.traces.names import SEED_BYTES, span_of, trace_of
from gossipfl.protection.letters import AGREEING
from gossipfl.state import AdapterState

MOST_KEPT = 1024
"""Publications of others whose traces may go on; older ones are forgotten."""
_LARGEST = 2**63 - 1
"""Whole numbers of OpenTelemetry; a peer may say higher ones, which would spoil the batch they are in."""
Attributes = Mapping[str, str | int]
Key = TypeVar("Key")
Value = TypeVar("Value")


class _Names(IdGenerator):
    """Gives the next span the name that it is to have."""

    def __init__(self) -> None:
        self.trace = 0
        self.span: int | None = None

    def generate_trace_id(self) -> int:
        return self.trace

    def generate_span_id(self) -> int:
        span, self.span = self.span, None
        return span or secrets.randbits(64) or 1


class SpanTraces:
    """See `gossipfl.node.traces.seam.Traces`.

    Args:
        name: the node.
        seed: of its traces in this life.
        processors: what spans are given to.
    """

    def __init__(self, name: str, seed: bytes, processors: Sequence[SpanProcessor]) -> None:
        self._name = name
        self._seed = seed
        self._names = _Names()
        self._provider = TracerProvider(resource=_resource(name), shutdown_on_exit=False, id_generator=self._names)
        for processor in processors:
            self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("gossipfl")
        self._seeds: dict[str, bytes] = {}
        self._trained: tuple[Trained[AdapterState], int, int] | None = None
        self._published: dict[tuple[int, int], SpanContext] = {}
        self._received: dict[tuple[str, int, int], SpanContext] = {}

    def met(self, neighbor: str, seed: bytes) -> None:
        """See `Traces.met`; a seed of another length is none."""
        if len(seed) == SEED_BYTES:
            self._seeds[neighbor] = seed
        else:
            self._seeds.pop(neighbor, None)

    def trained(self, trained: Trained[AdapterState], began_ns: int, ended_ns: int) -> None:
        """See `Traces.trained`; the span belongs to the publication that follows."""
        self.finish()
        self._trained = (trained, began_ns, ended_ns)

    @contextmanager
    def publishing(self, header: Header) -> Iterator[None]:
        """See `Traces.publishing`; what is published again goes on in the same trace."""
        turn = (header.round, header.step)
        trace = trace_of(self._seed, self._name, *turn)
        before = self._published.get(turn)
        span = self._start("publish", trace, before or self._training(trace), _of_header(header))
        # what is published again says what was said: all sends are the first one's
        _keep(self._published, turn, before or span.get_span_context())
        try:
            yield
        finally:
            span.end()

    def passed(self, passage: Passage) -> None:
        """See `Traces.passed`; what only agrees on keys is no exchange."""
        if passage.envelope.letter in AGREEING:
            return
        if passage.outward:
            self._sent(passage)
        else:
            self._heard(passage)

    def mixed(self, report: Report, began_ns: int, ended_ns: int) -> None:
        """See `Traces.mixed`; a span in the trace of every contribution."""
        for peer, header in report.sources.items():
            received = self._received.get((peer, header.round, header.step))
            if received is not None:
                said: dict[str, str | int] = {"gossipfl.peer": peer, "gossipfl.mixed_round": _whole(report.round)}
                if (staleness := report.staleness.get(peer)) is not None:
                    said["gossipfl.staleness"] = _whole(staleness)
                span = self._start("mix", received.trace_id, received, _of_header(header) | said, began_ns=began_ns)
                span.end(ended_ns)

    def finish(self) -> None:
        """Nothing was published of the last phase: it stands by itself."""
        if self._trained is not None:
            self._training(secrets.randbits(128) or 1)

    def _training(self, trace: int) -> SpanContext | None:
        """The span of the phase that nothing was published of yet."""
        if self._trained is None:
            return None
        (trained, began_ns, ended_ns), self._trained = self._trained, None
        said = {"gossipfl.phase": trained.version, "gossipfl.steps": trained.steps}
        span = self._start("train", trace, None, said, began_ns=began_ns)
        span.end(ended_ns)
        return span.get_span_context()

    def _sent(self, passage: Passage) -> None:
        envelope = passage.envelope
        turn = (envelope.header.round, envelope.header.step)
        trace, said = trace_of(self._seed, self._name, *turn), _of_envelope(envelope, envelope.receiver)
        self._names.span = span_of(self._seed, envelope.exchange)
        parent, kind = self._published.get(turn), SpanKind.PRODUCER
        self._start("send", trace, parent, said, kind=kind, began_ns=passage.began_ns).end(passage.ended_ns)

    def _heard(self, passage: Passage) -> None:
        envelope = passage.envelope
        turn = (envelope.sender, envelope.header.round, envelope.header.step)
        # where the sender keeps no traces, this one begins here
        seed = self._seeds.get(envelope.sender)
        trace = trace_of(seed or self._seed, *turn)
        parent = self._elsewhere(trace, span_of(seed, envelope.exchange)) if seed else None
        said, kind = _of_envelope(envelope, envelope.sender), SpanKind.CONSUMER
        span = self._start("receive", trace, parent, said, kind=kind, began_ns=passage.began_ns)
        span.end(passage.ended_ns)
        _keep(self._received, turn, span.get_span_context())

    def _elsewhere(self, trace: int, span: int) -> SpanContext:
        """The sender's span; that it is kept there follows from the trace's name, as it does here."""
        kept = self._provider.sampler.should_sample(None, trace, "send").decision.is_sampled()  # type: ignore[no-untyped-call]
        return SpanContext(trace, span, is_remote=True, trace_flags=TraceFlags(int(kept)))

    def _start(
        self,
        name: str,
        trace: int,
        parent: SpanContext | None,
        attributes: Attributes,
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        began_ns: int | None = None,
    ) -> Span:
        self._names.trace = trace
        context = set_span_in_context(NonRecordingSpan(parent)) if parent else None
        said = {"gossipfl.node": self._name, **attributes}
        return self._tracer.start_span(name, context, kind, said, start_time=began_ns)


@contextmanager
def tracing(url: str, name: str, seed: bytes) -> Iterator[SpanTraces]:
    """A node's traces, sent to a collector."""
    with delivering(url) as processors:
        traces = SpanTraces(name, seed, processors)
        try:
            yield traces
        finally:
            traces.finish()


def _resource(name: str) -> Resource:
    said = {"service.instance.id": name}
    # whoever names the service otherwise has said so
    return Resource.create(said if os.environ.get("OTEL_SERVICE_NAME") else {**said, "service.name": "gossipfl"})


def _of_header(header: Header) -> dict[str, str | int]:
    return {"gossipfl.round": _whole(header.round), "gossipfl.step": _whole(header.step)}


def _of_envelope(envelope: Envelope, peer: str) -> dict[str, str | int]:
    # of a letter nobody has checked the codec, of a state everything
    content = {"gossipfl.letter": envelope.letter} if envelope.letter else {"gossipfl.codec": envelope.codec}
    said = {"gossipfl.peer": peer, "gossipfl.exchange": envelope.exchange, **content}
    return {**_of_header(envelope.header), **said, "gossipfl.payload_bytes": _whole(envelope.payload_bytes)}


def _whole(number: int) -> int:
    return min(number, _LARGEST)


def _keep(table: dict[Key, Value], key: Key, value: Value) -> None:
    """Writes down what is newest; what is oldest makes room."""
    table.pop(key, None)
    table[key] = value
    if len(table) > MOST_KEPT:
        del table[next(iter(table))]
