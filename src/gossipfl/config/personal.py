"""experiment.yaml, `personal`: a model of each node's own, made behind the last exchange and never published."""

from typing import Annotated

from pydantic import Field, model_validator

from gossipfl.config.section import NonNegativeInt, PositiveFloat, Section

WEIGHTS = 11


class PersonalConfig(Section):
    """What a node makes of the last mixed state for itself alone."""

    phases: NonNegativeInt = 0
    """Training phases behind the last exchange, of `training.local_steps` each, on the node's own data; 0: none."""
    learning_rate: PositiveFloat | None = None
    """Constant rate of these phases, with fresh moments; default: training.learning_rate."""
    interpolate: bool = False
    """Moves what they made back toward the last mixed state, as far as the node's own held-out part wants it."""
    weights: Annotated[int, Field(ge=2, le=1001)] = WEIGHTS
    """interpolate: so many weights are tried, evenly from 0 (the mixed state) to 1 (the node's own)."""
    stays: bool = False
    """The personal model is never to leave this machine: its phases are neither noised nor charged, and `export`
    refuses it. false: they are noised and charged like all others."""
    against_alone: bool = True
    """Simulator and fedavg: trains each node alone for as many steps as well, and says how good that is."""

    @model_validator(mode="after")
    def _there_are_phases(self) -> "PersonalConfig":
        asked = self.interpolate or self.stays or self.learning_rate is not None
        if asked and not self.phases:
            raise ValueError("phases: without any there is no personal model; 1 or more was expected beside the rest")
        return self

    @model_validator(mode="after")
    def _weights_are_tried(self) -> "PersonalConfig":
        if not self.interpolate and self.weights != WEIGHTS:
            raise ValueError("weights: are tried with interpolate true only")
        return self


def check_personal(personal: PersonalConfig, *, held_out: float, level: str) -> None:
    """Whether an experiment's other sections let nodes have models of their own.

    Raises:
        ValueError: nothing is held out to choose a weight by, or the level's noise needs neighbors.
    """
    if personal.interpolate and not held_out:
        raise ValueError("personal.interpolate chooses by the node's held-out part: data.held_out above 0 was expected")
    if personal.phases and not personal.stays and level == "correlated":
        raise ValueError(
            "personal.phases: privacy.level correlated shares noise that cancels in a mean, and a personal model is "
            "never mixed: set personal.stays, or privacy.level update"
        )
