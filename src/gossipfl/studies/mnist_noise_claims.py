"""What the recorded runs of the noise study say of the tutorials' claims.

speed        mean of accuracy over the run's steps: the area under its curve, higher where it rises earlier
loss         accuracy without noise − with it
verdict      holds, or the opposite does, where the 95% interval of the paired differences is on one side of 0
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from gossipfl.report import compare_cells as cells
from gossipfl.report.comparison import ArmSummary, Comparison
from gossipfl.report.measures import series
from gossipfl.report.recorded import RecordedRun
from gossipfl.report.statistics import Difference, paired_difference
from gossipfl.report.tables import markdown_table
from gossipfl.studies.mnist_noise_arms import GOSSIP, Arm, Kind, Scale, Whose, arms_of

BySeed = Mapping[int, float]
KINDS: tuple[Kind, ...] = ("nominal", "honest")


class Figures:
    """Accuracy and speed of all arms by seed."""

    def __init__(self, found: Comparison) -> None:
        self._arms = {arm.name: arm for arm in found.arms}

    def accuracy(self, arm: Arm) -> BySeed:
        """At the end, mean over the nodes."""
        return self._arms[arm.name].values("mean_node")

    def speed(self, arm: Arm) -> BySeed:
        """Mean accuracy over the run."""
        return {seed: area(done.run) for seed, done in self._arms[arm.name].done.items()}

    def loss(self, arm: Arm) -> BySeed:
        """What noise costs in accuracy."""
        noisy, quiet = self.accuracy(arm), self.accuracy(Arm(arm.network))
        return {seed: quiet[seed] - value for seed, value in noisy.items() if seed in quiet}

    def summary(self, arm: Arm) -> ArmSummary:
        """All that is known of it."""
        return self._arms[arm.name]


def area(run: RecordedRun) -> float:
    """Mean accuracy over the steps of a run."""
    steps, accuracy = series(run, "step"), series(run, "test_accuracy")
    return float(np.trapezoid(accuracy, steps) / (steps[-1] - steps[0]))


def reading(found: Comparison, scale: Scale) -> str:
    """Tables and verdicts, as markdown."""
    figures = Figures(found)
    parts = [_table(figures, scale, whose) for whose in ("local", "central")]
    return "\n\n".join([*parts, *_claims(figures, scale)]) + "\n"


def _table(figures: Figures, scale: Scale, whose: Whose) -> str:
    networks = [
        name
        for name in scale.networks
        if any(arm.network == name and arm.whose == whose for arm in arms_of(scale).values())
    ]
    head = ["noise", "ε of the run", *networks]
    rows = [["none", "∞", *(_estimate(figures, Arm(network)) for network in networks)]]
    for kind in KINDS:
        for epsilon in scale.epsilons:
            arms = [Arm(network, whose, kind, epsilon) for network in networks]
            spent = [figures.summary(arm).figures["epsilon"].mean for arm in arms]
            shown = sorted({f"{value:.2f}" for value in spent if value is not None}, key=float)
            rows.append(
                [
                    f"{kind} {epsilon:g}",
                    " to ".join(dict.fromkeys((shown[0], shown[-1]))) if shown else "–",
                    *(_estimate(figures, arm) for arm in arms),
                ]
            )
    title = {"local": "Noise of each node", "central": "Noise of a trusted server"}[whose]
    text = f"{title}: accuracy at the end, mean over the nodes, mean ± deviation over seeds"
    return f"{text}\n\n{markdown_table(head, rows)}"


def _claims(figures: Figures, scale: Scale) -> list[str]:
    gossip = [network for network in scale.networks if network in GOSSIP]
    weak = [Arm("fedavg20"), *(Arm("fedavg20", "local", kind, max(scale.epsilons)) for kind in KINDS)]
    faster = [
        _verdict(f"{arm.name} against {network}", figures.speed(arm), figures.speed(_as(arm, network)))
        for arm in weak
        for network in gossip
    ]
    noisy = [Arm("fedavg20", "local", kind, epsilon) for kind in KINDS for epsilon in scale.epsilons]
    robust = [
        _verdict(f"{arm.name} against {network}", figures.loss(arm), figures.loss(_as(arm, network)))
        for arm in noisy
        for network in gossip
    ]
    slows = [
        _verdict(f"{weaker.name} against {stricter.name}", figures.speed(weaker), figures.speed(stricter))
        for weaker, stricter in _steps(scale)
    ]
    return [
        _claim("FedAvg converges faster at weak privacy: mean accuracy over the run, FedAvg minus gossip", faster),
        _claim("Gossip is more robust to noise: accuracy lost to the same local noise, FedAvg minus gossip", robust),
        _claim("Stricter privacy slows both: mean accuracy over the run, weaker minus stricter", slows),
    ]


def _as(arm: Arm, network: str) -> Arm:
    return Arm(network, arm.whose, arm.kind, arm.epsilon)


def _steps(scale: Scale) -> list[tuple[Arm, Arm]]:
    """Each noisy arm with that of the next stricter ε; the first with the one without noise."""
    pairs = []
    for network in scale.networks:
        owners: tuple[Whose, ...] = ("local",) if network in GOSSIP else ("local", "central")
        for whose in owners:
            for kind in KINDS:
                noisy = [Arm(network, whose, kind, epsilon) for epsilon in scale.epsilons]
                pairs += list(pairwise([Arm(network), *noisy]))
    return pairs


def _verdict(name: str, one: BySeed, other: BySeed) -> tuple[str, Difference]:
    return name, paired_difference(one, other)


def _claim(text: str, verdicts: Sequence[tuple[str, Difference]]) -> str:
    said = [_said(difference) for _, difference in verdicts]
    counts = ", ".join(f"{said.count(word)} × {word}" for word in dict.fromkeys(said))
    rows = [(name, cells.difference(difference), word) for (name, difference), word in zip(verdicts, said, strict=True)]
    head = ("pair", "difference [95% interval]", "verdict")
    return f"**{text}**: {counts}.\n\n{markdown_table(head, rows)}"


def _said(difference: Difference) -> str:
    if difference.mean is None or not difference.excludes_zero:
        return "not shown"
    return "holds" if difference.mean > 0 else "the opposite"


def _estimate(figures: Figures, arm: Arm) -> str:
    summary = figures.summary(arm)
    if summary.figures["mean_node"].mean is None:
        return f"{len(summary.faults)} × {next(iter(summary.faults.values())).status}" if summary.faults else "–"
    return cells.cell(summary, "mean_node")
