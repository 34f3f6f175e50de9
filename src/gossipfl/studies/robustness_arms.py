"""The arms of the study of robustness: who attacks how, and how neighbors' states are combined."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ATTACKS: Mapping[str, Mapping[str, Any]] = {
    "none": {},
    "sign_flip": {},
    "alie": {},
    "ipm0.1": {"kind": "ipm", "strength": 0.1},
    "ipm10": {"kind": "ipm", "strength": 10.0},
    "dissensus": {},
    "random": {},
    "equivocation": {},
    "nan": {},
    "huge_norm": {},
    "replay": {},
    "stale": {},
    "label_flip": {},
    "backdoor": {},
}
"""By name; what is not said is the attack's own."""
PLAIN, CLIP = "plain", "self_centered_clipping"
MIXINGS: Mapping[str, Mapping[str, Any]] = {
    PLAIN: {},
    "clip": {"gossip.mixing": CLIP},
    "clip-b2": {"gossip.mixing": CLIP, "gossip.byzantine": 2},
    "clip-2": {"gossip.mixing": CLIP, "gossip.clipping_radius": 2.0},
    "clip-4": {"gossip.mixing": CLIP, "gossip.clipping_radius": 4.0},
    "median": {"gossip.mixing": "median"},
    "trimmed": {"gossip.mixing": "trimmed_mean"},
}
"""plain: weighted. clip: the radius follows, second largest distance; clip-b2: third largest; clip-τ: a fixed one."""
UNLIKE = {"data.split": {"kind": "dirichlet", "dirichlet_alpha": 0.5, "min_records": 10}}
DUMBBELL = {
    "data.source": "../data/digits-sides.jsonl",
    "data.split": {"kind": "column", "column": "node"},
    "topology.kind": "../topologies/dumbbell.adjlist",
    "topology.degree": None,
    # little by little, and then time to agree: what crosses one edge takes long
    "training.phases": 150,
    "training.local_steps": 1,
    "training.momentum": 0.0,
    "training.learning_rate": 0.1,
    "gossip.protocol": "sync",
    "gossip.settle_rounds": 150,
    "gossip.deadline_s": 1e6,
    "simulation.evaluate_every": 300,
}


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to train.

    Attributes:
        attack: name of `ATTACKS`.
        mixing: name of `MIXINGS`.
    """

    attack: str
    mixing: str

    @property
    def name(self) -> str:
        """As the report calls it."""
        return f"{self.attack}-{self.mixing}"

    def as_config(self, setting: Mapping[str, Any]) -> dict[str, object]:
        """Its entry in `compare.arms`.

        Args:
            setting: what all arms of its part change.
        """
        kind = {"kind": self.attack, **ATTACKS[self.attack]}
        attackers = {f"simulation.attackers.{field}": value for field, value in kind.items()}
        return {"driver": "gossip", "set": {**setting, **attackers, **MIXINGS[self.mixing]}}


@dataclass(frozen=True, slots=True)
class Part:
    """Arms that are held against one of them, with the same seeds.

    Attributes:
        title: what it asks.
        experiment: file in experiments/.
        setting: what all arms change in it.
        attacks, mixings: names; every attack with every mixing.
    """

    title: str
    mixings: tuple[str, ...]
    attacks: tuple[str, ...] = tuple(ATTACKS)
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    setting: Mapping[str, Any] | None = None
    experiment: str = "robustness"

    @property
    def arms(self) -> dict[str, Arm]:
        """By name; plain gossip without an attack, which all are held against, comes first."""
        found = [Arm(attack, mixing) for attack in self.attacks for mixing in self.mixings]
        return {arm.name: arm for arm in found}

    @property
    def table(self) -> dict[str, object]:
        """The section `compare`."""
        arms = {name: arm.as_config(self.setting or {}) for name, arm in self.arms.items()}
        return {"arms": arms, "seeds": list(self.seeds), "jobs": 1}


PARTS: Mapping[str, Part] = {
    "digits": Part("digits, all nodes alike", (PLAIN, "clip", "clip-2", "clip-4")),
    "dumbbell": Part(
        "digits, no attackers, two cliques with half of the classes each and one edge between them",
        (PLAIN, "clip", "clip-b2", "clip-2", "clip-4", "median", "trimmed"),
        attacks=("none",),
        seeds=(0, 1, 2),
        setting=DUMBBELL,
    ),
    "language": Part(
        "a tiny Llama on terms of neurology",
        (PLAIN, "clip"),
        # there are no labels to flip
        tuple(attack for attack in ATTACKS if attack != "label_flip"),
        seeds=(0, 1, 2),
        experiment="robustness-lm",
    ),
    "unlike": Part("digits, Dirichlet .5", (PLAIN, "clip", "clip-2", "clip-4"), setting=UNLIKE),
}
"""By folder, in the order in which they are run."""
QUICK: Mapping[str, Part] = {
    "digits": Part("digits, all nodes alike", (PLAIN, "clip", "clip-2"), ("none", "sign_flip", "backdoor"), (0, 1)),
}
