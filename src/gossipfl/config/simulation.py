"""The `simulation` section of experiment.yaml: how many nodes, how fast they compute, what their network does."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from gossipfl.config.attackers import AttackersConfig
from gossipfl.config.machine import MachineConfig
from gossipfl.config.periods import PeriodsConfig
from gossipfl.config.section import (
    Choice,
    Fraction,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    Section,
)

Share = Annotated[float, Field(gt=0, le=1)]
NodeCount = Annotated[int, Field(ge=2)]


class ComputeConfig(Section):
    """How long training takes, in virtual seconds."""

    kind: Choice = "constant"
    """constant, or log_normal: each phase's duration varies by `spread`."""
    step_s: PositiveFloat = 1.0
    """Of one optimizer step."""
    spread: NonNegativeFloat = 0.5
    """log_normal: standard deviation of the logarithm; the median stays at `step_s`."""
    slow: dict[str, PositiveFloat] = Field(default={})
    """Node name to how many times as long it takes: stragglers."""


class LinksConfig(Section):
    """What the network does to messages, the same on every link."""

    kind: Choice = "plain"
    latency_s: NonNegativeFloat = 0.01
    """Virtual seconds every message takes at least."""
    jitter_s: NonNegativeFloat = 0.0
    """Mean of what is added to it, exponentially distributed."""
    bytes_per_s: PositiveFloat | None = None
    """Bandwidth of one link in one direction; None: endless. What waits for it is replaced by what is newer."""
    loss: Fraction = 0.0
    """Part of the messages that vanish."""
    duplication: Fraction = 0.0
    """Part that arrive twice; the second time they are dropped as a replay."""
    reordering: bool = False
    """A message may overtake an earlier one, which is then dropped as a replay; otherwise it waits for it."""


class PartitionConfig(Section):
    """The network falls apart for a while: only nodes of one group reach each other."""

    from_s: NonNegativeFloat
    until_s: PositiveFloat | None = None
    """None: it never heals."""
    groups: tuple[tuple[str, ...], ...]
    """Names; nodes that stand in no group form one more."""

    @model_validator(mode="after")
    def _heals_later(self) -> "PartitionConfig":
        if self.until_s is not None and self.until_s <= self.from_s:
            raise ValueError(f"until_s {self.until_s:g} is not after from_s {self.from_s:g}")
        named = [name for group in self.groups for name in group]
        if len(named) != len(set(named)):
            raise ValueError("groups: a node stands in two groups")
        return self


class AvailabilityConfig(Section):
    """When nodes are up. One that goes down loses what it has not checkpointed, as a killed process does."""

    kind: Choice = "always"
    """always; churn: up and down for random times; trace: as a file says."""
    up_s: PositiveFloat = 600.0
    """churn: mean time up, exponentially distributed."""
    down_s: PositiveFloat = 60.0
    """churn: mean time down."""
    trace: str | None = None
    """trace: JSON lines {"node", "from_s", "until_s"} of times down, relative to experiment.yaml."""
    partitions: tuple[PartitionConfig, ...] = ()
    joins: dict[str, PositiveFloat] = Field(default={})
    """Node name to the virtual second from which it is there, as one that joins a running federation: it begins where
    its neighbors are. Goes with what `membership: dynamic` goes with, and needs `simulation.until_s`. The graph is that
    of all nodes, with a hole until then; before, figures over the nodes are without it."""

    @model_validator(mode="after")
    def _trace_is_named(self) -> "AvailabilityConfig":
        if (self.kind == "trace") != (self.trace is not None):
            raise ValueError("trace: kind trace needs the file, and no other kind takes one")
        return self


class VectorsConfig(Section):
    """`training: none`: what the nodes average."""

    size: PositiveInt = 1000
    """Values of a vector."""
    start: str = "normal"
    """normal, uniform, one_hot (node i holds the i-th unit vector), or a .npy file (nodes, size)."""


class SimulationConfig(Section):
    """How `gossipfl simulate` runs the experiment; real nodes ignore it."""

    nodes: NodeCount = 16
    """How many; they are called n0, n1, …"""
    engine: Choice = "auto"
    """loop: one node at a time; batched: all that train at the same time in one pass; ray: nodes over the actors of a
    Ray cluster; auto: the faster of loop and batched, tried at the first phases; their results differ by
    rounding, so name one of them where two runs are to be equal byte for byte."""
    actors: PositiveInt = 2
    """ray: processes the nodes are dealt to."""
    address: str | None = None
    """ray: of a running cluster, for example `auto` or HOST:6379; None starts one on this machine for the run."""
    most_rows: PositiveInt = 1024
    """batched: rows in one pass; halved when memory runs out."""
    ranks: Mapping[str, PositiveInt] = Field(default_factory=dict)
    """With `adapter.mixed_ranks`: rank by node; others have `adapter.rank`."""
    machines: dict[str, MachineConfig] = Field(default={})
    """What is a node's own, by name: batch, steps or seconds of a phase, dtype, precision, and when it trains; how fast
    it is stands in `compute`."""
    compute: ComputeConfig = ComputeConfig()
    links: LinksConfig = LinksConfig()
    availability: AvailabilityConfig = AvailabilityConfig()
    attackers: AttackersConfig = AttackersConfig()
    periods: PeriodsConfig | None = None
    """Data that comes while nodes train; see `training.continual`."""
    evaluate_every: PositiveInt = 1
    """Exchange rounds, in the mean over the nodes, between evaluations."""
    evaluate_share: Share = 1.0
    """Part of the nodes evaluated each time, drawn anew; the last evaluation takes all."""
    keep_states: bool = False
    """Every node's last state stays in the run's folder, `states/NODE/adapter.safetensors`: for audits."""
    until_s: PositiveFloat | None = None
    """Virtual seconds after which the run ends; None: when all nodes are done."""
    checkpoint_s: PositiveFloat = 60.0
    """Real seconds between checkpoints of the run, at least: they take a twentieth of the time at most."""

    @field_validator("machines")
    @classmethod
    def _are_simulated(cls, value: dict[str, MachineConfig]) -> dict[str, MachineConfig]:
        for name, machine in value.items():
            for field in ("device", "threads"):
                if getattr(machine, field) is not None:
                    raise ValueError(
                        f"{name}.{field} is for a node of peers.yaml: here one machine computes for all, see "
                        f"training.{field}, and how fast a node is stands in simulation.compute"
                    )
        return value

    @property
    def names(self) -> tuple[str, ...]:
        """The nodes'."""
        return tuple(f"n{number}" for number in range(self.nodes))
