from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossipfl.core.codecs import Codec
from gossipfl.core.codecs.blocks import Blocks
from gossipfl.core.codecs.dtypes import Half, Plain
from gossipfl.core.codecs.low_rank import LowRank
from gossipfl.core.validation import check_size, check_state, decode_state
from gossipfl.errors import MessageError
from gossipfl.state import AdapterSpec, AdapterState, Segment


def spec_of(size: int) -> AdapterSpec:
    return AdapterSpec((Segment("x", (size,)),))


def state_of(*values: float, size: int = 0) -> AdapterState:
    vector = np.zeros(max(size, len(values)), np.float32)
    vector[: len(values)] = values
    return AdapterState(spec_of(vector.size), vector)


@dataclass(frozen=True, slots=True)
class Variable:
    """A codec whose payloads vary in size."""

    inner: Plain
    name: str = "variable"

    def sizes(self, spec: AdapterSpec) -> range:
        return range(1, spec.size * 2 + 1)


@pytest.mark.parametrize("size", [0, 11, 13, 2**62, -1])
def test_a_fixed_size_codec_takes_its_size_only(size: int) -> None:
    check_size(12, Plain(), spec_of(3), peer="p")
    with pytest.raises(MessageError, match=f"'p' sent {size} bytes, 12 were expected") as raised:
        check_size(size, Plain(), spec_of(3), peer="p")
    assert raised.value.reason == "size"


@pytest.mark.parametrize(("size", "right"), [(0, False), (1, True), (6, True), (7, False)])
def test_a_codec_of_varying_size_takes_up_to_its_largest(size: int, right: bool) -> None:  # noqa: FBT001  # a parameter
    codec: Codec = Variable(Plain())  # type: ignore[assignment]  # sizes are all that is asked
    if right:
        check_size(size, codec, spec_of(3), peer="p")
    else:
        with pytest.raises(MessageError):
            check_size(size, codec, spec_of(3), peer="p")


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ((1.0, float("nan")), "nan"),
        ((float("inf"), float("nan")), "nan"),
        ((float("inf"), float("-inf")), "infinity"),
        ((3e38, 3e38, 3e38), "norm"),
        ((30.0, 40.1), "norm"),
    ],
)
def test_what_is_not_finite_or_too_large_is_dropped_by_reason(values: tuple[float, ...], reason: str) -> None:
    for size in (0, 600_000):
        with pytest.raises(MessageError) as raised:
            check_state(state_of(*values, size=size), peer="p", max_norm=50)
        assert (raised.value.reason, raised.value.peer) == (reason, "p")


def test_a_norm_at_the_limit_is_taken() -> None:
    check_state(state_of(30.0, 40.0), peer="p", max_norm=50)


@settings(deadline=None)
@given(st.binary(max_size=40).filter(lambda payload: len(payload) != 20))
def test_garbage_bytes_are_a_message_error(payload: bytes) -> None:
    with pytest.raises(MessageError, match="fp32 cannot decode") as raised:
        decode_state(memoryview(payload), Plain(), spec_of(5), None, peer="p")
    assert raised.value.reason == "payload"


@pytest.mark.parametrize("codec", [Plain(), Half(), Blocks(8), LowRank(1)], ids=lambda codec: codec.name)
@pytest.mark.filterwarnings("error")
def test_numbers_that_are_none_are_refused_without_a_warning_of_numpy(codec: Codec) -> None:
    spec = AdapterSpec((Segment("x", (20, 20)),))
    for byte in (0x7F, 0xFF):
        # NaN, or in scales and factors the largest number that there is
        payload = memoryview(bytes([255, 255, 127, byte]) * (codec.sizes(spec)[0] // 4))
        state = decode_state(payload, codec, spec, AdapterState(spec, np.full(400, -np.inf, np.float32)), peer="p")
        with pytest.raises(MessageError, match=r"NaN|infinite"):
            check_state(state, peer="p", max_norm=1e4)
