"""What codecs and mixing cost, one thread.

    OMP_NUM_THREADS=1 .venv/bin/python -m scripts.bench.choices [--values 4600000] [--repeats 9]

codecs   CPU-milliseconds to encode and to decode, bytes beside fp32
mixing   CPU-milliseconds of a weighted mean with five neighbors
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
from scripts.bench.simulate import median

from gossipfl.config.gossip import GossipConfig
from gossipfl.core.codecs import Codec, Stream, build_codec
from gossipfl.core.rng import generator
from gossipfl.state import AdapterSpec, AdapterState, Segment

ROWS = 2300
CODECS = (
    {"codec": "fp16"},
    {"codec": "bf16"},
    {"codec": "int8"},
    {"codec": "int4"},
    {"codec": "top_k", "codec_share": 0.01},
    {"codec": "top_k", "codec_share": 0.1},
    {"codec": "random_k", "codec_share": 0.01},
    {"codec": "low_rank", "codec_rank": 4},
    {"codec": "int8", "zstd": True},
    {"codec": "int4", "zstd": True},
)
NEIGHBORS = 5


def cpu_ms(work: Callable[[], object]) -> float:
    """Of one call."""
    started = time.process_time()
    work()
    return 1000 * (time.process_time() - started)


def measure_codec(codec: Codec, state: AdapterState, repeats: int) -> None:
    """Prints a line."""
    stream = Stream(generator(0, purpose="bench"))

    def encode() -> memoryview:
        return memoryview(codec.encode(state.vector, state.spec, stream)).cast("B")

    payload = encode()
    out = [cpu_ms(encode) for _ in range(repeats)]
    back = [cpu_ms(lambda: codec.decode(payload, state.spec)) for _ in range(repeats)]
    both = [one + other for one, other in zip(out, back, strict=True)]
    share = payload.nbytes / state.vector.nbytes
    print(f"{codec.name:14s} {median(both)} ms: encode {median(out)}, decode {median(back)}; {share:.4f} of the bytes")


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--values", type=int, default=4_600_000)
    parser.add_argument("--repeats", type=int, default=9)
    chosen = parser.parse_args()
    spec = AdapterSpec((Segment("w", (ROWS, chosen.values // ROWS)),))
    rng = np.random.default_rng(0)
    states = [AdapterState(spec, rng.standard_normal(spec.size, np.float32)) for _ in range(NEIGHBORS + 1)]
    for wanted in CODECS:
        measure_codec(build_codec(GossipConfig.model_validate(wanted)), states[0], chosen.repeats)
    own, *others = states
    terms = [(1 / (NEIGHBORS + 1), other) for other in others]
    print(f"mixing {NEIGHBORS}: {median([cpu_ms(lambda: own.toward(terms)) for _ in range(chosen.repeats)])} ms")


if __name__ == "__main__":
    main()
