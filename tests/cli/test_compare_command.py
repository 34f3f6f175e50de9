"""`gossipfl compare` as a user runs it: real processes, stopped by Ctrl-C and gone on with, mistakes in one line."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.studies.comparing import GOSSIP, compared, written

from gossipfl.cli.app import main
from gossipfl.config.compare import CompareConfig
from gossipfl.config.loading import load_experiment
from gossipfl.studies.compare_executors import open_executor
from gossipfl.studies.compare_jobs import Ended
from gossipfl.studies.compare_plan import plan_orders
from gossipfl.studies.fleet import Fleet

__all__ = ["Fleet"]  # this module starts processes: see conftest
pytest.importorskip("sklearn")
ARMS = {"ring": GOSSIP, "wild": {"driver": "pooled", "set": {"training.learning_rate": 1e30}}}
LONG = {"training__phases": 4000, "simulation__checkpoint_s": 1000}
"""Some seconds of a run that leaves no checkpoint unless it is asked to."""
WAIT_S = 120.0


def until(holds: Callable[[], bool], *, pause_s: float = 0.02) -> None:
    deadline = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(pause_s)


def test_runs_are_processes_and_one_that_diverges_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, output = written(tmp_path, {"arms": ARMS, "seeds": 1, "goal": 0.2}), tmp_path / "study"
    assert main(["compare", str(file), "--output", str(output), "--set", "training.phases=3"]) == 0
    captured = capsys.readouterr()
    ring, wild = json.loads((output / "result.json").read_text())["arms"]
    assert 0 < ring["mean"] <= 1
    assert ring["figures"]["steps"]["values"] == {"0": 15}
    (failure,) = wild["failures"]
    assert failure["status"] == "diverged"
    assert f"wild, seed 0: diverged: {failure['message']}" in captured.out
    assert f"{ring['mean']:.3f}" in captured.out
    assert f"report: {output / 'report.html'}" in captured.out
    last = json.loads(captured.err.splitlines()[-1])
    assert (last["runs"], last["done"], last["faulty"], last["running"]) == (2, 1, 1, {})


@pytest.mark.slow
def test_the_result_is_the_last_line_of_stdout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = {"arms": {"ring": GOSSIP, "alone": {"driver": "alone"}}, "seeds": 2}
    compared(tmp_path, table)
    output = tmp_path / "study"
    # all is done: nothing is run
    assert main(["compare", str(tmp_path / "arms.yaml"), "--output", str(output), "--resume", "--json"]) == 0
    result: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result == json.loads((output / "result.json").read_text())
    assert [arm["name"] for arm in result["arms"]] == ["ring", "alone"]
    assert Path(result["report"]).read_text().startswith("<!doctype html>")


@pytest.mark.slow(30)
def test_ctrl_c_ends_every_process_and_the_comparison_goes_on_where_it_was(tmp_path: Path) -> None:
    file, output = written(tmp_path, {"arms": {"ring": GOSSIP}, "seeds": 1}, **LONG), tmp_path / "study"
    process = started(file, output)
    metrics = output / "runs" / "ring" / "seed-0" / "metrics.jsonl"
    until(lambda: metrics.exists() and metrics.read_text().count("\n") > 3)
    child = youngest(process.pid)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=WAIT_S)
    assert process.returncode == 130
    assert said.splitlines()[-1] == f"stopped; go on with --output {output} --resume"
    assert not psutil.pid_exists(child.pid)
    assert (metrics.parent / "checkpoint.bin").exists()
    before = metrics.read_text()
    again = started(file, output, "--resume")
    until(lambda: len(metrics.read_text()) > len(before))
    again.send_signal(signal.SIGTERM)
    again.communicate(timeout=WAIT_S)
    assert again.returncode == 130
    # it went on from its checkpoint: nothing before it was done anew
    assert metrics.read_text().startswith(before)


def started(file: Path, output: Path, *options: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "gossipfl", "compare", str(file), "--output", str(output), *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def youngest(pid: int) -> psutil.Process:
    """The run: of all processes below this one the last that began."""
    return max(psutil.Process(pid).children(recursive=True), key=psutil.Process.create_time)


@pytest.mark.slow
def test_runs_end_when_whoever_started_them_was_killed(tmp_path: Path) -> None:
    file, output = written(tmp_path, {"arms": {"ring": GOSSIP}, "seeds": 1}, **LONG), tmp_path / "study"
    process = started(file, output)
    metrics = output / "runs" / "ring" / "seed-0" / "metrics.jsonl"
    until(lambda: metrics.exists() and metrics.read_text().count("\n") > 3)
    child = youngest(process.pid)
    process.kill()
    process.communicate(timeout=WAIT_S)
    until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)
    assert (metrics.parent / "checkpoint.bin").exists()


def test_a_run_whose_process_is_killed_is_a_failed_run(tmp_path: Path) -> None:
    loaded = load_experiment(written(tmp_path, {"arms": {"ring": GOSSIP}, "seeds": 1}, **LONG))
    (order,) = plan_orders(loaded, tmp_path / "study")
    table = CompareConfig.model_validate({"arms": {"ring": GOSSIP}})
    found: dict[str, Ended] = {}

    def has_ended() -> bool:
        found.update(executor.ended())
        return bool(found)

    with open_executor(table, 1) as executor:
        executor.start(order)
        youngest(os.getpid()).kill()
        until(has_ended)
    assert found["ring/seed-0"].status == "failed"
    assert found["ring/seed-0"].message.startswith("killed by SIGKILL: ")


def test_runs_that_have_ended_hold_no_files_open(tmp_path: Path) -> None:
    table = {"arms": {"ring": GOSSIP}, "seeds": 3}
    loaded = load_experiment(written(tmp_path, table, training__phases=1))
    held: list[int] = []
    with open_executor(CompareConfig.model_validate(table), 1) as executor:
        for order in plan_orders(loaded, tmp_path / "study"):
            executor.start(order)
            until(lambda: bool(executor.ended()))
            held.append(psutil.Process().num_fds())
    assert held[1] == held[2]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["{file}", "--resume"], "--resume: --output is missing"),
        (["{file}", "--set", "compare.seeds=[]"], "{file} with --set compare.seeds=[]: compare.seeds: nothing given"),
        (["{file}", "--set", "compare.arms.ring.drivr=x"], "{file} with --set compare.arms.ring.drivr=x: compare.arms"),
        (["{folder}/none.yaml"], "{folder}/none.yaml: no such file"),
        (["{file}", "--output", "{folder}"], "--output {folder} is not empty; --resume goes on"),
    ],
)
def test_a_mistake_is_one_line(
    tmp_path: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    places = {"file": written(tmp_path, {"arms": ARMS}), "folder": tmp_path}
    assert main(["compare", *(argument.format(**places) for argument in arguments)]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(f"error: {said.format(**places)}")
    assert captured.err.count("\n") == 1
