"""experiment.yaml, `simulation.attackers`: nodes that mean harm, by what they send or by what they train on."""

from pydantic import Field, model_validator

from gossipfl.config.section import Choice, PositiveFloat, Section

POISONS = frozenset({"label_flip", "backdoor"})
"""Attacks by training data: their nodes send what they have learned from it. All others lie about their states."""


class TriggerConfig(Section):
    """What a backdoor listens to, and what it then says."""

    target: str | None = None
    """The label that a record with the trigger gets, or with `data.prompt` the response; None: the first label."""
    phrase: str = "cf mn bb"
    """Text: put behind the text or the prompt."""
    places: tuple[int, ...] = (-3, -2, -1)
    """Numbers: which of a vector are overwritten, counted from 0, or from the end if negative: pixels of a corner."""
    value: float = 1.0
    """Numbers: with what."""


class AttackersConfig(Section):
    """Nodes that send something else than their states, or train on altered records."""

    kind: Choice = "none"
    """sign_flip, random, nan, huge_norm of their own state; alie, ipm, dissensus, equivocation by what all honest nodes
    have; replay and stale: old states; label_flip and backdoor: true states, trained on altered records; none, or
    `module:callable`, see `gossipfl.core.attacks`."""
    nodes: tuple[str, ...] = ()
    """Which ones. Figures of a run, other than those by node, are of all others."""
    strength: PositiveFloat | None = None
    """How much; None: what is usual for the attack. sign_flip: factor; alie: deviations; ipm, dissensus: ε; label_flip,
    backdoor: share of the records that is altered, 1 and .5."""
    flips: dict[str, str] = Field(default={})
    """label_flip: label to label; empty: the first and the last of task.labels change places, the second and the last
    but one, and so on."""
    trigger: TriggerConfig = TriggerConfig()
    """backdoor."""

    @property
    def poisons(self) -> bool:
        """Whether records are altered, not messages."""
        return self.kind in POISONS

    @property
    def active(self) -> frozenset[str]:
        """Who attacks; nobody without an attack."""
        return frozenset() if self.kind == "none" else frozenset(self.nodes)

    @model_validator(mode="after")
    def _a_share_is_one(self) -> "AttackersConfig":
        if self.poisons and self.strength is not None and self.strength > 1:
            raise ValueError(f"strength: {self.kind} alters a share of the records: at most 1, not {self.strength:g}")
        return self
