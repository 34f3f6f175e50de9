"""Flower's deployment gives what its strategy gives in this process; whatever happens, nothing of it stays behind.

Most of a run's time are processes that import torch, 46 seconds of CPU in the shortest run: all are slow tests.
"""

import json
import signal
from pathlib import Path

import pytest
from tests.baseline.commands import deploy
from tests.baseline.flower_runs import adapter_of, centralized, small
from tests.sim.training import NOISE, Content

from gossipfl.runs.result import RunResult

pytestmark = pytest.mark.slow


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


def assert_equal(one: RunResult, other: RunResult) -> None:
    for name in ("metrics.jsonl", "nodes.jsonl"):
        assert (one.output / name).read_text() == (other.output / name).read_text()
    assert (adapter_of(one) == adapter_of(other)).all()


def test_a_round_of_a_deployment_is_a_round_in_process_and_nothing_stays(tmp_path: Path) -> None:
    content = two(training__phases=1)
    result = deployed(tmp_path / "deployed", content)
    assert_equal(result, centralized(tmp_path, content))
    ours = 2 * result.bytes_per_node
    # Flower counts evaluation too: the state once more to each, and what it wraps everything in
    assert result.flower_bytes is not None
    assert ours * 1.5 < result.flower_bytes["total"] < ours * 1.5 + 50_000
    logs = {path.name for path in result.output.glob("flower-*.log")}
    assert logs == {f"flower-{name}.log" for name in ("superlink", "server", "n0", "n1", "commands")}


def test_rounds_with_noise_account_and_drawn_clients_are_those_in_process(tmp_path: Path) -> None:
    content = small(
        training__phases=3, simulation__nodes=3, simulation__evaluate_every=3, flower__fraction=0.67, privacy=NOISE
    )
    result = deployed(tmp_path / "deployed", content)
    assert_equal(result, centralized(tmp_path, content))
    assert result.epsilon is not None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(("log", "words"), [("superlink", "Uvicorn running"), ("n1", "Start `flwr-clientapp`")])
def test_a_signal_leaves_nothing_behind(tmp_path: Path, number: signal.Signals, log: str, words: str) -> None:
    deployment = deploy(tmp_path, two())
    deployment.wait_until_log(log, words)
    assert deployment.processes()
    deployment.signal(number)
    code, _ = deployment.ended()
    assert code == 128 + number
    assert deployment.left_behind() == []


def test_without_a_client_that_dies_the_others_go_on(tmp_path: Path) -> None:
    deployment = deploy(tmp_path, small(training__phases=3, simulation__nodes=3, simulation__evaluate_every=1))
    deployment.wait_until_log("server", "ROUND 1/3")
    deployment.kill("flower-supernode", "n1.toml")
    code, said = deployment.ended()
    assert code == 0, said
    assert "client n1: flower-supernode ended with code -9; the others go on" in said
    rows = [json.loads(line) for line in (deployment.run / "metrics.jsonl").read_text().splitlines()]
    assert [row["clients"] for row in rows] == [0, 2, 2, 2]
    assert deployment.left_behind() == []


def test_a_client_app_that_is_killed_is_named_and_counted(tmp_path: Path) -> None:
    deployment = deploy(tmp_path, two(training__phases=1))
    deployment.wait_until_log("n1", "Start `flwr-clientapp`")
    deployment.kill_app_of("n1")
    code, said = deployment.ended()
    assert code == 0, said
    assert "round 1: client n1 failed: ClientApp stopped responding." in said
    assert json.loads((deployment.run / "result.json").read_text())["rejected"] == {"failed": 1}
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
