"""The arms of the study of choices: who talks to whom, what is averaged, what travels."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

TOPOLOGIES: Mapping[str, Mapping[str, Any]] = {
    "ring": {},
    "torus": {"topology.kind": "torus"},
    "one-peer": {"topology.schedule": "one_peer_exponential"},
    "base-2": {"topology.schedule": "base", "topology.degree": 1},
    # two messages a round, as on the ring
    "epidemic": {"topology.schedule": "epidemic", "topology.degree": 2},
}
"""One exchange a phase everywhere, so that what differs is who it is with, and how many."""
ADAPTERS = ("lora", "ffa", "alternating", "core")
CODECS: Mapping[str, Mapping[str, Any]] = {
    "int8": {"gossip.codec": "int8"},
    "int4": {"gossip.codec": "int4"},
    "top10": {"gossip.codec": "top_k", "gossip.codec_share": 0.1},
}
"""Beside fp32, on the ring."""
CODED = ("lora", "core")
"""Adapters that codecs are tried with."""
CANDIDATES: Mapping[str, tuple[float, ...]] = {
    "lora": (0.003, 0.005, 0.01, 0.017, 0.03),
    "ffa": (0.01, 0.017, 0.03, 0.05, 0.1),
    "alternating": (0.005, 0.01, 0.017, 0.03),
    "core": (0.02, 0.05, 0.1, 0.2),
}
"""Learning rates that are tried, by adapter."""
RATES: Mapping[str, float] = {"lora": 0.01, "ffa": 0.017, "alternating": 0.01, "core": 0.1}
"""The best of them on the search's split."""
SEEDS = (0, 1, 2)
SEARCH_SEED = 101
"""Of a split, a start and batches that the study has not."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to train.

    Attributes:
        topology: name of `TOPOLOGIES`.
        adapter: `adapter.kind`.
        codec: name of `CODECS`, or fp32.
    """

    topology: str
    adapter: str
    codec: str = "fp32"

    @property
    def name(self) -> str:
        """As the report calls it."""
        return "-".join([self.topology, self.adapter, *([] if self.codec == "fp32" else [self.codec])])

    def as_config(self) -> dict[str, object]:
        """Its entry in `compare.arms`, with the learning rate of its adapter."""
        chosen = {**TOPOLOGIES[self.topology], **CODECS.get(self.codec, {})}
        return {"driver": "gossip", "set": {**trained(self.adapter, RATES[self.adapter]), **chosen}}


def trained(adapter: str, rate: float) -> dict[str, object]:
    """An adapter with its learning rate."""
    return {"adapter.kind": adapter, "training.learning_rate": rate}


def arms_of(adapters: tuple[str, ...] = ADAPTERS) -> list[Arm]:
    """Every topology with every adapter, then the codecs."""
    grid = [Arm(topology, adapter) for topology in TOPOLOGIES for adapter in adapters]
    return grid + [Arm("ring", adapter, codec) for adapter in CODED if adapter in adapters for codec in CODECS]


def candidates(adapters: tuple[str, ...] = ADAPTERS) -> dict[str, object]:
    """The search's table of arms: every adapter with every rate, on the ring."""
    return {
        f"{adapter}-{rate:g}": {"driver": "gossip", "set": trained(adapter, rate)}
        for adapter in adapters
        for rate in CANDIDATES[adapter]
    }
