"""The arms of the noise study: who averages with whom, whose noise, and how much."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Whose = Literal["none", "local", "central"]
Kind = Literal["nominal", "honest"]
CLIP, DELTA = 2.0, 1e-5
"""Norm of a node's update over all values, and δ."""
BASE_LENGTH = 7
"""Rounds after which the Base-2 graph of 20 nodes has the exact mean, see `gossipfl topology show`."""
FEDAVG: Mapping[str, Mapping[str, Any]] = {
    "fedavg10": {"flower.fraction": 0.5},
    "fedavg20": {},
}
"""A server, and 10 or all of the 20 nodes a round."""
GOSSIP: Mapping[str, Mapping[str, Any]] = {
    "ring": {},
    "erdos-renyi": {"topology.kind": "erdos_renyi", "topology.probability": 0.2},
    "exact": {
        "topology.schedule": "base",
        "gossip.rounds_per_phase": BASE_LENGTH,
        "simulation.evaluate_every": 2 * BASE_LENGTH,
    },
}
"""No server; exact: everybody has the mean after the rounds that follow a phase."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is run.

    Attributes:
        networks: names of `FEDAVG` and `GOSSIP`.
        epsilons: beside no noise.
        goal: accuracy for the steps to it.
    """

    networks: tuple[str, ...]
    epsilons: tuple[float, ...]
    seeds: tuple[int, ...]
    phases: int
    goal: float = 0.6


FULL = Scale((*FEDAVG, *GOSSIP), (8.0, 4.0, 2.0, 1.0), tuple(range(5)), phases=20)
SMALL = Scale(("fedavg20", *GOSSIP), FULL.epsilons, FULL.seeds, phases=20)
"""For a second model."""
QUICK = Scale(("fedavg20", "ring"), (8.0,), (0, 1, 2), phases=6)


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to train.

    Attributes:
        network: name of `FEDAVG` or `GOSSIP`.
        whose: noise of each node, of a trusted server, or none.
        kind: nominal: noise for ε in every single round, as tutorials do; honest: for ε of the whole run.
        epsilon: that ε; infinite without noise.
    """

    network: str
    whose: Whose = "none"
    kind: Kind = "honest"
    epsilon: float = float("inf")

    @property
    def name(self) -> str:
        """As the report calls it."""
        return self.network if self.whose == "none" else f"{self.network}-{self.whose}-{self.kind}{self.epsilon:g}"

    def as_config(self) -> dict[str, object]:
        """Its entry in `compare.arms`."""
        served = self.network in FEDAVG
        changes = dict((FEDAVG if served else GOSSIP)[self.network])
        wish = {"nominal_epsilon" if self.kind == "nominal" else "target_epsilon": self.epsilon}
        noise = {**wish, "max_grad_norm": CLIP, "target_delta": DELTA}
        if self.whose == "local":
            changes["privacy"] = {"level": "update", **noise}
        elif self.whose == "central":
            changes["flower.central_noise"] = noise
        return {"driver": "fedavg" if served else "gossip", "set": changes}


def arms_of(scale: Scale) -> dict[str, Arm]:
    """All arms by name: every network without noise and with local noise; with a server with central noise, too."""
    arms = [Arm(network) for network in scale.networks]
    for network in scale.networks:
        owners: tuple[Whose, ...] = ("local", "central") if network in FEDAVG else ("local",)
        kinds: tuple[Kind, ...] = ("nominal", "honest")
        arms += [Arm(network, whose, kind, eps) for whose in owners for kind in kinds for eps in scale.epsilons]
    return {arm.name: arm for arm in arms}
