"""The model in memory at which any number of learners work in turn."""

from dataclasses import dataclass, field, replace

import numpy as np
import torch

from gossipfl.config.experiment import Experiment
from gossipfl.learning.adapters import Adapted
from gossipfl.learning.checkpointing import refuse_hooks
from gossipfl.learning.data import (
    Examples,
)
from gossipfl.learning.tasks import Task
from gossipfl.privacy.mechanisms import MechanismParts
from gossipfl.privacy.self_check import EXAMPLES, choose_engine
from gossipfl.privacy.sources import ENGINES, UnitSource


class CheckedSource:
    """The source of unit gradients at one model: chosen and checked when the first node needs it, shared by all."""

    def __init__(self) -> None:
        self._source: UnitSource | None = None

    @property
    def chosen(self) -> UnitSource | None:
        """The source, once a node has needed it; None without privacy."""
        return self._source

    def checked(self, parts: MechanismParts, wished: str, train: Examples) -> UnitSource:
        """The source whose gradients are right on two examples.

        Args:
            wished: `privacy.engine`.

        Raises:
            PrivacyError: there is none.
        """
        if self._source is None:
            # of a single example twice the same
            rows = train.together(np.arange(EXAMPLES) % train.units).first(EXAMPLES)
            engine = choose_engine(wished, parts.module, parts.losses, rows)
            refuse_hooks(parts.module, engine)
            self._source = ENGINES[engine](parts.module, parts.losses)
        return self._source


@dataclass(frozen=True, slots=True)
class Resident:
    """One model in memory at which any number of learners work in turn.

    Attributes:
        adapted: the model with its adapter, on the device.
        task: its losses.
        device: where it lies.
        test: the common test set, on the device; None without one.
        unit_source: of unit gradients, under privacy.
    """

    adapted: Adapted
    task: Task
    device: torch.device
    test: Examples | None
    unit_source: CheckedSource = field(default_factory=CheckedSource)

    def at(self, experiment: Experiment) -> "Resident":
        """The same model for a node that trains it in another way."""
        return replace(self, adapted=replace(self.adapted, experiment=experiment))
