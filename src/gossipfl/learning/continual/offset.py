"""The newest of a node's K adapters, kept as what it is off from their mean: one vector, however many there are.

    x = (A_1 + … + A_K) / K,   A_K = x + d

    phase         A_K goes on by Δ           x ← x + Δ/K     d ← d + (1 − 1/K)·Δ
    mixing        all A_p move alike         x ← mixed       d stays
    new period    A_{K+1} begins at x        x stays         d ← 0

So the mean is x at any time, whatever gossip brings. Whatever else moves x after a phase, its weight by work or an
outer step, counts as mixing. The others are not trained any more: of them only their sum is of use, K·x − A_K.

Δ is what the mechanism has released, so d follows from it and from what gossip brought: it costs no ε of its own. It
stays at the node all the same.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from gossipfl.errors import StateError
from gossipfl.state import AdapterState

_OFFSET, _ADAPTERS = "continual/offset", "continual/adapters"


class Offset:
    """d, and the K that it belongs to; nothing while there is one adapter, or none of the newest's phases is over."""

    def __init__(self) -> None:
        self._adapters = 1
        self._vector: NDArray[np.float32] | None = None

    def begin(self, shared: AdapterState, adapters: int) -> AdapterState:
        """Where the newest adapter is: a phase begins there.

        Args:
            shared: the mean, which is not changed; itself is given where the newest is no other.
            adapters: K. With another one than before a new adapter begins, at the mean.
        """
        vector = self._of(adapters)
        return shared if vector is None else AdapterState(shared.spec, shared.vector + vector)

    def end(self, shared: AdapterState, began: AdapterState, after: AdapterState, adapters: int) -> AdapterState:
        """The mean behind a phase that `begin` began; the offset is that behind it from now on.

        Args:
            shared: the mean before it.
            after: where it has brought the newest adapter, as the mechanism has released it; the mean itself where K
                is 1.
        """
        before = self._of(adapters)
        self._adapters, self._vector = adapters, None
        if adapters == 1:
            return after
        change = after.vector - began.vector
        part = change * np.float32(1 / adapters)
        kept = change - part
        self._vector = kept if before is None else before + kept
        return AdapterState(shared.spec, shared.vector + part)

    def durable(self) -> dict[str, NDArray[np.float32]]:
        """Copies of what a resumed run needs, by name; empty where that is nothing."""
        if self._vector is None:
            return {}
        return {_OFFSET: self._vector.copy(), _ADAPTERS: np.asarray(self._adapters, np.float32)}

    def restore(self, kept: Mapping[str, NDArray[np.float32]], size: int) -> None:
        """Takes over what `durable` gave, in place of what there is; other names are left alone.

        Args:
            size: of the adapter.

        Raises:
            StateError: it belongs to another adapter.
        """
        vector, adapters = kept.get(_OFFSET), kept.get(_ADAPTERS)
        if vector is None or adapters is None:
            self._adapters, self._vector = 1, None
            return
        if vector.shape != (size,):
            raise StateError(f"the newest period's adapter has {vector.size} values, {size} were expected")
        self._adapters, self._vector = int(adapters), vector.astype(np.float32)

    def _of(self, adapters: int) -> NDArray[np.float32] | None:
        """By how much the newest of so many is off; what another one was is no longer needed."""
        return self._vector if adapters == self._adapters else None
