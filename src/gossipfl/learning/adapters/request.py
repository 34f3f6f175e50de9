"""What a kind of adapter is built from."""

from dataclasses import dataclass
from pathlib import Path

from gossipfl.config.experiment import AdapterConfig
from gossipfl.learning.base import BaseModel


@dataclass(frozen=True, slots=True)
class AdapterRequest:
    """The arguments of every entry of the adapter table.

    Attributes:
        base: the frozen base model, to be changed in place.
        config: the experiment's adapter section.
        seed: the experiment's seed, for factors that all nodes share.
        dropout: on the adapter's input.
        basis: `core`: file with the public factors, or None.
    """

    base: BaseModel
    config: AdapterConfig
    seed: int
    dropout: float
    basis: Path | None
