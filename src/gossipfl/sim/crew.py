"""The learners of a run's nodes, as a run sees them."""

from collections.abc import Mapping
from typing import Any, Protocol

from gossipfl.core.messages import Clear
from gossipfl.learning.personal import Personalized
from gossipfl.runs.judging import Judge, States
from gossipfl.state import AdapterState


class Crew(Judge, Protocol):
    """What a run needs of its nodes' learners, wherever they are."""

    @property
    def initial(self) -> AdapterState:
        """Where every node starts, where ranks differ one of the highest."""
        ...

    def start(self, node: str) -> AdapterState:
        """Where a node starts."""
        ...

    def clear(self, node: str) -> Clear[AdapterState]:
        """Makes a node's states publishable."""
        ...

    def personalize(self, states: States) -> list[Personalized]:
        """Each node's own model, made of its last state."""
        ...

    def accounts(self) -> dict[str, Any]:
        """State of all accounts, for a checkpoint."""
        ...

    def restore_accounts(self, states: Mapping[str, Any]) -> None:
        """Takes over what `accounts` gave."""
        ...

    def epsilon(self) -> float | None:
        """The largest ε of a node, exactly; None without privacy."""
        ...

    def exposed(self) -> dict[str, float] | None:
        """The largest ε of a node by adversary; None but at level correlated."""
        ...

    def close(self) -> None:
        """Gives back what is not needed any more."""
        ...
