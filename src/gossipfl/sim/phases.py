"""When simulated nodes train, and for how long.

Train ──> rests as its machine says ──> begins, from the state as it is then ──> ends after its steps
"""

from dataclasses import replace
from typing import Generic

from gossipfl.config.machine import MachineConfig
from gossipfl.core.events import Train, Trained
from gossipfl.core.vector import P
from gossipfl.learning.timed import steps_in
from gossipfl.runs.resting import DAY_S, rest_s
from gossipfl.sim.body import Body
from gossipfl.sim.clock import Clock
from gossipfl.sim.happenings import Happening, PhaseBegins, PhaseEnds
from gossipfl.sim.world_parts import WorldParts

_ANY = MachineConfig()


class Phases(Generic[P]):
    """Plans them on a world's clock."""

    def __init__(self, parts: WorldParts[P], clock: Clock[Happening[P]]) -> None:
        self._parts = parts
        self._clock = clock

    def ask(self, name: str, body: Body[P], phase: Train[P]) -> None:
        """A node wants to train: now, or when it has rested."""
        now = self._clock.now
        rest = rest_s(self._parts.machines.get(name, _ANY), took_s=body.took_s, at_s=now % DAY_S)
        body.training, body.resting = phase, rest > 0
        if body.resting:
            self._clock.plan(now + rest, PhaseBegins(name, phase.version, body.life))
        else:
            self._begin(name, body, phase)

    def go_on(self, happening: PhaseBegins | PhaseEnds, body: Body[P]) -> Trained[P] | None:
        """It begins to train, or has trained; of another life's phase nothing."""
        phase = body.training
        if not body.up or body.life != happening.life or phase is None:
            return None
        if isinstance(happening, PhaseBegins):
            # from what it has mixed meanwhile
            self._begin(happening.node, body, replace(phase, snapshot=body.snapshot.state))
            return None
        body.training = None
        trained = self._parts.trainer.collect(happening.node)
        return replace(trained, start=phase.snapshot) if body.resting else trained

    def _begin(self, name: str, body: Body[P], phase: Train[P]) -> None:
        """As many steps as are wished, or as fit into its seconds at the speed that is drawn for the phase."""
        if phase.seconds is None:
            body.took_s = self._parts.duration(name, phase.steps)
        else:
            step_s = self._parts.duration(name, 1)
            phase = replace(phase, steps=steps_in(phase.seconds, step_s, most=phase.steps))
            body.took_s = phase.steps * step_s
        body.training = phase
        self._parts.trainer.begin(name, phase)
        self._clock.plan(self._clock.now + body.took_s, PhaseEnds(name, phase.version, body.life))
