import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gossipfl.config.experiment import GossipConfig
from gossipfl.core.codecs import CODECS
from gossipfl.core.codecs.fp32 import Fp32
from gossipfl.state import AdapterSpec, AdapterState, Segment

vectors = arrays(np.float32, st.integers(0, 40))


def state_of(vector: np.ndarray) -> AdapterState:
    return AdapterState(AdapterSpec((Segment("x", vector.shape),)), vector.copy())


@pytest.mark.parametrize("name", sorted(CODECS))
@settings(deadline=None)
@given(vector=vectors)
def test_the_receiver_decodes_what_the_sender_was_told(name: str, vector: np.ndarray) -> None:
    codec, state = CODECS[name](GossipConfig()), state_of(vector)
    encoded = codec.encode(state, None)
    decoded = codec.decode(memoryview(encoded.payload), state.spec, None)
    assert codec.name == name
    assert decoded.vector.tobytes() == encoded.decoded.vector.tobytes()
    assert len(encoded.payload) <= codec.largest_bytes(state.spec)


def test_fp32_is_little_endian_and_exact() -> None:
    assert bytes(Fp32().encode(state_of(np.array([1.0, -2.0], np.float32)), None).payload).hex() == "0000803f000000c0"


def test_fp32_copies_neither_on_the_way_out_nor_on_the_way_in() -> None:
    state = state_of(np.arange(1000, dtype=np.float32))
    payload = memoryview(Fp32().encode(state, None).payload)
    assert np.shares_memory(np.frombuffer(payload, np.float32), state.vector)
    decoded = Fp32().decode(payload, state.spec, None)
    assert np.shares_memory(decoded.vector, state.vector)
    assert not decoded.vector.flags.writeable


@pytest.mark.parametrize("size", [0, 3, 4, 9, 12])
def test_fp32_decodes_no_payload_of_another_size(size: int) -> None:
    with pytest.raises(ValueError, match=f"8 bytes of fp32 were expected, not {size}"):
        Fp32().decode(memoryview(bytes(size)), AdapterSpec((Segment("x", (2,)),)), None)
