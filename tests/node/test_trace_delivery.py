"""Spans of one node, without its network: their names, what peers may put into them, and a collector that fails."""

import logging
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.net.world import SPEC, free_port
from tests.node.collector import collecting

from gossipfl.core.events import Report, Trained
from gossipfl.core.messages import Header, Receipt
from gossipfl.errors import ConfigError
from gossipfl.net.passage import Passage
from gossipfl.net.wire import Envelope
from gossipfl.node.traces.delivery import CLOSE_S
from gossipfl.node.traces.names import SEED_BYTES, span_of, trace_of
from gossipfl.node.traces.spans import MOST_KEPT, SpanTraces, tracing
from gossipfl.node.traces.target import trace_target
from gossipfl.state import AdapterState

SEED, OTHER = bytes(SEED_BYTES), b"\x01" * SEED_BYTES
LARGEST = 2**64 - 1
seeds = st.binary(min_size=SEED_BYTES, max_size=SEED_BYTES)
numbers = st.integers(0, LARGEST)


def envelope(
    sender: str = "bob", receiver: str = "ada", *, number: int = 1, round: int = 1, letter: str = ""
) -> Envelope:
    codec = "x" * 5000 if letter else "fp32"
    return Envelope(
        sender, receiver, (1, number), (0, 0), Header(round, 2), codec, 1, 0, b"", 10, b"", None, letter=letter
    )


def arrived(traces: SpanTraces, message: Envelope) -> None:
    traces.passed(Passage(outward=False, envelope=message, began_ns=5, ended_ns=7))


def mixing(traces: SpanTraces, message: Envelope) -> None:
    traces.mixed(Report(2, 1, 2, {}, {"bob": 0}, (), {"bob": message.header}), 8, 9)


@given(seeds, seeds, numbers, numbers)
def test_names_follow_from_seed_sender_and_turn_and_are_never_none(a: bytes, b: bytes, round: int, step: int) -> None:
    trace = trace_of(a, "ada", round, step)
    assert 0 < trace < 2**128
    assert trace == trace_of(a, "ada", round, step)
    assert trace != trace_of(a, "bob", round, step)
    assert trace != trace_of(a, "ada", round + 1, step)
    assert trace != trace_of(a, "ada", round, step + 1)
    assert (trace == trace_of(b, "ada", round, step)) == (a == b)
    assert 0 < span_of(a, f"ada/{round}/{step}") < 2**64


def test_the_whole_of_an_exchange_hangs_together() -> None:
    with collecting() as collector:
        with tracing(collector.target, "ada", SEED) as traces:
            traces.trained(Trained(3, AdapterState.zeros(SPEC), 2, 8.0, Receipt()), 1, 2)
            with traces.publishing(Header(1, 2)):
                pass
            traces.passed(Passage(outward=True, envelope=envelope("ada", "bob"), began_ns=3, ended_ns=4))
        with tracing(collector.target, "bob", OTHER) as traces:
            traces.met("ada", SEED)
            arrived(traces, envelope("ada", "bob"))
    train, publish, send, receive = (collector.of(name)[0] for name in ("train", "publish", "send", "receive"))
    assert len({span.trace for span in collector.spans}) == 1
    assert (train.parent, publish.parent, send.parent, receive.parent) == ("", train.span, publish.span, send.span)
    assert train.said == {"gossipfl.node": "ada", "gossipfl.phase": 3, "gossipfl.steps": 2}
    assert (send.began_ns, send.ended_ns) == (3, 4)


def test_a_phase_of_which_nothing_is_published_stands_by_itself() -> None:
    with collecting() as collector, tracing(collector.target, "ada", SEED) as traces:
        for phase in (1, 2):
            traces.trained(Trained(phase, AdapterState.zeros(SPEC), 2, 8.0, Receipt()), 1, 2)
    assert len({span.trace for span in collector.of("train")}) == 2


@pytest.mark.slow
@pytest.mark.parametrize("seed", [b"", b"short", bytes(SEED_BYTES + 1), bytes(1 << 20)])
def test_a_seed_that_is_none_leads_nowhere(seed: bytes) -> None:
    with collecting() as collector, tracing(collector.target, "ada", SEED) as traces:
        traces.met("bob", OTHER)
        traces.met("bob", seed)
        arrived(traces, envelope())
    assert [span.parent for span in collector.of("receive")] == [""]


def test_what_a_peer_says_does_not_spoil_the_spans_of_others() -> None:
    with collecting() as collector, tracing(collector.target, "ada", SEED) as traces:
        traces.met("bob", OTHER)
        arrived(traces, envelope(number=LARGEST, round=LARGEST))
        mixing(traces, envelope(round=LARGEST))
        arrived(traces, envelope(letter="share"))
        arrived(traces, envelope(letter="offer"))
    huge, letter = collector.of("receive")
    assert huge.said["gossipfl.round"] == 2**63 - 1
    assert collector.of("mix")[0].parent == huge.span
    # nobody has checked the codec of a letter; keys that are agreed on are no exchange
    assert letter.said["gossipfl.letter"] == "share"
    assert not any("xxx" in str(value) for value in letter.said.values())


def test_a_peer_cannot_fill_the_memory() -> None:
    traces = SpanTraces("ada", SEED, [])
    for round in range(MOST_KEPT + 50):
        arrived(traces, envelope(round=round))
    assert len(traces._received) == MOST_KEPT
    assert ("bob", MOST_KEPT + 49, 2) in traces._received


def sent_with(url: str, caplog: pytest.LogCaptureFixture) -> tuple[float, list[str]]:
    """How long the end took, and what was said."""
    caplog.set_level(logging.WARNING)
    with tracing(url, "ada", SEED) as traces:
        for number in range(3):
            arrived(traces, envelope(number=number))
        began = time.monotonic()
    return time.monotonic() - began, [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize("status", [301, 404, 500])
def test_spans_that_are_refused_are_counted_and_said_once(status: int, caplog: pytest.LogCaptureFixture) -> None:
    with collecting() as collector:
        collector.answer = status
        _, said = sent_with(collector.target, caplog)
    assert [str(status) in said[0], "does not take them" in said[0]] == [True, True]
    assert len(said) == 2
    assert f"3 of 3 spans did not get to {collector.target} (" in said[1]


def test_nothing_is_said_where_all_arrive(caplog: pytest.LogCaptureFixture) -> None:
    with collecting() as collector:
        assert not sent_with(collector.target, caplog)[1]
    assert len(collector.spans) == 3


@pytest.mark.slow
@pytest.mark.parametrize("there", [True, False])
def test_the_end_does_not_wait_for_a_collector(there: bool, caplog: pytest.LogCaptureFixture) -> None:  # noqa: FBT001
    with collecting(held=True) as collector:
        took_s, said = sent_with(collector.target if there else f"http://127.0.0.1:{free_port()}", caplog)
    assert took_s < CLOSE_S + 5
    assert "3 of 3 spans did not get to" in said[-1]


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
        ("http://localhost:4318/", "http://localhost:4318/v1/traces"),
        ("https://collector.example.org/otlp", "https://collector.example.org/otlp/v1/traces"),
        ("https://collector.example.org/v1/traces", "https://collector.example.org/v1/traces"),
        ("env", "http://[::1]:4318/v1/traces"),
    ],
)
def test_where_traces_go(text: str, url: str) -> None:
    assert trace_target(text, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://[::1]:4318"}, insecure=False) == url


def test_the_variable_for_traces_is_taken_as_it_is_and_first() -> None:
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://[::1]:1", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://a/b"}
    assert trace_target("env", environ, insecure=False) == "https://a/b"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("127.0.0.1:4318", "no http:// or https:// URL"),
        ("ftp://a", "no http:// or https:// URL"),
        ("http://", "no http:// or https:// URL"),
        ("http://127.0.0.1:0", "no http:// or https:// URL"),
        ("http://127.0.0.1:99999", "no http:// or https:// URL"),
        ("http://127.0.0.1:4318?token=x", "no http:// or https:// URL"),
        ("https://ada:secret@collector.example.org", "no name or password"),
        ("http://collector.example.org:4318", "in the clear"),
        ("env", "neither OTEL_EXPORTER_OTLP_TRACES_ENDPOINT nor"),
    ],
)
def test_a_target_that_is_none_is_refused_with_what_was_expected(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        trace_target(text, {}, insecure=False)
    assert "secret" not in str(caught.value)


def test_a_closed_network_may_send_in_the_clear() -> None:
    assert trace_target("http://collector:4318", {}, insecure=True) == "http://collector:4318/v1/traces"
