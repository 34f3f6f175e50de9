"""Frames as bytes: valid `gossipfl.v1.Frame` protobuf, with payload chunks written and read by hand.

    chunk frame   0x1a (field 3, length-delimited) | length as varint | payload bytes

Protobuf would copy each chunk three times on its way out and twice on its way in. By hand it is one copy out (from the
state into the frame) and one in (from the frame into the message's buffer).
"""

from collections.abc import Iterator

from google.protobuf.message import DecodeError

from gossipfl.errors import MessageError
from gossipfl.net.limits import CHUNK_BYTES, CONTROL_BYTES
from gossipfl.v1 import gossip_pb2 as pb

Frame = pb.Hello | pb.Envelope | pb.Ack | pb.Paper | memoryview
"""What a frame holds; a chunk is a view of the frame's own bytes."""

_CHUNK_TAG = b"\x1a"
_LONGEST_PREFIX = 4
"""Tag and length of a chunk: three varint bytes reach 2 MiB."""


def hello_frame(hello: pb.Hello) -> bytes:
    """A frame that holds a Hello."""
    return pb.Frame(hello=hello).SerializeToString()


def envelope_frame(envelope: pb.Envelope) -> bytes:
    """A frame that holds an Envelope."""
    return pb.Frame(envelope=envelope).SerializeToString()


def ack_frame(sequence: int = 0, rejected: str = "") -> bytes:
    """A frame that holds an Ack."""
    return pb.Frame(ack=pb.Ack(sequence=sequence, rejected=rejected)).SerializeToString()


def paper_frame(line: bytes) -> bytes:
    """A frame that holds a signed paper."""
    return pb.Frame(paper=pb.Paper(line=line)).SerializeToString()


def paper_line(data: bytes) -> bytes:
    """The line of a paper that came by itself; empty: it was none, which is no paper either."""
    if len(data) > CONTROL_BYTES:
        return b""
    try:
        return pb.Paper.FromString(data).line
    except DecodeError:
        return b""


def chunk_frames(payload: bytes | memoryview) -> Iterator[bytes]:
    """The frames of a payload; each holds a copy of its chunk."""
    view = memoryview(payload).cast("B")
    for start in range(0, view.nbytes, CHUNK_BYTES):
        chunk = view[start : start + CHUNK_BYTES]
        yield b"".join((_CHUNK_TAG, _varint(chunk.nbytes), chunk))


def parse_frame(data: bytes, *, peer: str) -> Frame:
    """What a frame holds.

    Raises:
        MessageError: reason garbage: too large, not protobuf, or nothing we know.
    """
    if data[:1] == _CHUNK_TAG and (chunk := _chunk(data)) is not None:
        if not 0 < chunk.nbytes <= CHUNK_BYTES:
            raise _garbage(peer, f"a chunk of {chunk.nbytes} bytes, 1 to {CHUNK_BYTES} were expected")
        return chunk
    if len(data) > CONTROL_BYTES:
        raise _garbage(peer, f"a frame of {len(data)} bytes that is no chunk")
    try:
        frame = pb.Frame.FromString(data)
    except DecodeError as error:
        raise _garbage(peer, f"{len(data)} bytes that are no frame") from error
    match frame.WhichOneof("kind"):
        case "hello":
            return frame.hello
        case "envelope":
            return frame.envelope
        case "ack":
            return frame.ack
        case "paper":
            return frame.paper
        case _:
            raise _garbage(peer, "a frame of an unknown kind")


def _chunk(data: bytes) -> memoryview | None:
    """The chunk of a frame that holds a chunk and nothing else."""
    length = shift = 0
    for place in range(1, min(_LONGEST_PREFIX, len(data))):
        byte = data[place]
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            view = memoryview(data)[place + 1 :]
            return view if view.nbytes == length else None
    return None


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _garbage(peer: str, what: str) -> MessageError:
    return MessageError(f"{peer!r} sent {what}", peer=peer, reason="garbage")
