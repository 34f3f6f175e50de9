"""Every family of the table trains, exchanges, exports and is read again by others' code."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from tests.learning.conftest import LABELS
from tests.learning.tiny_families import CASES, QUICK, write_sentences, write_tiny
from tests.sim.training import NOISE, Content, digits, load
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from gossipfl.learning.adapters import Adapted
from gossipfl.learning.bench import load_adapted
from gossipfl.learning.data import DataSite
from gossipfl.learning.export import export
from gossipfl.runs.adapter_file import read_adapter
from gossipfl.sim.simulate import simulate

CLASSES = {"sequence-classification": AutoModelForSequenceClassification, "causal-lm": AutoModelForCausalLM}
IDS = torch.tensor([[3, 9, 27, 4, 12, 1], [5, 25, 40, 8, 16, 1]])
PARAMETERS = [pytest.param(*case, marks=[] if case[0] in QUICK else [pytest.mark.slow]) for case in CASES]


def run_of(folder: Path, model: Path, task: str, **changes: Any) -> Content:
    """Two nodes that average exactly after each of two phases."""
    folder.mkdir(parents=True, exist_ok=True)
    write_sentences(folder / "data.jsonl")
    labels = {"labels": list(LABELS)} if "class" in task else {}
    settings: dict[str, Any] = {
        "model": {"source": str(model)},
        "task": {"kind": task, "max_length": 12, **labels},
        "adapter": {"kind": "lora", "rank": 4},
        "data": {"source": "data.jsonl", "test_share": 0.2},
        "training__phases": 2,
        "training__local_steps": 6,
        "training__batch_size": 8,
        "training__learning_rate": 0.01,
        "topology": {"kind": "complete"},
        "gossip": {"protocol": "sync", "settle_rounds": 0, "deadline_s": 1e6},
        "simulation": {"nodes": 2, "engine": "loop", "evaluate_every": 1},
    }
    return digits(**{**settings, **changes})


def trained(folder: Path, content: Content) -> Adapted:
    """The model with what the run came to."""
    loaded = load(folder, content)
    result = simulate(loaded, folder / "run")
    assert result.done
    losses = [json.loads(line)["test_loss"] for line in (result.output / "metrics.jsonl").read_text().splitlines()]
    assert losses[-1] < losses[0]
    # the two have met: both are their mean
    assert result.final["consensus_distance"] == pytest.approx(0.0, abs=1e-6)
    adapted = load_adapted(loaded.experiment, DataSite("n0", ("n0", "n1"), None, folder, folder))
    state = read_adapter(folder / "run", adapted.spec)
    assert abs(state - adapted.initial) > 0.1
    adapted.write(state)
    return adapted


def logits(module: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = module.eval()(input_ids=IDS, attention_mask=torch.ones_like(IDS)).logits
    return found


@pytest.mark.parametrize(("kind", "task"), PARAMETERS)
def test_a_family_goes_all_the_way(kind: str, task: str, tmp_path: Path) -> None:
    model = write_tiny(kind, tmp_path)
    adapted = trained(tmp_path / "study", run_of(tmp_path / "study", model, task))
    state, wanted = adapted.read(), logits(adapted.module)
    export(adapted, state, tmp_path / "adapter")
    export(adapted, state, tmp_path / "merged", merge=True)
    labels = {"num_labels": len(LABELS)} if "class" in task else {}
    plain = CLASSES[task].from_pretrained(model, **labels)
    assert not torch.allclose(logits(plain), wanted, atol=1e-3)
    for found in (
        PeftModel.from_pretrained(CLASSES[task].from_pretrained(model, **labels), tmp_path / "adapter"),
        CLASSES[task].from_pretrained(tmp_path / "merged"),
    ):
        torch.testing.assert_close(logits(found), wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", sorted(QUICK))
def test_a_family_trains_with_noise_on_single_rows(kind: str, tmp_path: Path) -> None:
    content = run_of(tmp_path, write_tiny(kind, tmp_path), "causal-lm", privacy=NOISE, training__phases=1)
    loaded = load(tmp_path, content)
    result = simulate(loaded, tmp_path / "run")
    assert result.epsilon is not None
    assert result.final["consensus_distance"] == pytest.approx(0.0, abs=1e-6)
