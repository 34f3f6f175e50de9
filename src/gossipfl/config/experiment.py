"""experiment.yaml: what is trained, on what, how privately, and how it is exchanged."""

from typing import Literal

from pydantic import model_validator

from gossipfl.config.audit import AuditConfig
from gossipfl.config.compare import ArmConfig, CompareConfig
from gossipfl.config.data import DataConfig, SplitConfig
from gossipfl.config.flower import FlowerConfig
from gossipfl.config.gossip import GossipConfig
from gossipfl.config.growing import check_growing
from gossipfl.config.large import check_large
from gossipfl.config.memorization import CanariesConfig, MemorizationConfig
from gossipfl.config.model import AdapterConfig, ModelConfig, TaskConfig
from gossipfl.config.personal import PersonalConfig, check_personal
from gossipfl.config.privacy import PrivacyConfig
from gossipfl.config.protection import ProtectionConfig, check_protected
from gossipfl.config.section import NonNegativeInt, Section
from gossipfl.config.simulation import SimulationConfig, VectorsConfig
from gossipfl.config.topology import TopologyConfig
from gossipfl.config.training import TrainingConfig

__all__ = [
    "AdapterConfig",
    "ArmConfig",
    "AuditConfig",
    "Averaging",
    "CanariesConfig",
    "CompareConfig",
    "DataConfig",
    "Experiment",
    "FlowerConfig",
    "GossipConfig",
    "MemorizationConfig",
    "ModelConfig",
    "PersonalConfig",
    "PrivacyConfig",
    "ProtectionConfig",
    "Section",
    "SimulationConfig",
    "SplitConfig",
    "TaskConfig",
    "TopologyConfig",
    "TrainingConfig",
]


MIXING_PROTOCOLS = frozenset({"sync", "wait_free", "alone"})
"""Those in which a node's state is mixed as one; others keep sums of all values."""


class Experiment(Section):
    """experiment.yaml as a whole."""

    seed: NonNegativeInt = 0
    """Of everything that nodes must agree on: heads, splits, seeded batches. Never of privacy noise."""
    model: ModelConfig
    task: TaskConfig
    adapter: AdapterConfig = AdapterConfig()
    data: DataConfig = DataConfig()
    training: TrainingConfig = TrainingConfig()
    personal: PersonalConfig = PersonalConfig()
    privacy: PrivacyConfig
    protection: ProtectionConfig = ProtectionConfig()
    topology: TopologyConfig = TopologyConfig()
    gossip: GossipConfig = GossipConfig()
    simulation: SimulationConfig = SimulationConfig()
    flower: FlowerConfig = FlowerConfig()
    compare: CompareConfig | None = None
    """What `gossipfl compare` runs; everything else ignores it."""
    audit: AuditConfig | None = None
    """What `gossipfl audit privacy` plants; everything else ignores it."""
    memorization: MemorizationConfig = MemorizationConfig()

    @property
    def charged_training(self) -> TrainingConfig:
        """Training with all phases that the account pays for: personal ones too, unless their model stays."""
        if not self.personal.phases or self.personal.stays:
            return self.training
        return self.training.model_copy(update={"phases": self.training.phases + self.personal.phases})

    @model_validator(mode="after")
    def _own_models_can_be_made(self) -> "Experiment":
        check_personal(self.personal, held_out=self.data.held_out, level=self.privacy.level)
        return self

    @model_validator(mode="after")
    def _combinations_make_sense(self) -> "Experiment":
        if self.privacy.noises_steps and self.training.dropout:
            raise ValueError("training.dropout must be 0 with privacy: per-sample clipping assumes one fixed function")
        if self.privacy.noises_steps and self.training.max_grad_norm is not None:
            raise ValueError(
                "training.max_grad_norm is for plain steps, privacy.level none, update or correlated; set "
                "privacy.max_grad_norm"
            )
        # a schedule of the user's own may be static in all but name: the protocol asks it
        changes = self.topology.schedule != "static" and ":" not in self.topology.schedule
        if self.gossip.protocol in {"wait_free", "pairwise"} and changes:
            raise ValueError(
                f"topology.schedule {self.topology.schedule} changes from round to round, and {self.gossip.protocol} "
                "nodes count rounds of their own: set gossip.protocol sync, or push_sum, which goes with any schedule"
            )
        return self

    @model_validator(mode="after")
    def _large_models_can_be_trained(self) -> "Experiment":
        check_large(self.model, self.training, self.adapter, self.privacy)
        return self

    @model_validator(mode="after")
    def _loss_is_of_the_task(self) -> "Experiment":
        if self.training.loss == "goldfish" and self.task.kind != "causal-lm":
            raise ValueError(
                f"training.loss goldfish keeps a text from being learned by heart: task.kind causal-lm was expected, "
                f"not {self.task.kind}"
            )
        return self

    @model_validator(mode="after")
    def _columns_are_of_the_task(self) -> "Experiment":
        kind, data = self.task.kind, self.data
        if data.tokens == "mapped" and kind in {"vector-classification", "image-classification"}:
            raise ValueError(f"data.tokens mapped: task.kind {kind} has no tokens; leave it at memory")
        if kind == "seq2seq-lm" and data.prompt is None:
            raise ValueError(
                "data.prompt and data.response: task.kind seq2seq-lm reads one and says the other; name both columns"
            )
        if self.task.metrics and (kind not in {"causal-lm", "seq2seq-lm"} or data.prompt is None):
            raise ValueError(
                f"task.metrics {', '.join(self.task.metrics)}: task.kind causal-lm or seq2seq-lm with data.prompt and "
                f"data.response was expected: a model of {kind} answers no prompt"
            )
        if kind in {"seq2seq-lm", "multiple-choice"} and data.canaries is not None:
            raise ValueError(f"data.canaries: passages of plain text, task.kind causal-lm was expected, not {kind}")
        if kind == "multiple-choice" and data.prompt is not None:
            raise ValueError(
                "data.prompt and data.response: task.kind multiple-choice reads data.question, data.choices and "
                "data.answer"
            )
        return self

    @model_validator(mode="after")
    def _sums_can_be_mixed(self) -> "Experiment":
        kind = self.protection.kind
        check_protected(self.protection, self.gossip, self.topology)
        if self.protection.sums_only and self.adapter.merge != "factors":
            raise ValueError(
                f"protection {kind} adds up values, and adapter.merge {self.adapter.merge} looks at the products of "
                "each neighbor: set factors"
            )
        if self.protection.sums_only and self.adapter.mixed_ranks:
            raise ValueError(f"protection {kind} adds up values of one layout: adapter.mixed_ranks does not go with it")
        return self

    @model_validator(mode="after")
    def _correlated_noise_cancels(self) -> "Experiment":
        if self.privacy.level != "correlated":
            return self
        gossip, adapter = self.gossip, self.adapter
        wanted: tuple[tuple[str, object, object, str], ...] = (
            ("gossip.protocol", gossip.protocol, "sync", "both ends of an edge must be mixed in the same round"),
            ("gossip.mixing", gossip.mixing, "weighted", "only a weighted mean takes away what was added"),
            ("gossip.codec", gossip.codec, "fp32", "what a codec loses of a state is not what its neighbor's loses"),
            ("gossip.rate", gossip.rate, 1.0, "slower mixing leaves noise behind"),
            ("topology.schedule", self.topology.schedule, "static", "noise is shared with the same neighbors always"),
            ("adapter.merge", adapter.merge, "factors", "products of noised factors do not cancel"),
            ("adapter.mixed_ranks", adapter.mixed_ranks, False, "values that a neighbor lacks have no other end"),
            ("adapter.private", list(adapter.private), [], "values that stay at the node have no other end"),
            ("protection.kind", self.protection.kind, "plain", "a skipped round leaves all of its noise behind"),
        )
        for field, value, expected, reason in wanted:
            if value != expected:
                raise ValueError(f"{field} {value}: privacy.level correlated needs {expected}: {reason}")
        training = self.training
        if gossip.work != "as_done" and (training.local_seconds or training.counted_steps != training.local_steps):
            raise ValueError(
                f"gossip.work {gossip.work}: privacy.level correlated needs as_done where nodes do unequal numbers of "
                "steps: what one end of an edge makes larger, the other does not take away"
            )
        return self

    @model_validator(mode="after")
    def _random_pairs_bear_the_momentum(self) -> "Experiment":
        rate, momentum = self.gossip.outer_learning_rate, self.gossip.outer_momentum
        in_pairs = self.gossip.protocol == "noloco" and self.topology.schedule == "random_matching"
        # see core.protocols.noloco
        if in_pairs and momentum**2 + rate / 2 >= 1:
            raise ValueError(
                f"gossip.outer_momentum {momentum:g} with outer_learning_rate {rate:g} drives nodes apart that meet in "
                f"random pairs: momentum² + rate/2 below 1 was expected, not {momentum**2 + rate / 2:.3g}"
            )
        return self

    @model_validator(mode="after")
    def _private_parts_can_stay(self) -> "Experiment":
        if self.adapter.private and self.gossip.protocol not in MIXING_PROTOCOLS:
            raise ValueError(
                f"adapter.private: gossip.protocol {self.gossip.protocol} keeps sums of whole states: "
                "set sync or wait_free"
            )
        return self

    @model_validator(mode="after")
    def _ranks_may_differ(self) -> "Experiment":
        if not self.adapter.mixed_ranks:
            return self
        gossip = self.gossip
        if gossip.protocol not in MIXING_PROTOCOLS:
            raise ValueError(f"adapter.mixed_ranks: gossip.protocol {gossip.protocol} adds up values of one layout")
        if gossip.mixing != "weighted" or gossip.codec != "fp32":
            raise ValueError("adapter.mixed_ranks goes with gossip.mixing weighted and gossip.codec fp32")
        return self

    @model_validator(mode="after")
    def _products_can_be_mixed(self) -> "Experiment":
        merge, gossip = self.adapter.merge, self.gossip
        if merge == "factors":
            return self
        if gossip.protocol not in MIXING_PROTOCOLS:
            raise ValueError(
                f"adapter.merge {merge} mixes products of factors, and gossip.protocol {gossip.protocol} adds up "
                "values: set sync or wait_free"
            )
        if merge != "svd" and self.model.dtype != "float32":
            raise ValueError(
                f"adapter.merge {merge} folds small changes into the frozen weights, which model.dtype "
                f"{self.model.dtype} would round away: float32 is wanted"
            )
        if gossip.mixing != "weighted":
            raise ValueError(f"adapter.merge {merge} goes with gossip.mixing weighted, not {gossip.mixing}")
        if gossip.codec != "fp32":
            raise ValueError(
                f"adapter.merge {merge} goes with gossip.codec fp32: what {gossip.codec} leaves away belongs to "
                "factors, and mixing makes others of them"
            )
        return self

    @model_validator(mode="after")
    def _data_may_grow(self) -> "Experiment":
        check_growing(self)
        return self

    @model_validator(mode="after")
    def _models_go_with_tasks(self) -> "Experiment":
        if self.model.plain and self.task.kind != "causal-lm":
            raise ValueError(
                f"task.kind {self.task.kind} does not fit model.source {self.model.source!r}: module:callable is a "
                "language model, causal-lm was expected"
            )
        vectors = self.task.kind == "vector-classification"
        if vectors != (self.model.builtin is not None):
            raise ValueError(
                f"task.kind {self.task.kind} does not fit model.source {self.model.source!r}: vector-classification "
                "goes with the builtin models, which read numbers, and the other tasks with models of transformers"
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
    protection: ProtectionConfig = ProtectionConfig()
    topology: TopologyConfig = TopologyConfig()
    gossip: GossipConfig = GossipConfig()
    simulation: SimulationConfig = SimulationConfig()

    @model_validator(mode="after")
    def _there_are_no_records(self) -> "Averaging":
        kind = self.simulation.attackers.kind
        if self.simulation.attackers.poisons:
            raise ValueError(f"simulation.attackers.kind {kind} alters training records, and training is none")
        if self.simulation.periods is not None:
            raise ValueError("simulation.periods: there are no records to come, since training is none")
        return self

    @model_validator(mode="after")
    def _sums_can_be_mixed(self) -> "Averaging":
        check_protected(self.protection, self.gossip, self.topology)
        return self
