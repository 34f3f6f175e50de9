"""The section `compare` of experiment.yaml: which arms are run, with which seeds, and what they are held against."""

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from gossipfl.config.section import NonNegativeInt, PositiveFloat, PositiveInt, Section

Driver = Literal["gossip", "fedavg", "alone", "pooled"]
ARM_NAME = re.compile(r"[A-Za-z0-9][\w.+-]{0,59}")
"""Arms are folders, too."""


def _counted(seeds: object) -> object:
    return tuple(range(seeds)) if isinstance(seeds, int) and not isinstance(seeds, bool) else seeds


class ArmConfig(Section):
    """One way to train: who drives it, and what it changes in the experiment it stands in."""

    driver: Driver
    """gossip: nodes exchange with their neighbors, on a virtual clock; fedavg: Flower's server averages; alone: each
    node trains on its own data and exchanges nothing; pooled: one learner with the data of all nodes."""
    mode: Literal["inprocess", "simulation", "deployment"] | None = None
    """fedavg: how Flower is run, see `gossipfl fedavg --mode`; default inprocess."""
    set: dict[str, object] = Field(default={})
    """Fields of the experiment that this arm changes, `topology.kind: torus` or nested; a field that the base gives and
    this arm must not have is set to null."""

    @model_validator(mode="after")
    def _mode_is_flowers(self) -> "ArmConfig":
        if self.mode is not None and self.driver != "fedavg":
            raise ValueError(f"mode: {self.mode!r} is how Flower is run, driver {self.driver} takes none")
        return self


class CompareConfig(Section):
    """What `gossipfl compare` runs: every arm with every seed, at equal work unless an arm says otherwise."""

    arms: Annotated[dict[str, ArmConfig], Field(min_length=1)]
    """By name: letters, digits and _ . + -, as the report calls them."""
    seeds: Annotated[tuple[NonNegativeInt, ...], BeforeValidator(_counted), Field(min_length=1)] = (0, 1, 2)
    """A list, or how many from 0 on. Each takes the place of `seed`, and of `topology.seed` where neither the file nor
    the arm names one."""
    reference: str | None = None
    """The arm that differences are taken to; None: the first."""
    goal: PositiveFloat | None = None
    """Accuracy (or loss, where there is no accuracy) that is wished: the report says after how many steps it is
    reached."""
    jobs: PositiveInt | None = None
    """Runs at a time, each with a model of its own in memory; None: as many as there are cores."""
    executor: Literal["processes", "ray"] = "processes"
    """processes of this machine, or tasks of a Ray cluster that shares its files."""
    address: str | None = None
    """ray: of a running cluster, for example `auto` or HOST:6379; None starts one on this machine."""

    @property
    def held_against(self) -> str:
        """Name of the reference arm."""
        return self.reference or next(iter(self.arms))

    @model_validator(mode="after")
    def _names_fit(self) -> "CompareConfig":
        wrong = next((name for name in self.arms if not ARM_NAME.fullmatch(name)), None)
        if wrong is not None:
            raise ValueError(f"arms: {wrong!r} is no name of an arm: 1 to 60 letters, digits and _ . + - were expected")
        if self.reference is not None and self.reference not in self.arms:
            raise ValueError(f"reference: {self.reference!r} is no arm; they are {', '.join(self.arms)}")
        twice = next((seed for place, seed in enumerate(self.seeds) if seed in self.seeds[:place]), None)
        if twice is not None:
            raise ValueError(f"seeds: {twice} is given twice")
        if self.address is not None and self.executor != "ray":
            raise ValueError(f"address: {self.address!r} is a Ray cluster's, executor {self.executor} takes none")
        return self
