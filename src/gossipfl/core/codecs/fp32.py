"""fp32: the vector's own bytes, little-endian; neither encoding nor decoding copies."""

import numpy as np

from gossipfl.core.codecs.seam import Encoded
from gossipfl.state import AdapterSpec, AdapterState

_WIRE = np.dtype("<f4")


class Fp32:
    """Four bytes a value, no loss."""

    name = "fp32"

    def encode(self, state: AdapterState, reference: AdapterState | None) -> Encoded:  # noqa: ARG002  # no differences
        """A view of the state's memory."""
        return Encoded(state.vector.astype(_WIRE, copy=False).view(np.uint8).data, state)

    def decode(self, payload: memoryview, spec: AdapterSpec, reference: AdapterState | None) -> AdapterState:  # noqa: ARG002
        """A state over the payload's memory."""
        if payload.nbytes != self.expected_bytes(spec):
            raise ValueError(f"{self.expected_bytes(spec)} bytes of fp32 were expected, not {payload.nbytes}")
        return AdapterState(spec, np.frombuffer(payload, _WIRE).astype(np.float32, copy=False))

    def expected_bytes(self, spec: AdapterSpec) -> int:
        """Exact."""
        return spec.size * _WIRE.itemsize

    def largest_bytes(self, spec: AdapterSpec) -> int:
        """As expected: every payload has this size."""
        return self.expected_bytes(spec)
