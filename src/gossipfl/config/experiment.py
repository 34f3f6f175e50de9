"""experiment.yaml: what is trained, on what, how privately, and how it is exchanged."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from gossipfl.config.compare import ArmConfig, CompareConfig
from gossipfl.config.data import DataConfig, SplitConfig
from gossipfl.config.flower import FlowerConfig
from gossipfl.config.model import AdapterConfig, ModelConfig, TaskConfig
from gossipfl.config.section import (
    Choice,
    Fraction,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Section,
)
from gossipfl.config.simulation import SimulationConfig, VectorsConfig

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


class TrainingConfig(Section):
    """Local training between two exchanges."""

    phases: PositiveInt = 10
    """Training phases in the whole run; after each the node publishes and mixes."""
    local_steps: PositiveInt = 10
    """Optimizer steps a phase; more saves bytes and lets the nodes drift apart."""
    batch_size: PositiveInt = 32
    """Units in an optimizer step; under privacy the expected number, drawn by Poisson sampling."""
    micro_batch: PositiveInt = 32
    """Records in one forward pass; smaller saves memory, the gradient is the same."""
    optimizer: Literal["sgd", "adam", "adamw"] = "adam"
    learning_rate: PositiveFloat = 1e-3
    """Peak rate; core wants about 5 times that of lora."""
    momentum: Fraction = 0.0
    """sgd only."""
    weight_decay: NonNegativeFloat = 0.0
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    """Decay over the whole run after the warm-up."""
    warmup_steps: NonNegativeInt = 0
    optimizer_state: Literal["keep", "reset"] = "keep"
    """Momentum and moments at the beginning of a phase: kept from the node's last one, or none, as in most FedAvg."""
    max_grad_norm: PositiveFloat | None = None
    """Clips the whole gradient of a step; at privacy.level example see privacy.max_grad_norm."""
    dropout: Fraction = 0.0
    """On the adapter's input; must be 0 at privacy.level example."""
    device: str = "auto"
    """auto (CUDA when there is one), cpu, cuda, cuda:1."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """auto: bfloat16 autocast on a GPU that has it, float32 elsewhere."""
    threads: NonNegativeInt = 0
    """CPU threads of torch; 0 leaves torch's choice."""
    evaluate_every: NonNegativeInt = 1
    """Phases between evaluations on the node's own held-out part and the common test set; 0: only at the end."""

    @property
    def total_steps(self) -> int:
        """Optimizer steps of the whole run."""
        return self.phases * self.local_steps


class PrivacyConfig(Section):
    """What is noised. `level` is always written: nothing trains without privacy silently."""

    level: Choice
    """none; example: DP-SGD, each record's (or unit's) gradient clipped and noised, ε of one of them; update: plain
    steps, and the whole change of a phase clipped and noised once, ε of all the node's data (as if it were absent;
    other data in its place would be twice as far)."""
    target_epsilon: PositiveFloat | None = None
    """ε wished for the whole run; the noise is calculated. Smaller is more private."""
    noise_multiplier: PositiveFloat | None = None
    """σ, instead of target_epsilon: noise deviation over max_grad_norm."""
    nominal_epsilon: PositiveFloat | None = None
    """Level update, instead of target_epsilon, to study an error of tutorials: noise for this ε in every single phase,
    σ = √(2 ln(1.25/δ)) / ε, as if phases did not add up. They do: ledger, check and results say the ε of the run."""
    target_delta: Annotated[float, Field(gt=0, lt=1)] | None = None
    """δ; at most 1/(2n) of the node's units, the default being min(1e-3, 1/(2n))."""
    max_grad_norm: PositiveFloat = 1.0
    """Clipping norm C over all trained values: of one unit's gradient; at level update of a phase's whole change."""
    engine: Literal["auto", "hooks", "grouped"] = "auto"
    """Level example: how one unit's gradient is found: hooks of Opacus, or the grouped layer, faster and for fewer
    kinds of layers; auto: grouped where it suits the model. Same clipping, same noise, gradients equal to rounding."""
    accountant: Literal["prv", "rdp"] = "prv"
    """prv is tight; rdp is quick and never below it."""
    ledger: str | None = None
    """SQLite file of the data's account; default: beside the data."""
    share_metrics: Literal[False] = False
    """Sharing loss and accuracy on private data would need noise of its own; not offered yet."""
    public_data: bool = False
    """The records are public (a demo): said in ledger, check and reports."""

    @property
    def noises_steps(self) -> bool:
        """Whether each optimizer step is clipped and noised by itself; else steps are plain ones."""
        return self.level not in {"none", "update"}

    @model_validator(mode="after")
    def _noise_is_decided(self) -> "PrivacyConfig":
        wishes = (self.target_epsilon, self.noise_multiplier, self.nominal_epsilon)
        given = sum(wish is not None for wish in wishes)
        if self.level == "none" and given:
            raise ValueError("level none takes neither target_epsilon nor noise_multiplier nor nominal_epsilon")
        if self.level == "update" and given != 1:
            raise ValueError("level update needs target_epsilon, noise_multiplier or nominal_epsilon, one of the three")
        if self.level != "update" and self.nominal_epsilon is not None:
            raise ValueError(f"nominal_epsilon is for level update, not {self.level}: it sets the noise of one phase")
        if self.noises_steps and given != 1:
            raise ValueError(f"level {self.level} needs target_epsilon or noise_multiplier, one of the two")
        return self


class TopologyConfig(Section):
    """Who may talk to whom."""

    kind: str = "ring"
    """A generator's name, or a graph file (GraphML, GML, edge or adjacency list, node-link JSON, YAML edges).
    one_peer_exponential, base and epidemic link the nodes by themselves: with them a generator's name does not count,
    and a file is refused."""
    schedule: Choice = "static"
    """static: every edge in every round. Round by round, with gossip.protocol sync: one_peer_exponential: one message
    each, exact after log2(n) rounds where n is a power of two; base: at most `degree` peers each, exact for any n;
    random_edge: one random edge; epidemic: each sends to `degree` random others."""
    weights: Choice = "auto"
    """static: metropolis (symmetric, doubly stochastic), the choice of auto on an undirected graph, or uniform, its
    choice on a directed one. The other schedules have weights of their own and want auto."""
    degree: PositiveInt | None = None
    """random_regular, watts_strogatz: neighbors; barabasi_albert: edges a node joins with; exponential: hops; schedule
    base: peers a round at most, default 1; schedule epidemic: messages a node sends in a round, default ⌈log2 n⌉. More
    agrees in fewer rounds and sends more."""
    probability: Annotated[float, Field(ge=0, le=1)] | None = None
    """erdos_renyi: of an edge, default 2 ln(n)/n; watts_strogatz: of rewiring, default 0.1."""
    shape: tuple[PositiveInt, ...] = ()
    """grid, torus: rows and columns; default: as square as the number of nodes allows."""
    seed: NonNegativeInt = 0
    """Of random graphs and random schedules; equal on all nodes."""


class GossipConfig(Section):
    """How states meet."""

    protocol: Choice = "wait_free"
    """wait_free never waits; sync keeps the mean exactly and waits for the slowest until deadline_s; alone trains and
    exchanges nothing, for comparisons."""
    mixing: Choice = "weighted"
    codec: Choice = "fp32"
    """fp32: exact. With loss, as the difference to what neighbors saw last: fp16, bf16; int8, int4: blocks of 256 with
    a scale each; top_k, random_k: a share of the values; low_rank: matrices as thin products."""
    codec_share: Annotated[float, Field(gt=0, le=1)] = 0.1
    """top_k, random_k: share of the values that is sent."""
    codec_rank: PositiveInt = 4
    """low_rank: rank of the products."""
    zstd: bool = False
    """What the codec makes is squeezed once more by Zstandard, without loss."""
    consensus_rate: Annotated[float, Field(gt=0, le=1)] | None = None
    """Factor γ on all weights but the own one: codecs that leave much away need one below 1. None: 1; of top_k four
    times, of random_k once the share, .1 of low_rank."""
    protection: Literal["plain"] = "plain"
    rounds_per_phase: PositiveInt = 1
    """sync: exchanges after each training phase; an exact schedule of length τ wants τ (`gossipfl topology show`)."""
    deadline_s: PositiveFloat = 60.0
    """sync: seconds to wait for a round's neighbors; wait_free: for a settling round."""
    max_staleness: PositiveInt = 4
    """wait_free: own phases after which a silent neighbor counts as absent."""
    staleness_discount: Annotated[float, Field(ge=0, le=1)] = 0.0
    """wait_free: factor on a contribution's weight each time it is mixed again; 0 mixes each message once. Higher
    agrees sooner where messages get lost, and lets slow neighbors hold back what fast ones have learned."""
    settle_rounds: NonNegativeInt = 8
    """Mixing rounds without training after the last phase, to reach consensus; a ring of n wants about n²/3."""
    linger_s: PositiveFloat = 60.0
    """Seconds a finished node waits for a silent neighbor before it stops."""
    message_timeout_s: PositiveFloat = 60.0
    """Seconds one message may take to be sent or received before the link is dropped."""
    max_norm: PositiveFloat = 1e4
    """Largest Euclidean norm a neighbor's state may have; anything above is dropped."""

    @property
    def rate(self) -> float:
        """γ: as given, or what goes with the codec."""
        if self.consensus_rate is not None:
            return self.consensus_rate
        return min(
            1.0, {"top_k": 4 * self.codec_share, "random_k": self.codec_share, "low_rank": 0.1}.get(self.codec, 1.0)
        )


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
        if self.adapter.kind in {"core", "lora", "ffa"} or not self.adapter.train_head or self.training.dropout:
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
