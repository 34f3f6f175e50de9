"""What an adversary reads off a state: how far it went for each canary, and how well it knows each record."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gossipfl.learning.data import Examples, NodeRecords
from gossipfl.learning.data.examples import make_examples
from gossipfl.learning.evaluation import row_losses
from gossipfl.learning.resident import Resident
from gossipfl.state import AdapterState

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class DiracProbe:
    """Reads canaries' own values off states.

    Attributes:
        initial: where everybody starts.
        places: (canaries,) in the exchanged vector.
    """

    initial: AdapterState
    places: NDArray[np.int64]

    def __call__(self, state: AdapterState) -> Floats:
        """(canaries,) how far each went along its canary's descent."""
        return (self.initial.vector[self.places] - state.vector[self.places]).astype(np.float64)


@dataclass(frozen=True, slots=True)
class LossProbe:
    """Reads records' losses off states.

    Attributes:
        resident: the model that computes them.
        examples: a row each.
    """

    resident: Resident
    examples: Examples

    def losses(self, state: AdapterState) -> Floats:
        """(records,) loss of each."""
        adapted, micro_batch = self.resident.adapted, self.resident.adapted.experiment.training.micro_batch
        with adapted.turn:
            adapted.write(state)
            return row_losses(adapted.module, self.resident.task, self.examples, micro_batch=micro_batch)

    def __call__(self, state: AdapterState) -> Floats:
        """(records,) higher for records that were learned."""
        return -self.losses(state)


Probe = DiracProbe | LossProbe


def probe_of(resident: Resident, records: NodeRecords, units: Sequence[int]) -> LossProbe:
    """A probe of the first row of each unit, which is all of it where records are their own units."""
    adapted = resident.adapted
    firsts = [records.train[unit][:1] for unit in units]
    examples = make_examples(records.records, firsts, tokenizer=adapted.reader, task=adapted.experiment.task)
    return LossProbe(resident, examples.to(resident.device))
