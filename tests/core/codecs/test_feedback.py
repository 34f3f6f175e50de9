"""Error feedback: how much of what was lost is in the next difference."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.codecs.walks import published, state_of, walks

from gossipfl.config.gossip import GossipConfig
from gossipfl.core.codecs import CODECS
from gossipfl.core.codecs.packing import Differences, packer_for
from gossipfl.core.events import Packet
from gossipfl.core.rng import generator
from gossipfl.state import AdapterState, Float32Vector

LOSSY = sorted(name for name, build in CODECS.items() if not build(GossipConfig()).exact)
PUBLICATIONS = 600
"""Of a tenth of the values each, three tenths of what is missing in them: enough for all."""


def packets(vectors: list[Float32Vector], name: str, feedback: float) -> list[Packet[AdapterState]]:
    """The publications of a node that goes from one vector to the next."""
    origin = AdapterState.zeros(state_of(vectors[0]).spec)
    gossip = GossipConfig(codec=name, feedback=feedback)
    pack = packer_for(gossip, 0, origin, "a")
    return [pack(published(vector)) for vector in vectors]


@pytest.mark.parametrize("name", LOSSY)
@settings(deadline=None, max_examples=25)
@given(vectors=walks)
def test_full_feedback_is_the_plain_difference_bit_for_bit(name: str, vectors: list[Float32Vector]) -> None:
    origin = AdapterState.zeros(state_of(vectors[0]).spec)
    plain = Differences(CODECS[name](GossipConfig()), origin, generator(0, node="a", purpose="codec"))
    for vector, packet in zip(vectors, packets(vectors, name, 1.0), strict=True):
        expected = plain(published(vector))
        assert bytes(packet.payload) == bytes(expected.payload)
        assert packet.seen.vector.tobytes() == expected.seen.vector.tobytes()


@settings(deadline=None, max_examples=50)
@given(vectors=walks, feedback=st.floats(0.05, 1.0))
def test_what_is_sent_is_the_kept_part_of_what_was_lost_and_the_change(
    vectors: list[Float32Vector], feedback: float
) -> None:
    before, lost = np.zeros(vectors[0].shape), np.zeros(vectors[0].shape)
    seen = np.zeros(vectors[0].shape)
    for vector, packet in zip(vectors, packets(vectors, "top_k", feedback), strict=True):
        # by the formula, with the memory as its own number: e = β·lost + change; top_k sends its largest tenth as it is
        memory = feedback * lost + (vector.astype(np.float64) - before)
        sent = packet.seen.vector - seen
        places = np.flatnonzero(sent)
        assert np.allclose(sent[places], memory[places], rtol=1e-4, atol=1e-3)
        left_out = np.delete(np.abs(memory), places)
        assert left_out.size >= 0.9 * vector.size - 1
        assert left_out.max() <= np.sort(np.abs(memory))[-30] * (1 + 1e-4) + 1e-3
        before, seen = vector.astype(np.float64), packet.seen.vector.astype(np.float64)
        lost = before - seen


@pytest.mark.parametrize("feedback", [0.3, 0.9, 1.0])
@pytest.mark.parametrize("name", ["int8", "int4", "top_k"])
def test_a_state_that_rests_is_seen_as_it_is_in_the_end(name: str, feedback: float) -> None:
    vector = np.random.default_rng(0).standard_normal(500).astype(np.float32)
    left = [
        abs(packet.residual)
        for packet in packets([vector] * PUBLICATIONS, name, feedback)
        if packet.residual is not None
    ]
    assert left[-1] < 1e-5 * abs(state_of(vector))
    assert len(left) == PUBLICATIONS


def test_the_less_is_fed_back_the_later_it_comes() -> None:
    vector = np.random.default_rng(0).standard_normal(500).astype(np.float32)
    found = [packets([vector] * 12, "top_k", feedback)[-1].residual for feedback in (1.0, 0.7, 0.3)]
    sizes = [abs(residual) for residual in found if residual is not None]
    assert sizes[0] < sizes[1] < sizes[2]
