"""A network that is audited in seconds: three nodes, a logistic regression on digits, 200 canaries, ε = 1."""

from pathlib import Path
from typing import Any

from tests.sim.training import changed, load

from gossipfl.config.loading import LoadedExperiment
from gossipfl.studies.audit_privacy import AuditResult, audit_privacy

CLAIMED = 1.0
AUDITED: dict[str, Any] = {
    "model": {"source": "builtin:logistic", "inputs": 64},
    "task": {"kind": "vector-classification", "labels": [str(digit) for digit in range(10)]},
    "adapter": {"kind": "full"},
    "data": {"source": "sklearn:digits", "test_share": 0.2, "held_out": 0.0},
    "training": {
        "phases": 8,
        "local_steps": 5,
        "batch_size": 100,
        "micro_batch": 128,
        "optimizer": "sgd",
        "learning_rate": 0.05,
        "device": "cpu",
    },
    "privacy": {"level": "example", "target_epsilon": CLAIMED, "target_delta": 1e-5, "accountant": "rdp"},
    "topology": {"kind": "path"},
    "gossip": {"protocol": "sync", "settle_rounds": 0, "deadline_s": 1e6},
    "simulation": {"nodes": 3},
    "audit": {"canaries": 200, "members": 0},
}
NO_NOISE = {"privacy": {"level": "none"}}


def audited_experiment(folder: Path, **changes: Any) -> LoadedExperiment:
    """With fields changed, see `tests.sim.training.changed`."""
    return load(folder, changed(AUDITED, changes))


def audited(folder: Path, **changes: Any) -> AuditResult:
    """The audit of it."""
    return audit_privacy(audited_experiment(folder, **changes))
