"""An institution's folder for a deployment in earnest: an experiment without common data, and its own records."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from tests.sim.training import changed, digits

LABELS = ("red", "green")
RECORDS = 40


def write_experiment(folder: Path, **changes: Any) -> Path:
    """experiment.yaml of everybody."""
    content = changed(
        digits(
            model={"source": "builtin:mlp", "inputs": 4, "hidden": [8]},
            task={"kind": "vector-classification", "labels": list(LABELS)},
            data={"features": "features", "held_out": 0.2},
            training__phases=2,
            training__local_steps=3,
            training__batch_size=8,
            privacy={"level": "example", "noise_multiplier": 1.0, "accountant": "rdp", "target_delta": 1e-3},
        ),
        changes,
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "experiment.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def write_records(path: Path, seed: int) -> Path:
    """Red ones below, green ones above; no two are equal."""
    rng = np.random.default_rng(seed)
    places = [place % len(LABELS) for place in range(RECORDS)]
    rows = [{"features": (rng.normal(size=4) + 2 * place).tolist(), "label": LABELS[place]} for place in places]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path
