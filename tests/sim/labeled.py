"""Runs of two nodes on other things than texts with one label: images of three colors, and words with a tag each."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from tests.learning.tiny_vit import encoded, tiny_vit
from tests.sim.training import DIGITS, Content, changed

COLORS = ("red", "green", "blue")
KINDS = ("image-classification", "token-classification")


def colored(home: Path, *, each: int = 16, seed: int = 3) -> Path:
    """A folder of images, in it a folder a color."""
    rng = np.random.default_rng(seed)
    for channel, color in enumerate(COLORS):
        (home / color).mkdir(parents=True)
        for number in range(each):
            pixels = rng.integers(0, 120, (10, 12, 3), np.uint8)
            pixels[:, :, channel] += 120
            (home / color / f"{number:03}.png").write_bytes(encoded(pixels))
    return home


def tagged(file: Path, *, rows: int = 48) -> Path:
    """JSON lines of sentences in which the tag of a word is decided by its number."""
    rng = np.random.default_rng(4)
    sentences = [rng.integers(0, 60, rng.integers(3, 8)).tolist() for _ in range(rows)]
    lines = [
        {"words": [f"w{word}" for word in words], "tags": [COLORS[word // 20] for word in words]} for words in sentences
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


def labeled(folder: Path, kind: str, bert: Path, **changes: Any) -> Content:
    """A run of two nodes with LoRA, every second record a node's; model and data are written into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    images = kind == "image-classification"
    data = colored(folder / "colors") if images else tagged(folder / "tagged.jsonl")
    base = changed(
        DIGITS,
        {
            "model": {"source": str(tiny_vit(folder / "vit", channels=3) if images else bert)},
            "task": {"kind": kind, "labels": list(COLORS), "max_length": 16},
            "adapter": {"kind": "lora", "rank": 4},
            "data": {"source": data.name, "test_share": 0.25, "held_out": 0.25},
            "training__phases": 3,
            "training__local_steps": 5,
            "training__batch_size": 8,
            "training__learning_rate": 0.02,
            "training__micro_batch": 16,
            "simulation__nodes": 2,
            "gossip__settle_rounds": 1,
            "topology": {"kind": "complete"},
        },
    )
    return changed(base, changes)
