"""Behind the end of a world: each node's own model, one after the other; nothing is sent any more."""

from collections.abc import Sequence
from typing import Protocol

from gossipfl.learning.personal import Personalized
from gossipfl.runs.judging import States
from gossipfl.sim.world import World
from gossipfl.state import AdapterState


class Personalizer(Protocol):
    """What makes the models, see `Crew`."""

    def personalize(self, states: States) -> list[Personalized]:
        """Each node's own model, made of its last state."""
        ...


class PersonalStage:
    """The stage of a run that makes personal models.

    Args:
        crew: makes them.
        nodes: whose.
        at_once: so many in one go: as many as there are processes.

    Attributes:
        found: those made so far, by node.
    """

    def __init__(self, crew: Personalizer, nodes: Sequence[str], *, at_once: int = 1) -> None:
        self._crew, self._nodes, self._at_once = crew, tuple(nodes), at_once
        self.found: dict[str, Personalized] = {}

    def advance(self, world: World[AdapterState]) -> bool:
        """Makes the next ones; False when there are none left."""
        left = [name for name in self._nodes if name not in self.found][: self._at_once]
        if not left:
            return False
        states = [(name, world.bodies[name].snapshot.state) for name in left]
        self.found |= dict(zip(left, self._crew.personalize(states), strict=True))
        return True
