"""zstd over another compression's bytes: without loss, and never larger than they and a few bytes."""

import zstandard

from gossipfl.core.codecs.seam import Codec, Payload, Stream
from gossipfl.state import AdapterSpec, Float32Vector

LEVEL = 3
_ADDED_BYTES = 64
"""More than zstd adds to what it cannot make smaller, beside one byte in 256."""


class Squeezed:
    """Another compression's payload, in one zstd frame."""

    def __init__(self, inner: Codec) -> None:
        self._inner = inner
        self.name = f"{inner.name}+zstd"
        self.exact = inner.exact

    def encode(self, values: Float32Vector, spec: AdapterSpec, stream: Stream) -> Payload:
        """One frame, which says how large its content is."""
        return zstandard.ZstdCompressor(level=LEVEL).compress(self._inner.encode(values, spec, stream))

    def decode(self, payload: memoryview, spec: AdapterSpec) -> Float32Vector:
        """Never unpacks more than the other could have made."""
        largest = self._inner.sizes(spec)[-1]
        try:
            size = zstandard.frame_content_size(payload)
            if not 0 <= size <= largest:
                raise ValueError(f"{self.name}: {size} bytes in a frame, at most {largest} were expected")
            content = zstandard.ZstdDecompressor().decompress(payload, max_output_size=largest, allow_extra_data=False)
        except zstandard.ZstdError as error:
            raise ValueError(f"{self.name}: {error}") from error
        return self._inner.decode(memoryview(content), spec)

    def sizes(self, spec: AdapterSpec) -> range:
        """Up to a little more than the other's."""
        inner = self._inner.sizes(spec)[-1]
        return range(1, inner + inner // 256 + _ADDED_BYTES + 1)
