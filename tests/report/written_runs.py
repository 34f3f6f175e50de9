"""Runs' folders with known numbers, as drivers leave them, and comparisons of such."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gossipfl.config.experiment import Experiment
from gossipfl.config.loading import parse_experiment
from gossipfl.core.json_text import json_text
from gossipfl.report.comparing import read_comparison
from gossipfl.report.comparison import ArmSource, Comparison, Fault, Terms, TrialSource
from gossipfl.runs.result import RunResult

NODES = ("n0", "n1", "n2")
EXPERIMENT = """\
model: {source: "builtin:logistic", inputs: 64}
task: {kind: vector-classification, labels: ["0", "1"]}
adapter: {kind: full}
training: {phases: 4, local_steps: 10}
privacy: {level: none}
compare: {arms: {ring: {driver: gossip}}, seeds: 2, goal: 0.8}
"""


@dataclass(frozen=True, slots=True)
class Written:
    """What a run is to have recorded.

    Attributes:
        means: over the nodes, evaluation by evaluation, ten steps and one round apart; nodes are .1 apart.
        figure: what the means are of.
        loss: at the last evaluation of a run of accuracies.
        judged: losses and accuracies are known.
        own: losses of the nodes on their own records, at the first and at the last evaluation.
        said: part of the tokens said first, of a language model, at each evaluation.
        measures: of the task, the same at each evaluation.
    """

    means: Sequence[float]
    figure: str = "accuracy"
    epsilon: float | None = None
    noise: str = "none"
    sent: float = 1000.0
    loss: float | None = 0.5
    done: bool = True
    rejected: Mapping[str, int] = field(default_factory=dict)
    judged: bool = True
    own: tuple[Sequence[float], Sequence[float]] | None = None
    said: Sequence[float] | None = None
    measures: Mapping[str, float] = field(default_factory=dict)


def experiment() -> Experiment:
    """The base of the comparisons."""
    return parse_experiment(EXPERIMENT, source="written.yaml")


def write_run(folder: Path, written: Written) -> Path:
    """Writes the folder of a run."""
    folder.mkdir(parents=True)
    (folder / "topology.json").write_text(json_text({"nodes": NODES, "edges": [["n0", "n1"], ["n1", "n2"]]}))
    (folder / "versions.json").write_text(json_text({"python": "3.11", "torch": "2.13"}))
    lines = [_line(written, place) for place in range(len(written.means))]
    (folder / "metrics.jsonl").write_text("".join(json_text(summary) + "\n" for summary, _ in lines))
    (folder / "nodes.jsonl").write_text("".join(json_text(columns) + "\n" for _, columns in lines))
    if written.done:
        (folder / "result.json").write_text(json_text(_result(written, folder)))
    return folder


def _line(written: Written, place: int) -> tuple[dict[str, object], dict[str, object]]:
    mean, last = written.means[place], place == len(written.means) - 1
    nodes = [mean - 0.1, mean, mean + 0.1]
    summary: dict[str, object] = {
        "virtual_s": 2.0 * place,
        "round": place,
        "step": 10.0 * place,
        "bytes_per_node": written.sent * place,
        "consensus_distance": 1.0,
        "own_loss": None,
        "own_accuracy": None,
        "test_loss": (written.loss if last else 0.5) if written.judged else None,
        f"test_{written.figure}": mean if written.judged else None,
        f"mean_model_{written.figure}": mean + 0.05,
        "worst": nodes[0] if written.figure == "accuracy" else nodes[-1],
        "epsilon": written.epsilon,
    }
    if written.said is not None:
        summary["test_token_accuracy"] = written.said[place]
    summary |= {f"test_{name}": value for name, value in written.measures.items()}
    columns = {
        "distance": [1.0] * 3,
        "up": [True] * 3,
        "finished": [last] * 3,
        f"test_{written.figure}": nodes,
    }
    if written.own is not None:
        columns["own_loss"] = written.own[-1 if last else 0]
    return summary, columns


def _result(written: Written, folder: Path) -> dict[str, object]:
    return RunResult(
        final={},
        rounds=len(written.means) - 1,
        virtual_s=2.0 * (len(written.means) - 1),
        seconds=3.5,
        node_steps=90,
        bytes_per_node=written.sent,
        epsilon=written.epsilon,
        noise=written.noise,
        engine="loop",
        done=True,
        output=folder,
        rejected=written.rejected,
    ).as_json()


Trials = Mapping[str, Sequence[Written | Fault]]
"""By arm, seed after seed from 0 on."""


def compared(folder: Path, trials: Trials, *, reference: str = "", goal: float | None = None) -> Comparison:
    """A comparison of runs that are written into the folder; 30 steps were planned."""
    sources = [
        ArmSource(name, "gossip", {}, 30, equal_work=True, trials=tuple(_trials(folder / "runs" / name, own)))
        for name, own in trials.items()
    ]
    terms = Terms(reference or next(iter(trials)), goal)
    return read_comparison(sources, terms, folder / "report.html")


def _trials(folder: Path, own: Sequence[Written | Fault]) -> list[TrialSource]:
    found = []
    for seed, each in enumerate(own):
        place = folder / f"seed-{seed}"
        if isinstance(each, Fault):
            found.append(TrialSource(seed, place, each))
        else:
            found.append(TrialSource(seed, write_run(place, each)))
    return found
