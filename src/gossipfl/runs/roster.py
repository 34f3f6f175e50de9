"""Whose data a trial runs on."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Roster:
    """Whose data it is.

    Attributes:
        names: of all nodes; data is split over them.
        folder: of experiment.yaml.
        tokens: see `DataSite`.
    """

    names: tuple[str, ...]
    folder: Path
    tokens: Path | None = None
