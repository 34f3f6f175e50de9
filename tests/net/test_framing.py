"""Frames by hand are protobuf; bytes of any kind are a frame or a counted rejection."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipfl.errors import MessageError
from gossipfl.net.framing import ack_frame, chunk_frames, envelope_frame, hello_frame, parse_frame
from gossipfl.net.limits import CHUNK_BYTES
from gossipfl.v1 import gossip_pb2 as pb

sizes = st.one_of(st.integers(1, 300), st.sampled_from([16383, 16384, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1]))


@given(sizes)
def test_chunks_by_hand_are_the_bytes_that_protobuf_writes(size: int) -> None:
    payload = bytes(range(256)) * (size // 256 + 1)
    payload = payload[:size]
    frames = list(chunk_frames(payload))
    starts = range(0, size, CHUNK_BYTES)
    assert frames == [pb.Frame(chunk=payload[start : start + CHUNK_BYTES]).SerializeToString() for start in starts]


@given(sizes)
def test_a_payload_is_the_concatenation_of_its_chunks_and_each_is_a_view(size: int) -> None:
    payload = bytes(reversed(range(256))) * (size // 256 + 1)
    parts = [parse_frame(frame, peer="b") for frame in chunk_frames(payload[:size])]
    assert all(isinstance(part, memoryview) for part in parts)
    assert b"".join(part for part in parts if isinstance(part, memoryview)) == payload[:size]


@given(st.binary(max_size=200))
def test_any_bytes_are_a_frame_or_one_rejection(data: bytes) -> None:
    try:
        frame = parse_frame(data, peer="b")
    except MessageError as error:
        outcome = error.reason
    else:
        outcome = "frame" if isinstance(frame, pb.Hello | pb.Envelope | pb.Ack | memoryview) else "nothing we know"
    assert outcome in {"frame", "garbage"}


@pytest.mark.parametrize(
    "frame",
    [hello_frame(pb.Hello(name="a")), envelope_frame(pb.Envelope(sender="a")), ack_frame(3, "nan")],
)
def test_control_frames_come_back_as_they_were(frame: bytes) -> None:
    back = parse_frame(frame, peer="b")
    assert isinstance(back, pb.Hello | pb.Envelope | pb.Ack)
    assert frame.endswith(back.SerializeToString())
