"""Spans on their way to the collector, by a thread of their own: nothing of a node waits for it, ever.

spans ─> queue ─> batches ─> collector        what does not get there is counted, and said twice: at once, in the end
"""

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import requests
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from gossipfl.node.dashboard.site import is_loopback

logger = logging.getLogger(__name__)
CLOSE_S = 1.0
"""Seconds that a node's end waits for its last spans to get there."""
_LONGEST_REASON = 200


class Counting(SpanExporter):
    """Counts what got there.

    Attributes:
        delivered: spans that the collector took.
    """

    def __init__(self, url: str, reason: "_Reason") -> None:
        self.delivered = 0
        self._url = url
        self._reason = reason
        self._exporter = OTLPSpanExporter(url, session=_session(url))
        self._said = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Sends a batch; on the thread of the queue."""
        result = self._exporter.export(spans)
        if result is SpanExportResult.SUCCESS:
            self.delivered += len(spans)
        elif not self._said:
            self._said = True
            text = "traces: %s does not take them; the node goes on without, what is lost is counted (%s)"
            logger.warning(text, self._url, self._reason.last)
        return result

    def shutdown(self) -> None:
        """Tries nothing again from now on, and says nothing more."""
        self._said = True
        self._exporter.shutdown()  # type: ignore[no-untyped-call]


class Ended(SpanProcessor):
    """Counts the spans that should get there."""

    def __init__(self) -> None:
        self.spans = 0

    def on_end(self, span: ReadableSpan) -> None:
        """One more."""
        self.spans += bool(span.context and span.context.trace_flags.sampled)


@contextmanager
def delivering(url: str) -> Iterator[tuple[SpanProcessor, SpanProcessor]]:
    """What a tracer's spans are given to; in the end they get a moment to arrive.

    Raises:
        ValueError: a variable OTEL_* holds what OpenTelemetry does not take.
    """
    reason, ended = _heard(), Ended()
    exporter = Counting(url, reason)
    batches = BatchSpanProcessor(exporter)
    try:
        yield ended, batches
    finally:
        # it may hang in a connection: not on this thread
        closing = threading.Thread(target=batches.shutdown, name="last spans", daemon=True)
        closing.start()
        closing.join(CLOSE_S)
        why = reason.last
        if closing.is_alive():
            exporter.shutdown()
        if lost := ended.spans - exporter.delivered:
            logger.warning("traces: %d of %d spans did not get to %s (%s)", lost, ended.spans, url, why)


class _Reason(logging.Handler):
    """Keeps what the exporter said last, which its result does not tell."""

    def __init__(self) -> None:
        super().__init__()
        self.last = "no answer yet"

    def emit(self, record: logging.LogRecord) -> None:
        # a collector's words may be in it
        self.last = repr(record.getMessage()[:_LONGEST_REASON])


def _heard() -> _Reason:
    """OpenTelemetry says everything again with every batch; we say it once."""
    theirs, reason = logging.getLogger("opentelemetry"), _Reason()
    # for good: a thread that hangs in a connection may say something long after
    theirs.handlers, theirs.propagate = [reason], False
    return reason


def _session(url: str) -> requests.Session:
    session = requests.Session()
    # a proxy of the environment has no business between two programs of this machine
    session.trust_env = not is_loopback(urlsplit(url).hostname or "")
    session.hooks["response"].append(_refuse_redirects)
    return session


def _refuse_redirects(response: requests.Response, *_: Any, **__: Any) -> None:  # noqa: ANN401  # requests' own
    # the exporter neither follows one nor takes it for a failure
    if response.is_redirect:
        raise requests.HTTPError(f"{response.status_code}: it is somewhere else")
