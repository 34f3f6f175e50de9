"""One node as the asker sees it."""

import math
from dataclasses import dataclass
from typing import Any

from gossipfl.net.reports import Measured, StatusDetails, StatusSnapshot

_UNKNOWN = ("step", "steps_planned", "epsilon", "target_epsilon", "neighbors_up", "staleness", "bytes_sent", "state")


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """One node's answer, or its silence.

    Attributes:
        answer: None when it did not answer, or has no address to be asked at.
        before: its last answer before, where it is silent now; None: there was none.
        silent_s: seconds since then.
        has_address: it can be asked at all.
    """

    name: str
    answer: StatusSnapshot | None
    before: StatusSnapshot | None = None
    silent_s: float | None = None
    has_address: bool = True

    @property
    def known(self) -> StatusSnapshot | None:
        """The last answer, however old."""
        return self.answer or self.before

    @property
    def details(self) -> StatusDetails:
        """Of the last answer; of a node of before, which tells none, nothing."""
        known = self.known
        return known.details if known is not None and known.details is not None else StatusDetails()

    def as_json(self) -> dict[str, Any]:
        """The keys of commands.md.

        ε is None without privacy, as in a node's own metrics, though the wire says infinity; loss and accuracy are from
        a common public test set only.
        """
        answer = self.answer
        if answer is None:
            return {"name": self.name, "up": False, **dict.fromkeys(_UNKNOWN), "rejected": {}}
        return {"name": self.name, "up": True, **figures(answer)}


def figures(answer: StatusSnapshot) -> dict[str, Any]:
    """An answer's figures, its history aside."""
    details = answer.details or StatusDetails()
    result = {
        "step": answer.step,
        "steps_planned": details.steps_planned or None,
        "epsilon": None if math.isinf(answer.epsilon) else answer.epsilon,
        "target_epsilon": details.target_epsilon,
        "neighbors_up": answer.neighbors_up,
        "neighbors": answer.neighbors,
        "staleness": answer.staleness,
        "bytes_sent": answer.bytes_sent,
        "bytes_received": answer.bytes_received,
        "rejected": dict(answer.rejected),
        "state": answer.state,
    }
    if answer.test_loss is not None:
        result |= {"loss": answer.test_loss, "accuracy": answer.test_accuracy}
    return result


def points(history: tuple[Measured, ...]) -> list[list[float | None]]:
    """Of a node's past: step, loss, accuracy, ε and distance, in this order."""
    return [[each.step, each.test_loss, each.test_accuracy, each.epsilon, each.distance] for each in history]
