"""How good states are: the seam between a recorder and whatever evaluates."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gossipfl.learning.evaluation import Evaluation
from gossipfl.learning.forgetting import Score
from gossipfl.state import AdapterState

States = Sequence[tuple[str, AdapterState]]
"""(node, its state)"""


@dataclass(frozen=True, slots=True)
class Judgment:
    """One node's state.

    Attributes:
        own: on the node's own held-out part; None without one.
        test: on the common test set; None without one.
        trigger_success: part of its records with a backdoor's trigger of which it says what the attacker wants; None
            without a backdoor.
        periods: accuracy on its own held-out part of each of `simulation.periods`, None of what it does not have;
            empty without them.
    """

    own: Evaluation | None
    test: Evaluation | None
    trigger_success: float | None = None
    periods: tuple[Score, ...] = ()


class Judge(Protocol):
    """Evaluates states."""

    def judge(self, states: States, *, last: bool = False) -> list[Judgment]:
        """Each node's state on its own part and on the common test set.

        Args:
            last: of the run, see `Learner.evaluate`.
        """
        ...

    def judge_mean(self, state: AdapterState, *, last: bool = False) -> Evaluation | None:
        """The mean model on the common test set; None without one: held-out parts differ from node to node."""
        ...
