"""One node at a time: the code of a real node, and the oracle of the other engines."""

from collections.abc import Sequence

from gossipfl.core.events import Train, Trained
from gossipfl.learning.learner import Training
from gossipfl.runs.fleet import Fleet
from gossipfl.sim.trainers import Moments
from gossipfl.state import AdapterState

Phases = Sequence[tuple[str, Train[AdapterState]]]


class LoopEngine:
    """Trains the nodes one after the other at the one model."""

    name = "loop"

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    def compute(self, phases: Phases) -> list[Trained[AdapterState]]:
        """See `Engine.compute`."""
        found = []
        for node, phase in phases:
            self._fleet.arrive(node, phase.version)
            found.append(trained(phase, self._train(node, phase)))
        return found

    def moments(self, node: str) -> Moments:
        """See `Engine.moments`."""
        return self._fleet.benches[node].learner.durable()

    def restore(self, node: str, moments: Moments) -> None:
        """See `Engine.restore`."""
        self._fleet.benches[node].learner.restore(moments)

    def _train(self, node: str, phase: Train[AdapterState]) -> Training:
        learner = self._fleet.benches[node].learner
        return learner.train(phase.snapshot, first_step=phase.first_step, steps=phase.steps, phase=phase.version)


def trained(phase: Train[AdapterState], training: Training) -> Trained[AdapterState]:
    """The protocol's event."""
    return Trained(
        version=phase.version,
        state=training.state,
        steps=training.steps,
        units=training.units,
        receipt=training.receipt,
        exhausted=training.exhausted,
    )
