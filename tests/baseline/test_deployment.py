"""Flower's deployment gives what its strategy gives in this process; whatever happens, nothing of it stays behind.

Most of a run's time are processes that import torch, 46 seconds of CPU in the shortest run: all are slow tests.
"""

import json
import signal
from pathlib import Path

import pytest
from tests.baseline.commands import deploy
from tests.baseline.flower_runs import adapter_of, centralized, on_sentences, small
from tests.sim.training import NOISE, Content

from gossipfl.runs.result import RunResult

pytestmark = pytest.mark.slow(70)


def two(**changes: object) -> Content:
    """Two clients."""
    return small(**{"simulation__nodes": 2, **changes})


def deployed(folder: Path, content: Content) -> RunResult:
    """A deployment that goes well."""
    deployment = deploy(folder, content)
    code, said = deployment.ended()
    assert code == 0, said
    assert deployment.left_behind() == []
    return RunResult.from_json(json.loads((deployment.run / "result.json").read_text()), deployment.run)


def test_rounds_with_noise_factors_in_turn_and_drawn_clients_are_those_in_process(
    tmp_path: Path, tiny_folders: dict[str, Path]
) -> None:
    """A process lives for one message: moments, account and whose turn it is go on in the next."""
    some = {"simulation__nodes": 3, "training__phases": 2, "flower__fraction": 0.67, "privacy": NOISE}
    contents = [on_sentences(tmp_path / name, tiny_folders["bert"], "alternating", **some) for name in ("a", "b")]
    result, inprocess = deployed(tmp_path / "a", contents[0]), centralized(tmp_path / "b", contents[1])
    for name in ("metrics.jsonl", "nodes.jsonl"):
        assert (result.output / name).read_text() == (inprocess.output / name).read_text()
    assert (adapter_of(result) == adapter_of(inprocess)).all()
    assert result.epsilon is not None
    ours, state = 3 * result.bytes_per_node, adapter_of(result).nbytes
    # Flower counts evaluation too: the state once more to each, and what it wraps everything in
    assert result.flower_bytes is not None
    assert ours + 3 * state < result.flower_bytes["total"] < ours + 3 * state + 50_000
    logs = {path.name for path in result.output.glob("flower-*.log")}
    assert logs == {f"flower-{name}.log" for name in ("superlink", "server", "n0", "n1", "n2", "commands")}


@pytest.mark.parametrize(
    ("number", "log", "words"),
    [(signal.SIGINT, "superlink", "Uvicorn running"), (signal.SIGTERM, "n1", "Start `flwr-clientapp`")],
)
def test_a_signal_leaves_nothing_behind(tmp_path: Path, number: signal.Signals, log: str, words: str) -> None:
    deployment = deploy(tmp_path, two())
    deployment.wait_until_log(log, words)
    assert deployment.processes()
    deployment.signal(number)
    code, _ = deployment.ended()
    assert code == 128 + number
    assert deployment.left_behind() == []


def test_who_is_killed_at_work_or_for_good_is_named_and_counted_and_the_others_go_on(tmp_path: Path) -> None:
    deployment = deploy(tmp_path, two(training__phases=2))
    deployment.wait_until_log("n0", "Start `flwr-clientapp`")
    deployment.kill_app_of("n0")
    deployment.wait_until_log("server", "ROUND 2/2")
    deployment.kill("flower-supernode", "n1.toml")
    code, said = deployment.ended()
    assert code == 0, said
    assert "round 1: client n0 failed: ClientApp stopped responding." in said
    assert "client n1: flower-supernode ended with code -9; the others go on" in said
    assert json.loads((deployment.run / "result.json").read_text())["rejected"] == {"failed": 2}
    clients, nodes = (
        json.loads((deployment.run / f"{name}.jsonl").read_text().splitlines()[-1]) for name in ("metrics", "nodes")
    )
    assert clients["clients"] == 1
    # one round each: who was killed at work goes on
    assert nodes["step"] == [4, 4]
    assert deployment.left_behind() == []


def test_without_the_superlink_the_command_says_so_in_one_line(tmp_path: Path) -> None:
    deployment = deploy(tmp_path, two())
    deployment.wait_until_log("server", "ROUND 1/3")
    deployment.kill("flower-superlink")
    code, said = deployment.ended()
    assert code == 2
    last = said.strip().splitlines()[-1]
    assert "flower-superlink ended with code -9; see " in last
    assert str(deployment.run / "flower-superlink.log") in last
    assert deployment.left_behind() == []


def test_what_a_client_cannot_do_is_told_in_its_own_words_and_nothing_stays(tmp_path: Path) -> None:
    deployment = deploy(tmp_path, two(training__learning_rate=1e30, training__optimizer="sgd"))
    code, said = deployment.ended()
    assert code == 2
    assert "training.learning_rate 1e+30 is too high" in said.strip().splitlines()[-1]
    assert "Traceback" not in said
    assert deployment.left_behind() == []
