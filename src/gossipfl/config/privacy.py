"""experiment.yaml, `privacy`: what is clipped and noised, and for which ε."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from gossipfl.config.section import Choice, PositiveFloat, Section


class PrivacyConfig(Section):
    """What is noised. `level` is always written: nothing trains without privacy silently."""

    level: Choice
    """none; example: DP-SGD, each record's (or unit's) gradient clipped and noised, ε of one of them; update: plain
    steps, and the whole change of a phase clipped and noised once, ε of all the node's data (as if it were absent;
    other data in its place would be twice as far); correlated: as update, with noise on top that neighbors share and
    that cancels in their mean: less of ε for an outsider or one neighbor, as much for all neighbors together."""
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
    clipping: Literal["flat", "per_layer"] = "flat"
    """Level example. flat: one unit's gradient as a whole; per_layer: each parameter by itself, to max_grad_norm over
    the root of their number, with the same noise: none that has large gradients pushes the others aside."""
    clipping_quantile: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Level example: the norm follows this quantile of the gradients' norms, .5 say, beginning at max_grad_norm. The
    noised number of gradients below it takes a share of ε: gradients get a little more noise. None: the norm stays."""
    clipping_learning_rate: PositiveFloat = 0.2
    """clipping_quantile: η, how fast the norm follows."""
    clipping_count_noise: PositiveFloat | None = None
    """clipping_quantile: deviation of the noise on the number of gradients below the norm; more than half of the noise
    multiplier, less takes more of ε. Default: a twentieth of the expected batch, at least the noise multiplier."""
    pair_noise_multiplier: PositiveFloat | None = None
    """Level correlated: deviation, over max_grad_norm, of the noise that the two ends of each edge share. More hides
    more from outsiders; what has not met its other end yet is in each node's own model. Equal at all nodes."""
    engine: Literal["auto", "hooks", "grouped"] = "auto"
    """Level example: how one unit's gradient is found: hooks of Opacus, or the grouped layer, faster and for fewer
    kinds of layers; auto: grouped where it suits the model. Same clipping, same noise, gradients equal to rounding."""
    accountant: Literal["prv", "rdp", "pld"] = "prv"
    """prv is tight; rdp is quick and never below it; pld, of another library (extra `pld`), a little tighter."""
    ledger: str | None = None
    """SQLite file of the data's account; default: beside the data."""
    share_metrics: Literal[False] = False
    """Sharing loss and accuracy on private data would need noise of its own; not offered yet."""
    public_data: bool = False
    """The records are public (a demo): said in ledger, check and reports."""

    @property
    def noises_steps(self) -> bool:
        """Whether each optimizer step is clipped and noised by itself; else steps are plain ones."""
        return self.level != "none" and not self.releases_phases

    @property
    def releases_phases(self) -> bool:
        """Whether steps are plain ones, and a phase's whole change is clipped and noised."""
        return self.level in {"update", "correlated"}

    @model_validator(mode="after")
    def _pairs_are_for_correlated_noise(self) -> "PrivacyConfig":
        correlated = self.level == "correlated"
        if correlated != (self.pair_noise_multiplier is not None):
            wanted = "needs pair_noise_multiplier" if correlated else "takes no pair_noise_multiplier"
            raise ValueError(f"level {self.level} {wanted}, the noise that neighbors share at level correlated")
        wishes = (self.target_epsilon, self.noise_multiplier)
        if correlated and sum(wish is not None for wish in wishes) != 1:
            raise ValueError("level correlated needs target_epsilon or noise_multiplier, one of the two")
        if correlated and self.target_epsilon is not None and self.target_delta is None:
            raise ValueError(
                "level correlated with target_epsilon needs target_delta: what others face follows from the noise of "
                "all nodes, and by default δ is each node's own"
            )
        return self

    @model_validator(mode="after")
    def _clipping_goes_with_the_level(self) -> "PrivacyConfig":
        asked = self.clipping != "flat" or self.clipping_quantile is not None
        if asked and self.level != "example":
            raise ValueError(
                f"clipping and clipping_quantile bound one unit's gradient, at level example; level {self.level} "
                "has none: clipping flat without clipping_quantile was expected"
            )
        if self.clipping_quantile is not None and self.clipping != "flat":
            raise ValueError(
                f"clipping_quantile follows the norm of whole gradients: clipping flat was expected, "
                f"not {self.clipping}"
            )
        if self.clipping_count_noise is not None and self.clipping_quantile is None:
            raise ValueError("clipping_count_noise is the noise of clipping_quantile, which is not given")
        return self

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
