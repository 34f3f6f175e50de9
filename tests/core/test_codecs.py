import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gossipfl.config.gossip import GossipConfig
from gossipfl.core.codecs import CODECS, build_codec
from gossipfl.core.codecs.dtypes import Plain
from gossipfl.core.codecs.packing import NOTHING, Differences, Heard, Unpacker, Whole, added
from gossipfl.core.messages import Packet, Publishable, Receipt
from gossipfl.core.rng import generator
from gossipfl.core.validation import decode_state
from gossipfl.errors import ConfigError
from gossipfl.state import AdapterSpec, AdapterState, Float32Vector, Segment

LOSSY = sorted(name for name, build in CODECS.items() if not build(GossipConfig()).exact)
steps = st.lists(arrays(np.float32, 300, elements=st.floats(-100, 100, width=32)), min_size=1, max_size=4)


def state_of(vector: Float32Vector) -> AdapterState:
    return AdapterState(AdapterSpec((Segment("x", vector.shape),)), vector.copy())


def published(state: AdapterState) -> Publishable[AdapterState]:
    return Publishable(state, Receipt())


@pytest.mark.parametrize("name", LOSSY)
@settings(deadline=None)
@given(vectors=steps)
@pytest.mark.slow
def test_the_receiver_sees_what_the_sender_was_told_bit_for_bit(name: str, vectors: list[Float32Vector]) -> None:
    codec, origin = CODECS[name](GossipConfig()), AdapterState.zeros(state_of(vectors[0]).spec)
    pack, unpacker = Differences(codec, origin, generator(0, purpose="test")), Unpacker(origin)
    for vector in vectors:
        packet: Packet[AdapterState] = pack(published(state_of(vector)))
        assert packet.reference is not None
        reference = unpacker.reference("a", (1, packet.reference))
        payload = memoryview(packet.payload).cast("B")
        seen = decode_state(payload, codec, origin.spec, reference, peer="a")
        assert seen.vector.tobytes() == packet.seen.vector.tobytes()
        assert payload.nbytes in codec.sizes(origin.spec)
        assert packet.residual == packet.content.state - packet.seen
        unpacker.keep("a", Heard((1, packet.number), seen))


def test_a_difference_to_what_is_not_here_has_no_reference() -> None:
    origin = state_of(np.zeros(3, np.float32))
    unpacker = Unpacker(origin)
    assert unpacker.reference("a", (1, 0)) is origin
    assert unpacker.reference("a", (1, 1)) is None
    unpacker.keep("a", Heard((1, 1), origin * 2))
    assert unpacker.reference("a", (1, 1)) is not None
    assert unpacker.reference("a", (1, 2)) is unpacker.reference("a", (2, 1)) is unpacker.reference("b", (1, 1)) is None


@pytest.mark.parametrize("name", ["int8", "int4", "bf16", "top_k"])
def test_what_was_lost_is_in_the_next_difference(name: str) -> None:
    state = state_of(np.random.default_rng(0).standard_normal(500).astype(np.float32))
    pack = Differences(CODECS[name](GossipConfig()), AdapterState.zeros(state.spec), generator(0, purpose="test"))
    errors = [abs(pack(published(state)).residual or state) for _ in range(40)]
    assert errors[-1] < 1e-6 * errors[0]


def test_fp32_is_little_endian_and_exact() -> None:
    state = state_of(np.array([1.0, -2.0], np.float32))
    assert bytes(Plain().encode(state.vector, state.spec, NOTHING)).hex() == "0000803f000000c0"
    packet = Whole(Plain())(published(state))
    assert (packet.seen, packet.residual, packet.reference) == (state, None, None)


def test_fp32_copies_neither_on_the_way_out_nor_on_the_way_in() -> None:
    state = state_of(np.arange(1000, dtype=np.float32))
    payload = memoryview(Plain().encode(state.vector, state.spec, NOTHING))
    assert np.shares_memory(np.frombuffer(payload, np.float32), state.vector)
    decoded = decode_state(payload, Plain(), state.spec, None, peer="a")
    assert np.shares_memory(decoded.vector, state.vector)
    assert not decoded.vector.flags.writeable


@pytest.mark.parametrize("size", [0, 3, 4, 9, 12])
def test_fp32_decodes_no_payload_of_another_size(size: int) -> None:
    with pytest.raises(ValueError, match=f"8 bytes of fp32 were expected, not {size}"):
        Plain().decode(memoryview(bytes(size)), AdapterSpec((Segment("x", (2,)),)))


def test_a_sum_is_the_same_on_both_ends() -> None:
    rng = np.random.default_rng(0)
    reference, step = (state_of(rng.standard_normal(1000).astype(np.float32)) for _ in range(2))
    payload = memoryview(Plain().encode(step.vector, step.spec, NOTHING)).cast("B")
    np.testing.assert_array_equal(added(reference, Plain(), payload).vector, reference.vector + step.vector)


@pytest.mark.parametrize(("said", "meant"), [("top-k", "top_k"), ("low-rank", "low_rank")])
def test_a_codec_written_another_way_is_told_the_nearest_name(said: str, meant: str) -> None:
    with pytest.raises(ConfigError, match=f"^gossip.codec: '{said}' is unknown; did you mean '{meant}'"):
        build_codec(GossipConfig(codec=said))
