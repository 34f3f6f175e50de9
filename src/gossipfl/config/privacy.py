"""experiment.yaml, `privacy`: what is clipped and noised, and for which ε."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from gossipfl.config.section import Choice, PositiveFloat, Section


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
