"""Large bases on a real GPU: `pytest -m gpu`. It was written on a machine without one."""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gossipfl.config.experiment import Experiment
from gossipfl.learning.bench import build_learner
from gossipfl.learning.books import RunTerms
from gossipfl.learning.data import DataSite

PRIVATE = {"level": "example", "noise_multiplier": 0.5, "target_delta": 1e-2}
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU here"),
]
needs_bitsandbytes = pytest.mark.skipif(
    importlib.util.find_spec("bitsandbytes") is None, reason="the extra `quantization` is not installed"
)
needs_two = pytest.mark.skipif(torch.cuda.device_count() < 2, reason="one GPU or none here")


@pytest.mark.parametrize(
    ("model", "privacy"),
    [
        ({}, {"level": "none"}),
        ({}, PRIVATE),
        ({"dtype": "bfloat16"}, PRIVATE),
        pytest.param({"quantization": "nf4"}, {"level": "none"}, marks=needs_bitsandbytes),
        pytest.param({"quantization": "nf4"}, PRIVATE, marks=needs_bitsandbytes),
        pytest.param({"quantization": "int8"}, {"level": "none"}, marks=needs_bitsandbytes),
        pytest.param({"device_map": "auto"}, {"level": "none"}, marks=needs_two),
    ],
)
@pytest.mark.parametrize("again", [False, True], ids=["kept", "computed-again"])
def test_a_base_trains_there(
    model: dict[str, Any],
    privacy: dict[str, Any],
    again: bool,  # noqa: FBT001  # pytest hands it over by name
    experiment_of: Callable[..., Experiment],
    tmp_path: Path,
) -> None:
    content = experiment_of("llama", task="causal-lm", kind="lora").model_dump()
    content["model"].update(model)
    content["privacy"] = privacy
    content["task"]["max_length"] = 32
    content["training"].update(device="cuda", batch_size=8, micro_batch=4, gradient_checkpointing=again)
    rows = [{"text": " ".join(f"w{row + word}" for word in range(6))} for row in range(20)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    site = DataSite("a", ("a",), "a.jsonl", tmp_path, tmp_path)
    bench = build_learner(Experiment.model_validate(content), site, RunTerms("r", streams="seeded"))
    start = bench.adapted.initial
    state = bench.learner.train(start, first_step=0, steps=10).state
    assert np.isfinite(state.vector).all()
    if privacy["level"] == "none":
        before, after = (bench.learner.evaluate(one, bench.data.train).loss for one in (start, state))
        assert after < before
    bench.close()
