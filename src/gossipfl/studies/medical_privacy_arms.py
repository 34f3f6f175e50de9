"""The arms of the study of privacy: how private, who averages with whom, whose noise, what is averaged."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

EPSILONS = (1.0, 3.0, 8.0, math.inf)
"""Of a whole run, for one definition of one node; infinite: no noise."""
GOSSIP: Mapping[str, Mapping[str, Any]] = {
    "ring": {},
    "one-peer": {"topology.schedule": "one_peer_exponential"},
    "torus": {"topology.kind": "torus"},
}
"""One exchange a phase, as FedAvg has one."""
FEDAVG, CENTRAL, ALONE = "fedavg", "fedavg-central", "alone"
"""A server between nodes that add their own noise; one that is trusted to add it to the mean of the nodes' updates,
which is another promise: ε of all data of a node, against whoever sees the mean; nobody."""
NETWORKS = ("ring", "one-peer", FEDAVG, ALONE)
ADAPTERS = ("lora", "core")
EXTRA_EPSILONS = (3.0, math.inf)
NO_NOISE: Mapping[str, Any] = {"privacy.level": "none", "privacy.target_epsilon": None}
CENTRAL_CLIP = 1.0
"""Norm of a node's update."""
NOISED: Mapping[str, tuple[float, ...]] = {
    "lora": (0.01, 0.03, 0.1),
    "core": (0.1, 0.2, 0.4),
    "ffa": (0.03, 0.1, 0.3),
}
"""Learning rates that are tried at every finite ε; of the lower ones of a first search the highest was best."""
NOISELESS: Mapping[str, tuple[float, ...]] = {
    "lora": (0.003, 0.01, 0.03),
    "core": (0.1, 0.2, 0.4),
    "ffa": (0.01, 0.03, 0.1),
}
"""Without noise."""
RATES: Mapping[tuple[str, float], float] = {
    ("lora", 1.0): 0.03,
    ("lora", 3.0): 0.03,
    ("lora", 8.0): 0.03,
    ("lora", math.inf): 0.01,
    ("core", 1.0): 0.2,
    ("core", 3.0): 0.2,
    ("core", 8.0): 0.2,
    ("core", math.inf): 0.2,
    ("ffa", 3.0): 0.1,
    ("ffa", math.inf): 0.03,
}
"""The best of them on the search's split, on the ring."""
SEEDS = (0, 1, 2)
SEARCH_SEED = 101
"""Of a split, a start and batches that the study has not."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to train.

    Attributes:
        network: of `GOSSIP`, `FEDAVG`, `CENTRAL` or `ALONE`.
        adapter: `adapter.kind`.
        epsilon: of the whole run.
    """

    network: str
    adapter: str
    epsilon: float

    @property
    def name(self) -> str:
        """As the report calls it."""
        return f"{self.network}-{self.adapter}-eps{self.epsilon:g}"

    def as_config(self) -> dict[str, object]:
        """Its entry in `compare.arms`, with the learning rate of its adapter at its ε."""
        changes = {**trained(self.adapter, self.epsilon, RATES[self.adapter, self.epsilon]), **self._of_network()}
        return {"driver": self._driver, "set": changes}

    @property
    def _driver(self) -> str:
        if self.network in {FEDAVG, CENTRAL}:
            return "fedavg"
        return "alone" if self.network == ALONE else "gossip"

    def _of_network(self) -> Mapping[str, object]:
        if self.network != CENTRAL:
            return GOSSIP.get(self.network, {})
        noise = {"target_epsilon": self.epsilon, "max_grad_norm": CENTRAL_CLIP}
        return {**NO_NOISE, "flower.central_noise": noise}


def trained(adapter: str, epsilon: float, rate: float) -> dict[str, object]:
    """An adapter with its learning rate, and each node's own noise."""
    noise = NO_NOISE if math.isinf(epsilon) else {"privacy.target_epsilon": epsilon}
    return {"adapter.kind": adapter, "training.learning_rate": rate, **noise}


def titled(epsilon: float) -> str:
    """An ε as the head of a column."""
    return "no noise" if math.isinf(epsilon) else f"ε = {epsilon:g}"


def arms_of(adapters: tuple[str, ...] = ADAPTERS) -> list[Arm]:
    """Every network with every adapter at every ε; run with all seeds."""
    return [Arm(network, adapter, eps) for eps in EPSILONS for network in NETWORKS for adapter in adapters]


def extras_of(adapters: tuple[str, ...] = ADAPTERS) -> list[Arm]:
    """Run with one seed: half of lora's factors frozen, the torus, a trusted server.

    A trusted server without noise is `FEDAVG` without noise.
    """
    frozen = [Arm("ring", "ffa", eps) for eps in EXTRA_EPSILONS]
    torus = [Arm("torus", adapter, eps) for eps in EXTRA_EPSILONS for adapter in adapters]
    trusted = [Arm(CENTRAL, adapter, eps) for eps in EXTRA_EPSILONS if math.isfinite(eps) for adapter in adapters]
    return frozen + torus + trusted


def tried(adapter: str, epsilon: float) -> tuple[float, ...]:
    """Learning rates of the search."""
    return (NOISELESS if math.isinf(epsilon) else NOISED)[adapter]


def candidates(adapters: tuple[str, ...] = ADAPTERS) -> dict[str, object]:
    """The search's table of arms, on the ring: every adapter at every ε that the study has of it, with every rate."""
    wished = {(arm.adapter, arm.epsilon) for arm in (*arms_of(adapters), *extras_of(adapters))}
    return {
        f"{adapter}-eps{eps:g}-{rate:g}": {"driver": "gossip", "set": trained(adapter, eps, rate)}
        for adapter, eps in sorted(wished)
        for rate in tried(adapter, eps)
    }
