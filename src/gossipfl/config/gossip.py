"""experiment.yaml, `gossip`: how states meet and what travels."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, model_validator

from gossipfl.config.section import Choice, Fraction, NonNegativeInt, PositiveFloat, PositiveInt, Section


class GossipConfig(Section):
    """How states meet."""

    protocol: Choice = "wait_free"
    """wait_free never waits; sync keeps the mean exactly and waits for the slowest until deadline_s; push_sum never
    waits and keeps the network's sum, whatever gets lost and on directed graphs too, for totals of 8 bytes a value
    after each loss; pairwise averages with one random neighbor at a time, both or neither; noloco is sync with an
    outer step, for random_matching; alone trains and exchanges nothing, for comparisons."""
    mixing: Choice = "weighted"
    """weighted: the mean by the topology's weights. Against neighbors that send what they like, each at a price in
    accuracy where data differs: self_centered_clipping moves toward a neighbor by its weight times clipping_radius at
    most; nearest, trimmed_mean, median, krum, multi_krum, geometric_median go without those far off."""
    clipping_radius: Annotated[float, Field(gt=0)] | None = None
    """self_centered_clipping: τ; None: the (byzantine + 1)-th largest distance of the neighbors at the time."""
    byzantine: NonNegativeInt = 1
    """Neighbors of one node that may send what they like and are borne by mixing; where too few others are there to
    outvote so many, the node goes on alone."""
    codec: Choice = "fp32"
    """fp32: exact. With loss, as the difference to what neighbors saw last: fp16, bf16; int8, int4: blocks of 256 with
    a scale each; top_k, random_k: a share of the values; low_rank: matrices as thin products."""
    codec_share: Annotated[float, Field(gt=0, le=1)] = 0.1
    """top_k, random_k: share of the values that is sent."""
    codec_rank: PositiveInt = 4
    """low_rank: rank of the products."""
    feedback: Annotated[float, Field(gt=0, le=1)] = 1.0
    """β, codecs with loss: part of what was lost before that is in the next difference. Less lets codecs that leave
    much away bear a higher consensus_rate: top_k with a tenth .5 and .6 instead of 1 and .4, in 3/5 of the rounds."""
    zstd: bool = False
    """What the codec makes is squeezed once more by Zstandard, without loss."""
    consensus_rate: Annotated[float, Field(gt=0, le=1)] | None = None
    """Factor γ on all weights but the own one: codecs that leave much away need one below 1. None: 1; of top_k four
    times, of random_k once the share, .1 of low_rank."""
    rounds_per_phase: PositiveInt = 1
    """sync: exchanges after each training phase; an exact schedule of length τ wants τ (`gossipfl topology show`)."""
    work: Choice = "normalized"
    """How much a phase counts that took another number of steps than training.local_steps says for all (see
    `nodes[].machine` and training.local_seconds). normalized: as much as one of that many steps, so that nodes that do
    more do not pull the average toward their own optimum (FedNova); as_done: as it is. The same on all nodes."""
    outer_learning_rate: PositiveFloat = 0.7
    """noloco: η, factor on what a phase and its mixing have changed; 1, with outer_momentum 0, is sync."""
    outer_momentum: Fraction = 0.5
    """noloco: μ, part of the last outer step that is taken again; more is faster far from the goal, and keeps nodes
    farther apart."""
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

    @model_validator(mode="before")
    @classmethod
    def _older_files(cls, value: Any) -> Any:  # noqa: ANN401  # whatever the file holds
        # what is protected, and how, stands in a section of its own now
        if isinstance(value, Mapping) and value.get("protection") == "plain":
            return {key: each for key, each in value.items() if key != "protection"}
        return value

    @property
    def compares(self) -> bool:
        """Whether mixing holds neighbors' states against each other, and so needs all of a round at once."""
        return self.mixing != "weighted"

    @property
    def rate(self) -> float:
        """γ: as given, or what goes with the codec."""
        if self.consensus_rate is not None:
            return self.consensus_rate
        # what push_sum gives away it gives by an estimate that is long off: four times the share runs away there
        top_k = self.codec_share * (1 if self.protocol == "push_sum" else 4)
        return min(1.0, {"top_k": top_k, "random_k": self.codec_share, "low_rank": 0.1}.get(self.codec, 1.0))

    @model_validator(mode="after")
    def _what_looks_at_each_sees_each(self) -> "GossipConfig":
        if not self.compares:
            return self
        if self.protocol not in {"sync", "wait_free", "alone"}:
            raise ValueError(
                f"mixing: {self.mixing} looks at each neighbor's state, and protocol {self.protocol} adds up what "
                "comes: set sync or wait_free"
            )
        if self.codec != "fp32":
            raise ValueError(
                f"mixing: {self.mixing} goes with codec fp32, not {self.codec}: what a codec loses has to be taken "
                "away again by the neighbor's own weight"
            )
        if self.rate != 1.0:
            raise ValueError(f"mixing: {self.mixing} goes with consensus_rate 1, not {self.rate:g}")
        return self

    @model_validator(mode="after")
    def _an_outer_step_is_a_phases(self) -> "GossipConfig":
        if self.protocol == "noloco" and self.rounds_per_phase != 1:
            raise ValueError(
                f"rounds_per_phase: {self.rounds_per_phase} does not go with protocol noloco, which steps outward "
                "after the one exchange of a phase: 1 was expected"
            )
        return self
