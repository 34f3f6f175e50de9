"""Whether the tutorials' claims hold in the recorded runs of the noise study.

speed      mean of accuracy over the run's steps: the area under its curve, higher where it rises earlier
kept       (accuracy with noise − chance) / (accuracy without − chance): what noise leaves of what was learned
at chance  mean accuracy within `MARGIN` of guessing: two such arms say nothing about each other
holds      the 95% interval of the paired differences is above 0; the opposite: below it
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from gossipfl.report.comparison import ArmSummary, Comparison
from gossipfl.report.measures import series
from gossipfl.report.recorded import RecordedRun
from gossipfl.report.statistics import Difference, paired_difference
from gossipfl.studies.mnist_noise_arms import FEDAVG, GOSSIP, Arm, Kind, Scale, Whose

BySeed = Mapping[int, float]
Verdict = Literal["holds", "the opposite", "not shown", "at chance", "no result"]
KINDS: tuple[Kind, ...] = ("nominal", "honest")
OWNERS: Mapping[Whose, str] = {"local": "noise of each node", "central": "noise of a trusted server"}
CHANCE, MARGIN = 0.1, 0.05
SERVED = "fedavg20"
"""FedAvg over all nodes, which does the same work as gossip: half of them do half of it."""


class Figures:
    """Accuracy, speed and what is kept, of all arms by seed."""

    def __init__(self, found: Comparison) -> None:
        self._arms = {arm.name: arm for arm in found.arms}

    def accuracy(self, arm: Arm) -> BySeed:
        """At the end, mean over the nodes."""
        return self._arms[arm.name].values("mean_node")

    def speed(self, arm: Arm) -> BySeed:
        """Mean accuracy over the run."""
        return {seed: area(done.run) for seed, done in self._arms[arm.name].done.items()}

    def kept(self, arm: Arm) -> BySeed:
        """Share of the accuracy above chance that noise leaves."""
        noisy, quiet = self.accuracy(arm), self.accuracy(Arm(arm.network))
        return {
            seed: (value - CHANCE) / (quiet[seed] - CHANCE) if quiet[seed] != CHANCE else float("nan")
            for seed, value in noisy.items()
            if seed in quiet
        }

    def is_at_chance(self, arm: Arm) -> bool:
        """It guesses."""
        mean = self._arms[arm.name].figures["mean_node"].mean
        return mean is not None and mean < CHANCE + MARGIN

    def summary(self, arm: Arm) -> ArmSummary:
        """All that is known of it."""
        return self._arms[arm.name]


@dataclass(frozen=True, slots=True)
class Finding:
    """One pair of arms, held against each other.

    Attributes:
        difference: of the figure that the claim is about, of the first and the second.
        accuracy: of their accuracies at the end.
    """

    pair: str
    difference: Difference
    accuracy: Difference
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Claim:
    """What is said, and what the runs say.

    Attributes:
        figure: what is compared.
    """

    text: str
    figure: str
    findings: tuple[Finding, ...]


def area(run: RecordedRun) -> float:
    """Mean accuracy over the steps of a run."""
    steps, accuracy = series(run, "step"), series(run, "test_accuracy")
    return float(np.trapezoid(accuracy, steps) / (steps[-1] - steps[0]))


def claims_of(found: Comparison, scale: Scale) -> tuple[Claim, ...]:
    """The three claims; noise of nodes and of a server stand apart."""
    figures = Figures(found)
    gossip = [network for network in scale.networks if network in GOSSIP]
    weak = [Arm(SERVED), *(Arm(SERVED, "local", kind, max(scale.epsilons)) for kind in KINDS)]
    noisy = [Arm(SERVED, "local", kind, epsilon) for kind in KINDS for epsilon in scale.epsilons]
    faster = [(arm, _as(arm, network)) for arm in weak for network in gossip]
    robust = [(_as(arm, network), arm) for arm in noisy for network in gossip]
    claims = [
        _claim(figures, "FedAvg converges faster at weak privacy", "FedAvg − gossip: speed", figures.speed, faster),
        _claim(figures, "Gossip is more robust to local noise", "gossip − FedAvg: kept", figures.kept, robust),
    ]
    for whose, name in OWNERS.items():
        text, figure = f"Stricter privacy slows, {name}", "weaker − stricter: speed"
        claims.append(_claim(figures, text, figure, figures.speed, _stricter(scale, whose)))
    return tuple(claims)


def verdict_of(difference: Difference, *, guessing: bool) -> Verdict:
    """What a pair says.

    Args:
        guessing: both are at chance.
    """
    if difference.mean is None:
        return "no result"
    if guessing:
        return "at chance"
    if not difference.excludes_zero:
        return "not shown"
    return "holds" if difference.mean > 0 else "the opposite"


def _claim(
    figures: Figures, text: str, figure: str, value: Callable[[Arm], BySeed], pairs: Sequence[tuple[Arm, Arm]]
) -> Claim:
    return Claim(text, figure, tuple(_finding(figures, value, *pair) for pair in pairs))


def _finding(figures: Figures, value: Callable[[Arm], BySeed], one: Arm, other: Arm) -> Finding:
    difference = paired_difference(value(one), value(other))
    guessing = figures.is_at_chance(one) and figures.is_at_chance(other)
    accuracy = paired_difference(figures.accuracy(one), figures.accuracy(other))
    return Finding(f"{one.name} − {other.name}", difference, accuracy, verdict_of(difference, guessing=guessing))


def _as(arm: Arm, network: str) -> Arm:
    return Arm(network, arm.whose, arm.kind, arm.epsilon)


def _stricter(scale: Scale, whose: Whose) -> list[tuple[Arm, Arm]]:
    """Each noisy arm with that of the next stricter ε; the first with the one without noise."""
    networks = [network for network in scale.networks if whose == "local" or network in FEDAVG]
    chains = [
        [Arm(network), *(Arm(network, whose, kind, epsilon) for epsilon in scale.epsilons)]
        for network in networks
        for kind in KINDS
    ]
    return [pair for chain in chains for pair in pairwise(chain)]
