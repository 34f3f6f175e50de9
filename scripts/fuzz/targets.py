"""What strangers' bytes reach, as targets for a fuzzer guided by coverage (atheris, libFuzzer).

    message      frames of a link: parsed, announced, put together, decoded, checked
    tunnel       frames of a tunnel
    peers        peers.yaml
    experiment   experiment.yaml

python scripts/fuzz/targets.py TARGET CORPUS [libFuzzer options]      see scripts/fuzz/run

Anything raised but the package's own refusals is a crash. Memory at the first and the last tenth of the inputs is
compared: a parser that keeps what it was given grows.
"""

import contextlib
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import atheris
import numpy as np
import psutil
from blake3 import blake3

with atheris.instrument_imports(include=["gossipfl"]):
    from gossipfl.config.gossip import GossipConfig
    from gossipfl.config.loading import parse_experiment, parse_peers
    from gossipfl.core.codecs import CODECS, build_codec
    from gossipfl.core.codecs.packing import NOTHING, Unpacker
    from gossipfl.core.messages import Header, Packet, Publishable, Receipt
    from gossipfl.errors import PeerError, UserError
    from gossipfl.net.framing import envelope_frame, parse_frame
    from gossipfl.net.inbox import Checks, Receiver
    from gossipfl.net.outbox import Bundle
    from gossipfl.net.tunnel_frames import tunnel_frame
    from gossipfl.net.wire import Envelope, envelope_message, envelope_of
    from gossipfl.state import AdapterSpec, AdapterState, Segment
    from gossipfl.v1 import gossip_pb2 as pb

SPEC = AdapterSpec((Segment("a", (3, 4)), Segment("b", (5,))))
NAMES = tuple(CODECS)
LENGTH_BYTES = 2
"""Before each frame of an input."""
REPAIRED = 0x80
"""Bit of an input's first byte: digests are made to fit, so that what lies behind them is reached."""
GROWTH_BYTES = 64_000_000
EVERY = 10_000


def message(data: bytes) -> None:
    """A link's frames, as `Link` takes them."""
    if not data:
        return
    codec = build_codec(GossipConfig(codec=NAMES[data[0] % len(NAMES)], zstd=bool(data[0] & 0x40)))
    origin = AdapterState.zeros(SPEC)
    checks = Checks("a", SPEC, codec, Unpacker(origin), 1e4, lambda _peer, _head: True)
    receiver = Receiver("b", checks, _counted)
    frames = list(_frames(data[1:]))
    for place, frame in enumerate(frames):
        _take(frame, frames[place + 1 :], receiver, repaired=bool(data[0] & REPAIRED))


def _counted(_error: PeerError, _sequence: int) -> None:
    """A message that is refused; the link stays."""


def _take(data: bytes, rest: list[bytes], receiver: Receiver, *, repaired: bool) -> None:
    frame = parse_frame(data, peer="b")
    match frame:
        case pb.Envelope():
            if repaired:
                payload = b"".join(each[2:] for each in rest)[: min(frame.payload_bytes, 1 << 16)]
                frame.digest = blake3(payload).digest()
                frame.layout = bytes.fromhex(SPEC.digest)
                frame.sender, frame.receiver = "b", "a"
            receiver.announce(envelope_of(frame, peer="b"))
        case memoryview():
            receiver.add(frame)


def _frames(data: bytes) -> Iterator[bytes]:
    while len(data) > LENGTH_BYTES:
        length = int.from_bytes(data[:LENGTH_BYTES], "big")
        yield data[LENGTH_BYTES : LENGTH_BYTES + length]
        data = data[LENGTH_BYTES + length :]


def tunnel(data: bytes) -> None:
    """One frame of a tunnel."""
    tunnel_frame(data, peer="b")


def peers(data: bytes) -> None:
    """A peers.yaml."""
    parse_peers(data.decode(errors="replace"), source="peers.yaml")


def experiment(data: bytes) -> None:
    """An experiment.yaml."""
    parse_experiment(data.decode(errors="replace"), source="experiment.yaml")


TARGETS: dict[str, Callable[[bytes], None]] = {
    "message": message,
    "tunnel": tunnel,
    "peers": peers,
    "experiment": experiment,
}


def seeds(target: str) -> Iterator[bytes]:
    """Good inputs, from which the fuzzer begins."""
    if target == "message":
        for number, name in enumerate(NAMES):
            frames = list(_good_frames(name))
            joined = b"".join(len(frame).to_bytes(LENGTH_BYTES, "big") + frame for frame in frames)
            yield bytes([number | REPAIRED]) + joined
            yield bytes([number]) + joined
    elif target == "tunnel":
        for frame in (pb.TunnelFrame(ask="b"), pb.TunnelFrame(data=b"x"), pb.TunnelFrame(offer=pb.TunnelOffer())):
            yield frame.SerializeToString()
    else:
        folder = Path(__file__).parents[2]
        files = {"peers": ["src/gossipfl/config/templates"], "experiment": ["experiments"]}[target]
        for file in files:
            for path in (folder / file).glob("*.yaml"):
                yield path.read_bytes()


def _good_frames(name: str) -> Iterator[bytes]:
    codec = build_codec(GossipConfig(codec=name))
    state = AdapterState(SPEC, np.linspace(-1, 1, SPEC.size, dtype=np.float32))
    packet = Packet(Publishable(state, Receipt()), state, payload=codec.encode(state.vector, SPEC, NOTHING))
    parcel = Bundle(packet, codec.name).usual
    envelope = Envelope(
        sender="b",
        receiver="a",
        mark=(1, 1),
        acknowledged=(0, 0),
        header=Header(0, 1),
        codec=codec.name,
        publication=1,
        reference=0,
        layout=bytes.fromhex(SPEC.digest),
        payload_bytes=parcel.payload_bytes,
        digest=parcel.digest,
        ledger_head=None,
    )
    yield envelope_frame(envelope_message(envelope))
    yield from parcel.frames


class Watched:
    """A target that takes refusals for answers, and looks at memory."""

    def __init__(self, target: Callable[[bytes], None]) -> None:
        self._target = target
        self._times = 0
        self._first = 0

    def __call__(self, data: bytes) -> None:
        """One input."""
        with contextlib.suppress(PeerError, UserError):
            self._target(data)
        self._times += 1
        if self._times % EVERY == 0:
            size = psutil.Process().memory_info().rss
            self._first = self._first or size
            if size - self._first > GROWTH_BYTES:
                raise MemoryError(f"{(size - self._first) / 1e6:.0f} MB more after {self._times} inputs")


def main() -> None:
    """Fuzzes; see the module."""
    name, corpus, *options = sys.argv[1:]
    logging.disable()
    for number, seed in enumerate(seeds(name)):
        (Path(corpus) / f"seed-{number:03d}").write_bytes(seed)
    atheris.Setup([sys.argv[0], corpus, *options], Watched(TARGETS[name]))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
