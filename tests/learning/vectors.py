"""Experiments on vectors, for tests of builtin models."""

from pathlib import Path
from typing import Any

from gossipfl.config.experiment import Experiment
from gossipfl.learning.data import DataSite

DIGITS = tuple(str(digit) for digit in range(10))


def vector_experiment(*, labels: tuple[str, ...] = DIGITS, **sections: dict[str, Any]) -> Experiment:
    """Logistic regression on scikit-learn's digits, but for what is given otherwise."""
    wanted: dict[str, dict[str, Any]] = {
        "model": {"source": "builtin:logistic", "inputs": 64},
        "task": {"kind": "vector-classification", "labels": labels},
        "adapter": {"kind": "full"},
        "data": {"source": "sklearn:digits"},
        "training": {"learning_rate": 0.02, "device": "cpu", "threads": 1, "micro_batch": 64},
        "privacy": {"level": "none"},
    }
    merged = {name: {**wanted.get(name, {}), **sections.get(name, {})} for name in {**wanted, **sections}}
    return Experiment.model_validate(merged)


def sites(folder: Path, *names: str) -> list[DataSite]:
    """Nodes that share one dataset."""
    return [DataSite(name, names, None, folder, folder) for name in names]
