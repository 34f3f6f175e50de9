"""Who carries out training in a simulated world.

    begin(node, Train) … begin(node, Train) …            virtual time passes
    collect(node) ──> what is begun is computed, `at_once` phases in one go ──> Trained

What phases under way start from does not change any more, so they may be computed together whenever the first of them
is over: that is what an engine batches. Of large models only a few are, so that what they leave is used while it is in
the cache.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Generic, Protocol

import numpy as np
from numpy.typing import NDArray

from gossipfl.core.events import Train, Trained
from gossipfl.core.messages import Receipt
from gossipfl.core.vector import P

Moments = Mapping[str, NDArray[np.float32]]


class Engine(Protocol[P]):
    """How phases are computed."""

    def compute(self, phases: Sequence[tuple[str, Train[P]]]) -> list[Trained[P]]:
        """Results of training phases of different nodes, in their order."""
        ...

    def moments(self, node: str) -> Moments:
        """Copies of a node's optimizer moments."""
        ...

    def restore(self, node: str, moments: Moments) -> None:
        """Takes over what `moments` gave."""
        ...


@dataclass(slots=True)
class Pending(Generic[P]):
    """Phases begun and not collected; can be pickled.

    Attributes:
        begun: not computed yet.
        done: computed, and for whom it may be undone the moments before.
    """

    begun: dict[str, Train[P]]
    done: dict[str, tuple[Trained[P], Moments | None]]


class Trainer(Generic[P]):
    """Collects phases until a result is needed.

    Args:
        engine: computes them.
        at_once: phases computed in one go, at most.
        undoable: a node may be killed in the middle of a phase: its moments are kept until it is collected.

    Attributes:
        keeps: whether it keeps what is in `left`.
        left: where each node's last phase has led, for who wants to know.
    """

    def __init__(self, engine: Engine[P], *, at_once: int = sys.maxsize, undoable: bool, keeps: bool = False) -> None:
        self._engine = engine
        self._at_once = at_once
        self._undoable = undoable
        self.keeps = keeps
        self.pending: Pending[P] = Pending({}, {})
        self.left: dict[str, P] = {}

    def begin(self, node: str, phase: Train[P]) -> None:
        """A phase is under way from now on."""
        self.pending.begun[node] = phase

    def collect(self, node: str) -> Trained[P]:
        """The result of the node's phase."""
        if node not in self.pending.done:
            self._compute(node)
        trained, _ = self.pending.done.pop(node)
        if self.keeps:
            self.left[node] = trained.state
        return trained

    def abandon(self, node: str) -> Receipt | None:
        """The node was killed: the phase under way is lost, what it was charged is not; None: there was none.

        It is charged as a whole, as if the node had been killed at its end: at most a phase more than a real one pays.
        """
        if node in self.pending.begun:
            self._compute(node)
        if node not in self.pending.done:
            return None
        trained, before = self.pending.done.pop(node)
        if before is not None:
            self._engine.restore(node, before)
        return trained.receipt

    def _compute(self, node: str) -> None:
        """Computes a node's phase, and with it the oldest others."""
        begun = self.pending.begun
        others = islice((other for other in begun if other != node), self._at_once - 1)
        phases = [(name, begun[name]) for name in (node, *others)]
        before = {name: self._engine.moments(name) if self._undoable else None for name, _ in phases}
        for (name, _), trained in zip(phases, self._engine.compute(phases), strict=True):
            self.pending.done[name] = (trained, before[name])
            del begun[name]


class NoEngine(Generic[P]):
    """`training: none`: nothing to compute."""

    def compute(self, phases: Sequence[tuple[str, Train[P]]]) -> list[Trained[P]]:
        """Nobody may ask for training."""
        raise AssertionError(f"{phases[0][0]} trains, but there is no training")

    def moments(self, node: str) -> Moments:  # noqa: ARG002  # nobody has any
        """None."""
        return {}

    def restore(self, node: str, moments: Moments) -> None:
        """Nothing to take over."""
