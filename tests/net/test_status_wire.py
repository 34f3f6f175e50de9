"""A status on the wire: what was said arrives, what a node makes up is cut to its bounds."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipfl.errors import MessageError
from gossipfl.net.counters import Counters
from gossipfl.net.reports import (
    HISTORY,
    REJECTIONS,
    EdgeReport,
    Measured,
    RejectionReport,
    StatusDetails,
    StatusSnapshot,
)
from gossipfl.net.status_wire import EDGES, REPLY_BYTES, WORD, status_message, status_of
from gossipfl.v1 import gossip_pb2 as pb

WORDS = st.text("abcdefgh-", min_size=1, max_size=WORD)
COUNTS = st.integers(0, 2**62)
MAYBE = st.none() | st.floats(allow_nan=False, allow_infinity=False)
EDGE = st.builds(EdgeReport, st.booleans(), COUNTS, COUNTS, st.none() | st.integers(0, 2**31), MAYBE)
REJECTION = st.builds(
    RejectionReport, st.just("") | WORDS, WORDS, COUNTS, st.integers(0, 10**6).map(lambda tenths: tenths / 10)
)
POINT = st.builds(Measured, COUNTS, MAYBE, MAYBE, MAYBE, MAYBE)
DETAILS = st.builds(
    StatusDetails,
    COUNTS,
    MAYBE,
    st.dictionaries(WORDS, EDGE, max_size=5),
    st.lists(REJECTION, max_size=REJECTIONS).map(tuple),
    st.lists(POINT, max_size=9).map(tuple),
)
STATUS = st.builds(
    StatusSnapshot,
    WORDS,
    COUNTS,
    COUNTS,
    st.floats(0, 100) | st.just(math.inf),
    st.integers(0, 2**31),
    WORDS,
    rejected=st.dictionaries(WORDS, COUNTS, max_size=5),
    test_loss=MAYBE,
    test_accuracy=MAYBE,
    details=st.none() | DETAILS,
)


@given(STATUS)
def test_what_is_said_arrives(said: StatusSnapshot) -> None:
    reply = pb.StatusReply.FromString(status_message(said).SerializeToString())
    assert status_of(reply) == said


def test_a_reply_is_cut_to_what_an_honest_node_says_at_most() -> None:
    details = pb.StatusDetails(
        target_epsilon=math.nan,
        edges=[pb.EdgeStatus(neighbor=f"n{place}" + "x" * 100, distance=math.inf) for place in range(2 * EDGES)],
        rejections=[pb.Rejection(peer="p" * 100, reason="r" * 100, ago_s=-math.inf) for _ in range(99)],
        history=[pb.Measured(step=step, test_loss=math.nan) for step in range(999)],
    )
    rejected = {f"reason {place}" + "x" * 100: 1 for place in range(999)}
    found = status_of(pb.StatusReply(name="n" * 999, state="s" * 999, epsilon=-1.0, rejected=rejected, details=details))
    assert found.details is not None
    assert (len(found.name), len(found.state), found.epsilon) == (WORD, WORD, math.inf)
    assert len(found.rejected) == 64
    assert len(found.details.edges) == EDGES
    assert {edge.distance for edge in found.details.edges.values()} == {None}
    assert found.details.rejections == (RejectionReport("p" * WORD, "r" * WORD, 0, 0.0),) * REJECTIONS
    assert len(found.details.history) == HISTORY
    assert {point.test_loss for point in found.details.history} == {None}
    assert found.details.target_epsilon is None


def test_the_largest_honest_reply_is_read() -> None:
    edges = {f"{place:063}": EdgeReport(True, 2**60, 2**60, 2**30, 1.5) for place in range(EDGES)}
    rejections = tuple(RejectionReport("p" * WORD, "r" * WORD, 2**60, 1e9) for _ in range(REJECTIONS))
    history = tuple(Measured(2**60, 1.5, 1.5, 1.5, 1.5) for _ in range(HISTORY))
    details = StatusDetails(2**60, 1.5, edges, rejections, history)
    assert status_message(StatusSnapshot("n" * WORD, details=details)).ByteSize() < REPLY_BYTES


def test_the_last_rejections_are_told_by_peer_and_reason_newest_first_and_strangers_have_no_name() -> None:
    counters = Counters(("bob",))
    for peer, reason in (("bob", "norm"), ("192.0.2.7:4711", "certificate"), ("bob", "norm"), ("eve", "certificate")):
        counters.reject(MessageError("no", peer=peer, reason=reason))
    told = counters.last_rejections()
    assert [(row.peer, row.reason, row.times) for row in told] == [("", "certificate", 2), ("bob", "norm", 2)]
    assert all(0 <= row.ago_s < 60 for row in told)
    for number in range(2 * REJECTIONS):
        counters.reject(MessageError("no", peer="bob", reason=f"reason {number}"))
    told = counters.last_rejections()
    assert [row.reason for row in told] == [
        f"reason {number}" for number in reversed(range(REJECTIONS, 2 * REJECTIONS))
    ]


@pytest.mark.parametrize("details", [True, False])
def test_details_are_left_away_where_there_are_none(*, details: bool) -> None:
    said = StatusSnapshot("ada", details=StatusDetails() if details else None)
    assert status_message(said).HasField("details") is details
