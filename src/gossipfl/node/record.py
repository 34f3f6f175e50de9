"""What a node knows about itself: one record for `metrics.jsonl`, for `gossipfl status`, and for the final result."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gossipfl.core.events import Report
from gossipfl.core.messages import Receipt
from gossipfl.learning.evaluation import Evaluation
from gossipfl.learning.personal import Personalized
from gossipfl.net.reports import EdgeReport, Measured, StatusDetails, StatusSnapshot
from gossipfl.node.distance import Distances
from gossipfl.node.history import History
from gossipfl.node.standing import DataStanding

STOPPED_TOGETHER = "stopped together"
"""State of a node that has ended with all others, after the same phase."""


@dataclass(slots=True)
class NodeRecord:
    """Running figures of one node; its own disk may hold all of them, the wire only what `public` gives.

    Attributes:
        name: the node.
        steps_planned: optimizer steps of the whole run.
        target_epsilon, noise_multiplier: of the privacy plan; `None` without privacy.
        step, phase: own progress.
        drift: norm of the snapshot's.
        absences: contributions that mixings of this life went without.
        receipt: the ledger's last word.
        report: the last mixing.
        held_out: evaluation on this node's private held-out part; never leaves the node.
        test: evaluation on the common public test set.
        train_s: seconds of training so far in this life.
        state: for `status`: training, settling, serving, done, stopped or stopped together.
        gossip_s: seconds this node's event loop spent on protocol, codec, checkpoint and log.
        distances: of what is published, its own and the neighbors'.
        history: what it tells of its past.
        personal: of the node's own model, decided by its held-out records: it never leaves the node.
        data: where it is with a folder that it watches; never leaves the node. None: it watches none.
    """

    name: str
    steps_planned: int
    target_epsilon: float | None = None
    noise_multiplier: float | None = None
    step: int = 0
    phase: int = 0
    drift: float = 0.0
    absences: int = 0
    receipt: Receipt = field(default_factory=Receipt)
    report: Report | None = None
    held_out: Evaluation | None = None
    test: Evaluation | None = None
    train_s: float = 0.0
    gossip_s: float = 0.0
    bytes_sent: int = 0
    bytes_received: int = 0
    rejected: Mapping[str, int] = field(default_factory=dict)
    state: str = "training"
    distances: Distances = field(default_factory=Distances)
    history: History = field(default_factory=History)
    personal: Personalized | None = None
    data: DataStanding | None = None

    @property
    def staleness(self) -> int:
        """Own phases since the most silent neighbor was heard; 0 before the first mixing."""
        return max(self.report.staleness.values(), default=0) if self.report else 0

    def status(self) -> StatusSnapshot:
        """What others may know: nothing in it is decided by private data; the transport adds its own figures."""
        return StatusSnapshot(
            name=self.name,
            step=self.step,
            phase=self.phase,
            epsilon=self.receipt.epsilon,
            staleness=self.staleness,
            state=self.state,
            test_loss=self.test.loss if self.test else None,
            test_accuracy=self.test.accuracy if self.test else None,
            details=StatusDetails(
                steps_planned=self.steps_planned,
                target_epsilon=self.target_epsilon,
                edges=self._edges(),
                history=self.history.points,
            ),
        )

    def remember(self) -> None:
        """Adds what is public of now to the history."""
        spent, test = self.receipt.epsilon, self.test
        self.history.add(
            Measured(
                step=self.step,
                epsilon=spent if math.isfinite(spent) else None,
                test_loss=test.loss if test else None,
                test_accuracy=test.accuracy if test else None,
                distance=self.distances.typical,
            )
        )

    def _edges(self) -> dict[str, EdgeReport]:
        staleness, distances = self.report.staleness if self.report else {}, self.distances.by_neighbor
        return {
            name: EdgeReport(staleness=staleness.get(name), distance=distances.get(name))
            for name in {*staleness, *distances}
        }

    def as_json(self) -> dict[str, Any]:
        """One line of `metrics.jsonl`: the keys of commands.md and the last mixing; ε is None without privacy."""
        report = self.report
        return {
            "name": self.name,
            "step": self.step,
            "phase": self.phase,
            "state": self.state,
            "loss": self.held_out and self.held_out.loss,
            "accuracy": self.held_out and self.held_out.accuracy,
            "perplexity": self.held_out and self.held_out.perplexity,
            "test_loss": self.test and self.test.loss,
            "test_accuracy": self.test and self.test.accuracy,
            **(self.held_out.measures if self.held_out else {}),
            **({f"test_{name}": value for name, value in self.test.measures.items()} if self.test else {}),
            "epsilon": self.receipt.epsilon if math.isfinite(self.receipt.epsilon) else None,
            "delta": self.receipt.delta,
            "target_epsilon": self.target_epsilon,
            "noise_multiplier": self.noise_multiplier,
            "bytes_sent": self.bytes_sent,
            "bytes_received": self.bytes_received,
            "rejected": dict(self.rejected),
            "round": report.round if report else 0,
            "weights": dict(report.weights) if report else {},
            "staleness": dict(report.staleness) if report else {},
            "absent": list(report.absent) if report else [],
            "absences": self.absences,
            "drift": self.drift,
            "distance": self.distances.typical,
            "train_s": round(self.train_s, 3),
            "gossip_s": round(self.gossip_s, 3),
        } | self._of_this_disk()

    def _of_this_disk(self) -> dict[str, Any]:
        """What only some runs have."""
        personal = {} if self.personal is None else {"personal": self.personal.as_json()}
        return personal | (self.data.as_json() if self.data else {})
