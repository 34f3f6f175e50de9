"""All nodes that train at the same virtual time in one forward and backward pass."""

from collections.abc import Sequence

from gossipfl.core.events import Train, Trained
from gossipfl.learning.together import Phase, Together
from gossipfl.runs.fleet import Fleet
from gossipfl.sim.engines.loop import trained
from gossipfl.sim.trainers import Moments
from gossipfl.state import AdapterState


class BatchedEngine:
    """Trains nodes together.

    Raises:
        PrivacyError: the model cannot be grouped; the message says why.
    """

    name = "batched"

    def __init__(self, fleet: Fleet, *, most_rows: int) -> None:
        self._fleet = fleet
        self._together = Together(fleet.resident, fleet.benches, most_rows=most_rows)

    def compute(self, phases: Sequence[tuple[str, Train[AdapterState]]]) -> list[Trained[AdapterState]]:
        """See `Engine.compute`."""
        for node, phase in phases:
            self._fleet.arrive(node, phase.version)
        wished = [Phase(node, phase.snapshot, phase.first_step, phase.steps, phase.version) for node, phase in phases]
        trainings = self._together.train(wished)
        return [trained(phase, training) for (_, phase), training in zip(phases, trainings, strict=True)]

    def moments(self, node: str) -> Moments:
        """See `Engine.moments`."""
        return self._together.durable(node)

    def restore(self, node: str, moments: Moments) -> None:
        """See `Engine.restore`."""
        self._together.restore(node, moments)
