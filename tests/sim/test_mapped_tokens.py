"""`data.tokens: mapped` in whole runs: to the bit what tokens in memory come to, in simulator, baseline and node."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file
from tests.baseline.flower_runs import COMPLETE, centralized, gossiped
from tests.forked import forked
from tests.node.study import make_study
from tests.sim.training import changed, digits

from gossipfl.node.checkpoint import load_latest
from gossipfl.runs.adapter_file import NAME
from gossipfl.studies.fleet import Fleet

Models = Mapping[str, Path]
PLAIN = ("--set", "privacy={level: none}")


@pytest.mark.slow
@pytest.mark.parametrize("run", [gossiped, centralized])
def test_a_run_comes_to_the_same_bits(run: Callable[..., Any], tmp_path: Path, tiny_folders: Models) -> None:
    rows = [{"text": f"w{row % 50} w{row % 7} w{row % 11}"} for row in range(60)]
    outputs = []
    for tokens in ("memory", "mapped"):
        folder = tmp_path / tokens
        folder.mkdir()
        (folder / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        settings = {
            "model": {"source": str(tiny_folders["llama"])},
            "task": {"kind": "causal-lm", "max_length": 12},
            "adapter": {"kind": "lora", "rank": 4, "targets": ["q_proj", "v_proj"]},
            "data": {"source": "data.jsonl", "test_share": 0.3, "tokens": tokens},
            "training__phases": 2,
            "simulation__nodes": 2,
            **COMPLETE,
        }
        outputs.append(run(folder, changed(digits(), settings)).output)
    one, other = (load_file(output / NAME)["vector"] for output in outputs)
    assert one.tobytes() == other.tobytes()
    # the run is done: nobody needs them
    assert not (outputs[1] / "tokens").exists()


@pytest.mark.slow
def test_a_node_keeps_them_for_its_next_start_and_goes_without_back_at_memory(
    tmp_path: Path, tiny_folders: Models
) -> None:
    study = make_study(tmp_path, tiny_folders["llama"], names=("ada", "bob"), gossip={"protocol": "alone"})

    def start(folder: str, tokens: str, *more: str) -> Any:
        state = tmp_path / folder
        job = study.job("ada", *PLAIN, "--set", f"data.tokens={tokens}", "--state-dir", str(state), *more)
        with Fleet([job], launch=forked) as fleet:
            fleet.results(timeout_s=90)
        saved = load_latest(state)
        assert saved is not None
        return saved.state.vector.tobytes(), {path.stat().st_ino for path in (state / "tokens").rglob("*.arrow")}

    wanted, none = start("memory", "memory")
    found, kept = start("mapped", "mapped")
    assert found == wanted
    assert none == set()
    assert kept
    longer = ("--set", "training.phases=5")
    assert start("mapped", "mapped", *longer)[1] == kept
    assert start("mapped", "memory", *longer)[1] == set()
