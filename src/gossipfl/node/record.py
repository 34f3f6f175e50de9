"""What a node knows about itself: one record for `metrics.jsonl`, for `gossipfl status`, and for the final result."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gossipfl.core.events import Receipt, Report
from gossipfl.learning.evaluation import Evaluation
from gossipfl.net.reports import StatusSnapshot


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
        state: one word for `status`: training, settling, serving, done or stopped.
        gossip_s: seconds this node's event loop spent on protocol, codec, checkpoint and log.
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
        )

    def as_json(self) -> dict[str, Any]:
        """One line of `metrics.jsonl`: the keys of commands.md and the last mixing; ε is None without privacy."""
        report = self.report
        return {
            "name": self.name,
            "step": self.step,
            "phase": self.phase,
            "loss": self.held_out and self.held_out.loss,
            "accuracy": self.held_out and self.held_out.accuracy,
            "perplexity": self.held_out and self.held_out.perplexity,
            "test_loss": self.test and self.test.loss,
            "test_accuracy": self.test and self.test.accuracy,
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
            "train_s": round(self.train_s, 3),
            "gossip_s": round(self.gossip_s, 3),
        }
