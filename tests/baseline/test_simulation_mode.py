"""Flower's own simulation gives what its strategy gives in this process; nothing of it stays behind."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from tests.baseline.commands import deploy
from tests.baseline.flower_runs import EXACT, adapter_of, centralized, distance, gossiped, on_sentences, small
from tests.sim.training import NOISE, load

from gossipfl.baseline.fedavg import fedavg
from gossipfl.errors import DivergedError

ray = pytest.importorskip("ray")


@pytest.fixture(autouse=True)
def _nothing_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """All processes that a test has started are gone after it."""
    monkeypatch.setenv("OF_TEST", str(tmp_path))
    yield
    assert not [process for process in psutil.process_iter() if is_of(process, tmp_path)]


def is_of(process: psutil.Process, folder: Path) -> bool:
    """Started below a test that works in the folder."""
    try:
        return process.environ().get("OF_TEST") == str(folder) and process.pid != os.getpid()
    except psutil.Error:
        return False


@pytest.mark.slow(40)
def test_simulation_is_the_strategy_in_process(tmp_path: Path, tiny_folders: dict[str, Path]) -> None:
    content = on_sentences(tmp_path, tiny_folders["bert"], "alternating", **EXACT, privacy=NOISE)
    simulated, inprocess = centralized(tmp_path, content, "simulation"), centralized(tmp_path, content)
    assert (adapter_of(simulated) == adapter_of(inprocess)).all()
    for name in ("metrics.jsonl", "nodes.jsonl"):
        assert (simulated.output / name).read_text() == (inprocess.output / name).read_text()
    assert distance(simulated, gossiped(tmp_path, content)) <= 1e-6


@pytest.mark.slow(40)
def test_training_that_diverges_ends_with_the_clients_own_words(tmp_path: Path) -> None:
    content = small(training__learning_rate=1e30, training__optimizer="sgd", simulation__actors=1)
    with pytest.raises(DivergedError, match=r"training\.learning_rate 1e\+30 is too high"):
        fedavg(load(tmp_path, content), tmp_path / "run", mode="simulation")


@pytest.mark.slow(40)
def test_a_signal_in_the_middle_ends_ray_too(tmp_path: Path) -> None:
    endless = small(training__phases=10_000, simulation__evaluate_every=1, simulation__actors=1)
    simulation = deploy(tmp_path, endless, "simulation")
    simulation.wait_until("metrics.jsonl", '"round": 1')
    assert simulation.processes()
    simulation.signal(signal.SIGTERM)
    code, _ = simulation.ended()
    assert code == 128 + signal.SIGTERM
    assert simulation.left_behind() == []
