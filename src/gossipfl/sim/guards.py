"""Guards of simulated nodes: the real ones, with keys that the seed decides, and no certificates to sign them."""

from collections.abc import Callable
from dataclasses import dataclass

from gossipfl.config.protection import ProtectionConfig
from gossipfl.core.protocol import Schedule
from gossipfl.core.rng import generator
from gossipfl.protection.guards import build_guard
from gossipfl.protection.letters import Guard
from gossipfl.protection.terms import Terms
from gossipfl.protection.vouching import Unsigned
from gossipfl.state import AdapterSpec, AdapterState


@dataclass(frozen=True, slots=True)
class Guarded:
    """What all guards of a simulation have in common.

    Attributes:
        seed: of their keys.
        spec: of what is exchanged.
        max_norm: largest Euclidean norm of a mean.
    """

    seed: int
    config: ProtectionConfig
    schedule: Schedule
    spec: AdapterSpec
    max_norm: float

    def make(self) -> Callable[[str, int], Guard[AdapterState]] | None:
        """What makes a node's guard for one of its lives; None where states travel as they are."""
        return self._guard if self.config.sums_only else None

    def _guard(self, name: str, life: int) -> Guard[AdapterState]:
        terms = Terms(name, self.schedule, self.config, self.spec, b"simulation", self.max_norm)

        def draw(receiver: str, size: int) -> bytes:
            return generator(self.seed, node=f"{name} for {receiver}", purpose="sum keys", step=life).bytes(size)

        return build_guard(terms, Unsigned(), draw)
