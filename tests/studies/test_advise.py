"""`gossipfl advise`, by the command: it recommends the best of what it tried, and networks change it as they should."""

import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from gossipfl.cli.app import main
from gossipfl.config.experiment import Averaging

Json = dict[str, Any]
Advise = Callable[..., Json]

PLAIN: Json = {
    "training": "none",
    "vectors": {"size": 20_000},
    "gossip": {"deadline_s": 30.0},
    "simulation": {"nodes": 8, "links": {"latency_s": 0.01, "bytes_per_s": 1e6}},
}
SMALL = ["--values", "512", "--jobs", "1", "--repeats", "2"]
FEW = ["--schedules", "base:1,static:ring,static:complete", "--codecs", "fp32,int8", "--protocols", "sync"]


@pytest.fixture
def ask(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Advise:
    """Asks in a folder of its own; links are as given, or as in `PLAIN`."""

    def advise(*arguments: str, folder: str = "one", code: int = 0, **links: float | None) -> Json:
        content = json.loads(json.dumps(PLAIN))
        content["simulation"]["links"] |= links
        (tmp_path / "experiment.yaml").write_text(yaml.safe_dump(content))
        output = ["--output", str(tmp_path / folder)]
        assert main(["advise", str(tmp_path / "experiment.yaml"), *SMALL, *arguments, *output, "--json"]) == code
        printed = capsys.readouterr()
        if code:
            return {"error": printed.err.splitlines()[-1]}
        result: Json = json.loads(printed.out.splitlines()[-1])
        return result

    return advise


def first_runs(result: Json) -> list[Json]:
    return [run for run in result["grid"] if run["repeat"] == 0]


@pytest.mark.slow
def test_what_it_recommends_is_the_soonest_of_all_that_was_tried(ask: Advise) -> None:
    result = ask(*FEW)
    choices = result["choices"]
    assert [set(choice) >= {"schedule", "protocol", "codec", "bytes", "seconds"} for choice in choices] == [True] * 3
    assert len(first_runs(result)) == 6
    soonest = sorted(run["seconds"] for run in first_runs(result) if run["reached"])
    # without loss or jitter seeds change no time, but where rounding decides on one round more
    assert choices[0]["seconds"] == pytest.approx(soonest[0], rel=0.3)
    assert [choice["seconds"] for choice in choices] == sorted(choice["seconds"] for choice in choices)
    by_name = {(choice["schedule"], choice["codec"]): choice for choice in choices}
    assert len(by_name) == 3
    firsts = {(run["schedule"], run["codec"]): run["seconds"] for run in first_runs(result)}
    again = [run for run in result["grid"] if run["repeat"]]
    # one that another seed makes endless is given up
    assert [run["until_s"] for run in again] == [10 * firsts[run["schedule"], run["codec"]] for run in again] != []
    for choice in choices:
        low, high = choice["seconds_between"]
        assert low <= choice["seconds"] <= high


def test_bytes_and_times_are_those_of_the_whole_adapter(ask: Advise) -> None:
    result = ask("--schedules", "base:1", "--codecs", "fp32", "--protocols", "sync", "--error", "1e-5")
    (choice,) = result["choices"]
    # three rounds of one message of 20,000 values, each 80 ms on the line and 10 ms on its way
    assert choice["rounds"] == 3
    assert choice["bytes"] == pytest.approx(3 * 80_000)
    assert choice["seconds"] == pytest.approx(3 * 0.09)
    assert result["values"] == 20_000


def test_a_node_has_one_line_for_all_its_messages(ask: Advise) -> None:
    result = ask("--schedules", "static:complete", "--codecs", "fp32", "--protocols", "sync")
    (choice,) = result["choices"]
    assert choice["rounds"] == 1
    assert choice["seconds"] == pytest.approx(7 * 0.08 + 0.01)


def test_what_it_prints_to_paste_is_a_part_of_an_experiment(ask: Advise) -> None:
    for choice in ask(*FEW)["choices"]:
        pasted = yaml.safe_load(choice["yaml"])
        experiment = Averaging.model_validate({"training": "none", **pasted})
        assert experiment.gossip.codec == choice["codec"]
        assert experiment.gossip.settle_rounds >= choice["rounds"]
        assert choice["schedule"].partition(":")[0] == experiment.topology.schedule


def test_what_it_prints_holds_all_that_was_measured_and_nothing_that_was_not(ask: Advise) -> None:
    own = ["--set", "topology.weights=uniform", "--set", "gossip.consensus_rate=0.5", "--set", "gossip.zstd=true"]
    result = ask(*FEW, *own, "--set", "gossip.settle_rounds=99")
    pasted = {
        choice["schedule"] + " " + choice["codec"]: yaml.safe_load(choice["yaml"]) for choice in result["choices"]
    }
    assert len(pasted) == 3
    for label, sections in pasted.items():
        assert sections["gossip"]["deadline_s"] == 30.0
        assert sections["gossip"]["zstd"] is True
        assert sections["gossip"]["settle_rounds"] < 99
        # the rate belongs to the file's codec, the weights to its graph
        assert ("consensus_rate" in sections["gossip"]) == label.endswith("fp32")
        assert ("weights" in sections["topology"]) == label.startswith("static:ring")


def test_names_of_one_graph_are_one_choice(ask: Advise) -> None:
    three = ["--set", "simulation.nodes=3", "--protocols", "sync", "--codecs", "fp32,int8"]
    choices = ask("--schedules", "static:ring,static:exponential,static:complete,base:1", *three)["choices"]
    static = [(choice["schedule"], choice["codec"]) for choice in choices if choice["schedule"] != "base:1"]
    assert sorted(static) == [("static:ring", "fp32"), ("static:ring", "int8")]
    assert len(choices) == 3


def test_where_latency_counts_fewest_rounds_win_and_where_bandwidth_counts_fewest_bytes(ask: Advise) -> None:
    slow_to_arrive = ask(*FEW, folder="latency", latency_s=10.0, bytes_per_s=None)
    narrow = ask(*FEW, folder="bandwidth", latency_s=0.0, bytes_per_s=1e5)
    for result, counts in ((slow_to_arrive, "rounds"), (narrow, "bytes")):
        reached = [run for run in first_runs(result) if run["reached"]]
        assert result["choices"][0][counts] == pytest.approx(min(run[counts] for run in reached), rel=0.05)
    assert slow_to_arrive["choices"][0]["schedule"] == "static:complete"
    assert narrow["choices"][0]["schedule"] != "static:complete"


def test_loss_makes_the_one_win_that_loses_no_mass(ask: Advise) -> None:
    both = ["--schedules", "static:complete", "--codecs", "fp32", "--protocols", "sync,push_sum"]
    both += ["--most-drift", "0.01", "--set", "gossip.deadline_s=1"]
    assert ask(*both, folder="sound")["choices"][0]["protocol"] == "sync"
    lossy = ask(*both, folder="lossy", loss=0.3)
    assert [choice["protocol"] for choice in lossy["choices"]] == ["push_sum"]
    drift = {run["protocol"]: run["drift"] for run in first_runs(lossy)}
    assert drift["sync"] > 0.01 > drift["push_sum"]


def test_what_makes_no_sense_is_left_out_with_the_reason(ask: Advise) -> None:
    result = ask("--schedules", "base:1,base:8,static:ring", "--codecs", "fp32", "--protocols", "sync,wait_free")
    reasons = {(one["schedule"], one["protocol"]): one["reason"] for one in result["left_out"]}
    assert "a node of 8 has 7 others to meet, not 8" in reasons["base:8", "sync"]
    assert "wait_free nodes count rounds of their own" in reasons["base:1", "wait_free"]
    assert ("static:ring", "sync") not in reasons
    every = ask("--schedules", "base:1", "--codecs", "fp32", folder="every")
    why = {one["protocol"]: one["reason"] for one in every["left_out"]}
    assert "without training it is sync" in why["noloco"]
    assert {run["protocol"] for run in every["grid"]} == {"sync", "push_sum"}


def test_the_same_question_has_the_same_answer_in_any_number_of_processes_and_after_a_stop(
    ask: Advise, tmp_path: Path
) -> None:
    whole = ask(*FEW, "--jobs", "2", folder="whole")
    shutil.copytree(tmp_path / "whole", tmp_path / "half")
    (tmp_path / "half" / "result.json").unlink()
    lines = (tmp_path / "whole" / "grid.jsonl").read_text().splitlines(keepends=True)
    # two runs done, and a third being written down
    (tmp_path / "half" / "grid.jsonl").write_text("".join(lines[:2]) + lines[2][:20])
    resumed = ask(*FEW, "--resume", folder="half")
    for key in ("choices", "grid", "left_out"):
        assert resumed[key] == whole[key]
    assert (tmp_path / "half" / "grid.jsonl").read_text().splitlines() == [line.rstrip() for line in lines]


@pytest.mark.slow
def test_ctrl_c_ends_it_soon_and_keeps_what_is_done(tmp_path: Path) -> None:
    content = PLAIN | {"simulation": {"nodes": 200, "links": {"latency_s": 0.01}}}
    (tmp_path / "large.yaml").write_text(yaml.safe_dump(content))
    ring = ["--schedules", "base:1,static:ring", "--codecs", "fp32", "--protocols", "sync", "--rounds", "100000"]
    arguments = ["advise", str(tmp_path / "large.yaml"), *ring, "--jobs", "1", "--output", str(tmp_path / "large")]
    process = subprocess.Popen(
        [sys.executable, "-m", "gossipfl", *arguments], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    grid = tmp_path / "large" / "grid.jsonl"
    # the ring takes minutes: it is under way when the first is done
    while process.poll() is None and not (grid.exists() and grid.read_text().endswith("\n")):
        select.select([], [], [], 0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "--resume" in said
    assert len(grid.read_text().splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--schedules", "based:1"], "--schedules: 'based:1' is unknown; known: base"),
        (["--schedules", "static:rign"], "--schedules: 'static:rign': no such graph"),
        (["--schedules", "base:x"], "'base:x': NAME:NUMBER was expected"),
        (["--schedules", "one_peer_exponential:3"], "takes nothing behind a colon, 'one_peer_exponential' alone was"),
        (["--codecs", "int8:3"], "--codecs: 'int8:3': int8 takes nothing behind a colon, 'int8' alone was expected"),
        (["--protocols", "sync:1"], "--protocols: 'sync:1': sync takes nothing behind a colon"),
        pytest.param(
            [*FEW[2:], "--codecs", "fp32", "--schedules", "base:9"],
            "advise: it is refused: topology.degree: a node of 8",
            marks=pytest.mark.slow,
        ),
        (["--codecs", "int9"], "--codecs: 'int9' is unknown"),
        (["--protocols", "synch"], "--protocols: 'synch' is unknown"),
        (["--error", "2"], "--error 2"),
        pytest.param(
            ["--schedules", "base:1", "--protocols", "wait_free"],
            "all 7 combinations are refused, the first: topology",
            marks=pytest.mark.slow,
        ),
        ([*FEW, "--rounds", "1", "--schedules", "static:ring"], "none of 2 combinations came to 0.001 of the spread"),
        ([*FEW, "--rounds", "1", "--schedules", "static:ring"], "nearest: static:ring sync fp32 with 0.4"),
    ],
)
def test_a_mistake_is_one_line(ask: Advise, arguments: list[str], said: str) -> None:
    message = ask(*arguments, code=2)["error"]
    assert re.match("error: ", message)
    assert said in message


@pytest.mark.slow
def test_a_folder_of_another_question_is_refused(ask: Advise) -> None:
    one = ["--schedules", "base:1", "--codecs", "fp32", "--protocols", "sync"]
    ask(*one)
    assert "is not empty" in ask(*one, code=2)["error"]
    assert "another experiment or other options" in ask(*one, "--error", "0.1", "--resume", code=2)["error"]
    ask(*one, "--resume")
