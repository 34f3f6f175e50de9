"""What is a machine's own: how it trains, and when.

The same keys in peers.yaml (`nodes[].machine`) and in experiment.yaml (`simulation.machines`); None takes what
`training` and `model` say for all.
"""

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator

from gossipfl.config.section import PositiveFloat, PositiveInt, Section

_HOURS = re.compile(r"([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d")


class MachineConfig(Section):
    """One node's machine. Nodes need not agree on any of it, and the privacy plan of a node goes by its own."""

    batch_size: PositiveInt | None = None
    """Instead of `training.batch_size`; decides the node's own sampling rate and noise."""
    micro_batch: PositiveInt | None = None
    """Instead of `training.micro_batch`: less memory, the same gradients."""
    local_steps: PositiveInt | None = None
    """Instead of `training.local_steps`; what a phase counts then, see `gossip.work`."""
    local_seconds: PositiveFloat | None = None
    """Instead of `training.local_seconds`."""
    dtype: Literal["float32", "bfloat16"] | None = None
    """Of the frozen weights, instead of `model.dtype`; what is trained and exchanged stays float32."""
    precision: Literal["auto", "float32", "bfloat16"] | None = None
    """Instead of `training.precision`."""
    device: str | None = None
    """Instead of `training.device`; on a real node only."""
    threads: PositiveInt | None = None
    """Instead of `training.threads`; on a real node only."""
    train_share: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Part of the time in which the node trains: after a phase it rests for (1/share - 1) times as long. It hears and
    answers its neighbors meanwhile, and mixes as gossip.protocol has it. Under privacy: how long it rests follows how
    long the phase took, a time that no ε covers (docs/privacy.md)."""
    train_hours: tuple[str, ...] = ()
    """Times of day in which a phase may begin, as 22:00-06:00, by the machine's own clock (a simulation begins at
    midnight); empty: always. Neighbors do not wait for it under gossip.protocol wait_free and push_sum."""

    @field_validator("train_hours")
    @classmethod
    def _last_a_while(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for hours in value:
            if _HOURS.fullmatch(hours) is None:
                raise ValueError(f"{hours!r} is no time of day from 00:00 to 23:59 and another, as 22:00-06:00")
            begin, _, end = hours.partition("-")
            if begin == end:
                raise ValueError(f"{hours} lasts no time at all; leave train_hours out for a node that always trains")
        return value

    @property
    def rests(self) -> bool:
        """Whether it ever waits before a phase."""
        return self.train_share < 1 or bool(self.train_hours)
