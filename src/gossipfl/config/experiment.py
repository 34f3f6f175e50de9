"""experiment.yaml: what is trained, on what, how privately, and how it is exchanged."""

from typing import Literal

from pydantic import model_validator

from gossipfl.config.compare import ArmConfig, CompareConfig
from gossipfl.config.data import DataConfig, SplitConfig
from gossipfl.config.flower import FlowerConfig
from gossipfl.config.gossip import GossipConfig
from gossipfl.config.model import AdapterConfig, ModelConfig, TaskConfig
from gossipfl.config.privacy import PrivacyConfig
from gossipfl.config.section import NonNegativeInt, Section
from gossipfl.config.simulation import SimulationConfig, VectorsConfig
from gossipfl.config.topology import TopologyConfig
from gossipfl.config.training import TrainingConfig

__all__ = [
    "AdapterConfig",
    "ArmConfig",
    "Averaging",
    "CompareConfig",
    "DataConfig",
    "Experiment",
    "FlowerConfig",
    "GossipConfig",
    "ModelConfig",
    "PrivacyConfig",
    "Section",
    "SimulationConfig",
    "SplitConfig",
    "TaskConfig",
    "TopologyConfig",
    "TrainingConfig",
]


class Experiment(Section):
    """experiment.yaml as a whole."""

    seed: NonNegativeInt = 0
    """Of everything that nodes must agree on: heads, splits, seeded batches. Never of privacy noise."""
    model: ModelConfig
    task: TaskConfig
    adapter: AdapterConfig = AdapterConfig()
    data: DataConfig = DataConfig()
    training: TrainingConfig = TrainingConfig()
    privacy: PrivacyConfig
    topology: TopologyConfig = TopologyConfig()
    gossip: GossipConfig = GossipConfig()
    simulation: SimulationConfig = SimulationConfig()
    flower: FlowerConfig = FlowerConfig()
    compare: CompareConfig | None = None
    """What `gossipfl compare` runs; everything else ignores it."""

    @model_validator(mode="after")
    def _combinations_make_sense(self) -> "Experiment":
        if self.privacy.noises_steps and self.training.dropout:
            raise ValueError("training.dropout must be 0 with privacy: per-sample clipping assumes one fixed function")
        if self.privacy.noises_steps and self.training.max_grad_norm is not None:
            raise ValueError(
                "training.max_grad_norm is for plain steps, privacy.level none or update; set privacy.max_grad_norm"
            )
        # a schedule of the user's own may be static in all but name: wait_free asks it
        if (
            self.gossip.protocol == "wait_free"
            and self.topology.schedule != "static"
            and ":" not in self.topology.schedule
        ):
            raise ValueError(
                f"topology.schedule {self.topology.schedule} changes from round to round, and wait_free nodes count "
                "rounds of their own: set gossip.protocol sync"
            )
        return self

    @model_validator(mode="after")
    def _vectors_go_with_builtin_models(self) -> "Experiment":
        vectors = self.task.kind == "vector-classification"
        if vectors != (self.model.builtin is not None):
            raise ValueError(
                f"task.kind {self.task.kind} does not fit model.source {self.model.source!r}: vector-classification "
                "goes with the builtin models, which read numbers, and the other tasks with models that read text"
            )
        if not vectors:
            return self
        if self.data.prompt is not None:
            raise ValueError("data.prompt and data.response are text, vector-classification reads data.features")
        if (
            self.adapter.kind in {"core", "lora", "ffa", "alternating"}
            or not self.adapter.train_head
            or self.training.dropout
        ):
            raise ValueError(
                "adapter.kind must be full, with train_head and without training.dropout, for a builtin model: "
                "it begins with random weights, so there is nothing to adapt and all of it is trained"
            )
        return self


class Averaging(Section):
    """`training: none`: gossip alone, on given or random vectors, for studies of topologies; simulator only.

    `gossip.settle_rounds` is the number of rounds.
    """

    training: Literal["none"]
    seed: NonNegativeInt = 0
    """Of random vectors and of everything the network does."""
    vectors: VectorsConfig = VectorsConfig()
    topology: TopologyConfig = TopologyConfig()
    gossip: GossipConfig = GossipConfig()
    simulation: SimulationConfig = SimulationConfig()
