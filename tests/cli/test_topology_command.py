"""`gossipfl topology show` as a user runs it."""

import json
from pathlib import Path

import pytest

from gossipfl.cli.app import main

EXAMPLES = Path(__file__).parents[2] / "topologies"


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, object]:
    assert main(["topology", "show", *arguments, "--json"]) == 0
    result: dict[str, object] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return result


def test_a_generator_in_figures(capsys: pytest.CaptureFixture[str]) -> None:
    result = shown(capsys, "ring", "--nodes", "16")
    assert result["nodes"] == result["edges"] == 16
    assert result["diameter"] == 8
    assert result["lambda"] == pytest.approx(0.9493, abs=1e-4)
    assert result["spectral_gap"] == pytest.approx(0.0507, abs=1e-4)
    assert result["steps_to_1e-3"] == 133
    assert result["degree"] == {"min": 2, "mean": 2.0, "max": 2}


def test_options_reach_the_generator(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, "random_regular", "--nodes", "20", "--degree", "4")["edges"] == 40
    assert shown(capsys, "torus", "--nodes", "12", "--shape", "3x4")["edges"] == 24
    assert shown(capsys, "erdos_renyi", "--nodes", "9", "--probability", "1", "--seed", "5")["edges"] == 36
    assert shown(capsys, "star", "--weights", "uniform")["doubly_stochastic"] is False


def test_weights_are_saved_and_read_again_to_the_last_digit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for weights in ("metropolis", "uniform"):
        file = str(tmp_path / f"{weights}.json")
        made = shown(capsys, "barabasi_albert", "--names", "a,b,c,d,e", "--weights", weights, "--save", file)
        read = shown(capsys, file, "--weights", "file")
        # uniform weights are not symmetric there: the file is directed
        assert read["directed"] == (weights == "uniform")
        assert read["lambda"] == made["lambda"]


def test_what_cannot_be_saved_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, said in (
        (["--schedule", "base", "--save", str(tmp_path / "x.json")], "--save: only of a static schedule"),
        (["ring", "--save", str(tmp_path / "x.gml")], "the name has to end in .json"),
        (["ring", "--save", str(tmp_path / "no" / "x.json")], "cannot be written"),
        (["ring", "--names", "a,b", "--nodes", "3"], "--nodes: there are 2 nodes, not 3"),
    ):
        assert main(["topology", "show", *arguments]) == 2
        assert said in capsys.readouterr().err


def test_a_file_in_figures(capsys: pytest.CaptureFixture[str]) -> None:
    result = shown(capsys, str(EXAMPLES / "hospitals.gml"))
    assert (result["nodes"], result["edges"], result["lambda"]) == (4, 5, pytest.approx(0.5))


def test_a_static_schedule_is_said_to_be_one(capsys: pytest.CaptureFixture[str]) -> None:
    result = shown(capsys)
    assert (result["kind"], result["schedule"], result["period"], result["lambda_of"]) == ("ring", "static", 1, "round")


def test_a_schedule_over_time_has_the_lambda_of_its_period(capsys: pytest.CaptureFixture[str]) -> None:
    base = shown(capsys, "--schedule", "base", "--nodes", "25", "--degree", "2")
    assert (base["schedule"], base["period"], base["lambda"], base["lambda_of"]) == ("base", 6, 0.0, "period")
    assert base["steps_to_1e-3"] == 6
    assert base["doubly_stochastic"] is True
    hops = shown(capsys, "--schedule", "one_peer_exponential", "--nodes", "16")
    assert hops["period"] == 4
    assert hops["degree"] == {"min": 7, "mean": 7.0, "max": 7}
    assert hops["lambda"] == 0.0


def test_drawn_rounds_have_the_lambda_of_the_expectation(capsys: pytest.CaptureFixture[str]) -> None:
    edge = shown(capsys, "star", "--schedule", "random_edge", "--nodes", "8")
    assert (edge["period"], edge["lambda_of"], edge["edges"]) == (None, "expectation", 7)
    assert edge["lambda"] == pytest.approx((1 - 1 / 14) ** 0.5)
    epidemic = shown(capsys, "--schedule", "epidemic", "--nodes", "8")
    assert (epidemic["lambda_of"], epidemic["doubly_stochastic"]) == ("expectation", False)


def test_people_read_when_a_schedule_repeats(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["topology", "show", "--schedule", "base"]) == 0
    assert main(["topology", "show", "--schedule", "epidemic"]) == 0
    out = capsys.readouterr().out
    assert all(word in out for word in ("after 3 rounds", "λ of a period", "never", "λ expected"))


def test_people_read_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["topology", "show", "hypercube"]) == 0
    out = capsys.readouterr().out
    assert all(word in out for word in ("degree", "diameter", "λ", "0.5000", "spectral gap", "steps to 1e-3"))


def test_a_picture_is_written(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    result = shown(capsys, "ring", "--plot", str(tmp_path / "ring.png"))
    assert result["plot"] == str(tmp_path / "ring.png")
    assert (tmp_path / "ring.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["rnig"], "topology.kind: 'rnig' is unknown; did you mean 'ring'?"),
        (["nope.gml"], "nope.gml: no such file"),
        (["hypercube", "--nodes", "7"], "topology.kind: a hypercube needs a power of two nodes, not 7"),
        (["ring", "--weights", "a b"], "topology show: weights: 'a b'"),
        (["grid", "--shape", "3"], "--shape: '3', rows and columns were expected"),
        ([str(EXAMPLES / "hospitals.gml"), "--nodes", "7"], "--nodes: "),
        (["ring", "--plot", "x.docx"], "--plot: x.docx should end in"),
        (["ring", "--plot", "no/such/folder/x.png"], "--plot: no/such/folder/x.png cannot be written"),
        (["--schedule", "bose"], "topology.schedule: 'bose' is unknown; did you mean 'base'?"),
        ([str(EXAMPLES / "hospitals.gml"), "--schedule", "base"], "topology.schedule: base links the nodes by itself"),
        (["exponential", "--schedule", "random_edge"], "topology.schedule: random_edge needs an undirected graph"),
        (["--schedule", "epidemic", "--degree", "8"], "topology.degree: a node of 8 has 7 others to meet, not 8"),
        (["exponential", "--weights", "metropolis"], "topology.weights: metropolis needs an undirected graph"),
    ],
)
def test_a_mistake_is_one_line(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["topology", "show", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(f"error: {said}")
    assert captured.err.count("\n") == 1
