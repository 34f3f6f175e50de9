"""experiment.yaml, `training`: optimizer steps between two exchanges."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from gossipfl.config.section import (
    Choice,
    Fraction,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Section,
)


class GoldfishConfig(Section):
    """Which tokens goldfish loss leaves out."""

    k: Annotated[int, Field(ge=2)] = 4
    """One token in k, about, is never trained on; less recites less, and learns a little more slowly."""
    h: PositiveInt = 13
    """Tokens before one that decide about it: copies that share as many leave out the same."""


class TrainingConfig(Section):
    """Local training between two exchanges."""

    phases: PositiveInt = 10
    """Training phases in the whole run; after each the node publishes and mixes."""
    local_steps: PositiveInt = 10
    """Optimizer steps a phase; more saves bytes and lets the nodes drift apart. With local_seconds the most."""
    local_seconds: PositiveFloat | None = None
    """A phase is over after so many seconds, if it has not done local_steps before: it does as many steps as fit, one
    at least. Under privacy noise and ε are planned for local_steps, and a rehearsal on made-up records says how many
    steps fit, so that their number tells nothing of the node's own. None: always local_steps."""
    common_steps: PositiveInt | None = None
    """gossip.work: the steps of a phase that everybody's work counts as; the same on all nodes. None: local_steps, as
    this file has it for all."""
    batch_size: PositiveInt = 32
    """Units in an optimizer step; under privacy the expected number, drawn by Poisson sampling."""
    micro_batch: PositiveInt = 32
    """Records in one forward pass; smaller saves memory, the gradient is the same."""
    gradient_checkpointing: bool = False
    """Keeps only what goes into each layer and computes the rest again in the backward pass: much less memory for about
    a third more time; the gradient is the same."""
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
    loss: Literal["every_token", "goldfish"] = "every_token"
    """causal-lm: goldfish leaves a fixed part of the tokens out of training, so that no passage is learned by heart;
    evaluation counts every token."""
    goldfish: GoldfishConfig = GoldfishConfig()
    continual: Choice = "all"
    """Where data comes in periods (data.watch, simulation.periods): all trains on every record alike; newest only on
    what came last; replay takes a part of every batch from earlier periods; proximal is newest with a pull to the last
    consensus; merged trains an adapter of each period's own, the newest one, and shares the mean of all."""
    replay_share: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """replay: part of a batch from earlier periods; more forgets less, and charges old records more."""
    proximal_mu: PositiveFloat = 0.1
    """proximal: strength of the pull (FedProx's μ); more forgets less, and learns what is new more slowly."""
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

    @property
    def counted_steps(self) -> int:
        """The steps that a phase of any node counts as."""
        return self.common_steps or self.local_steps

    def rate_index(self, step: int, *, phase: int, first: int) -> int:
        """By which step of the whole run a step's learning rate goes: its own, counted as if all had been done before.

        Args:
            step: its index, of those that were done.
            phase, first: its phase, and that one's first step.
        """
        return step if self.local_seconds is None else phase * self.local_steps + step - first

    @property
    def leaves_out(self) -> GoldfishConfig | None:
        """Which tokens are not trained on; None: all are."""
        return self.goldfish if self.loss == "goldfish" else None

    @model_validator(mode="after")
    def _continual_is_used(self) -> "TrainingConfig":
        for field, kind in (("replay_share", "replay"), ("proximal_mu", "proximal")):
            given = getattr(self, field) != type(self).model_fields[field].default
            if given and self.continual in {"all", "newest", "replay", "proximal", "merged"} - {kind}:
                raise ValueError(f"{field}: is for continual {kind}, not {self.continual}")
        return self

    @model_validator(mode="after")
    def _time_has_a_bound(self) -> "TrainingConfig":
        if self.local_seconds is not None and "local_steps" not in self.model_fields_set:
            raise ValueError("local_seconds: say with it how many steps a phase does at most: local_steps")
        return self

    @model_validator(mode="after")
    def _goldfish_is_used(self) -> "TrainingConfig":
        if self.loss != "goldfish" and self.goldfish != GoldfishConfig():
            raise ValueError(f"goldfish: is for loss goldfish, not {self.loss}")
        return self
