"""Flower's own simulation gives what its strategy gives in this process; nothing of it stays behind."""

from pathlib import Path

import psutil
import pytest
from tests.baseline.flower_runs import EXACT, adapter_of, centralized, distance, gossiped, small
from tests.sim.training import NOISE, load

from gossipfl.baseline.fedavg import fedavg
from gossipfl.errors import TrainingError

ray = pytest.importorskip("ray")


def ray_processes() -> set[int]:
    """Of any cluster on this machine."""
    return {process.pid for process in psutil.process_iter(["name"]) if "ray" in (process.info["name"] or "")}


def test_simulation_is_the_strategy_in_process(tmp_path: Path) -> None:
    before = ray_processes()
    content = small(**EXACT, privacy=NOISE)
    simulated, inprocess = centralized(tmp_path, content, "simulation"), centralized(tmp_path, content)
    assert (adapter_of(simulated) == adapter_of(inprocess)).all()
    for name in ("metrics.jsonl", "nodes.jsonl"):
        assert (simulated.output / name).read_text() == (inprocess.output / name).read_text()
    assert distance(simulated, gossiped(tmp_path, content)) <= 1e-6
    assert ray_processes() <= before


@pytest.mark.slow
def test_training_that_diverges_ends_with_the_clients_own_words(tmp_path: Path) -> None:
    before = ray_processes()
    content = small(training__learning_rate=1e30, training__optimizer="sgd")
    with pytest.raises(TrainingError, match=r"training\.learning_rate 1e\+30 is too high"):
        fedavg(load(tmp_path, content), tmp_path / "run", mode="simulation")
    assert ray_processes() <= before
