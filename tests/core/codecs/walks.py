"""States to encode one after the other."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gossipfl.core.events import Publishable, Receipt
from gossipfl.state import AdapterSpec, AdapterState, Float32Vector, Segment

SIZE = 300
walks = st.lists(arrays(np.float32, SIZE, elements=st.floats(-100, 100, width=32)), min_size=1, max_size=4)


def state_of(vector: Float32Vector) -> AdapterState:
    """One segment."""
    return AdapterState(AdapterSpec((Segment("x", vector.shape),)), vector.copy())


def published(vector: Float32Vector) -> Publishable[AdapterState]:
    """As privacy would clear it."""
    return Publishable(state_of(vector), Receipt())
