"""Reads what an audit of memorization has recorded: attempts of every state, arm by arm and seed by seed."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from gossipfl.report.comparison import ArmSummary, Comparison
from gossipfl.report.memorization import FIGURES, ONCE, OTHERS, OWNER, REPEATED, ArmMemory, Memorization, Rates
from gossipfl.report.statistics import Difference, estimate, paired_difference

BEFORE = "before training"
Attempts = list[dict[str, Any]]
Nodes = Mapping[str, Mapping[str, Any]]
"""Distance and attempts by node, as `attack.json` has them."""
Chosen = Callable[[int | None], bool]
"""Whether a node at this distance is meant."""


def read_memorization(
    comparison: Comparison, before: Mapping[int, Path], attack: str, *, bleu: float, files: Mapping[str, str]
) -> Memorization:
    """What came of an audit.

    Args:
        comparison: of its runs.
        before: by seed, the attempts at the model before training.
        attack: name of the file with the attempts in a run's folder.
        bleu: from which on a continuation counts as recited.
        files: what is written, for the result.
    """
    base = {seed: _nodes(path) for seed, path in before.items()}
    arms = [
        _arm(BEFORE, base, bleu, _losses_before(comparison)),
        *(_of(arm, attack, bleu) for arm in comparison.arms),
    ]
    first = next((_all(nodes, lambda _: True) for nodes in base.values()), [])
    counts = {name: len({one["passage"] for one in attempts}) for name, attempts in _by_count(first).items()}
    prompts = tuple(sorted({one["prompt"] for one in first}))
    return Memorization(tuple(arms), prompts, bleu, counts, files)


def _of(arm: ArmSummary, attack: str, bleu: float) -> ArmMemory:
    paths = {trial.seed: trial.folder / attack for trial in arm.trials if trial.seed in arm.done}
    attacked = {seed: _nodes(path) for seed, path in paths.items() if path.exists()}
    losses = [done.run.evaluations[-1].summary.test_loss for done in arm.done.values()]
    found = _arm(arm.name, attacked, bleu, losses)
    return replace(found, epsilon=arm.figures["epsilon"].mean, faults=arm.faults)


def _losses_before(comparison: Comparison) -> list[float]:
    """By seed, on the common test set, at the first evaluation of any arm: none has trained anything by then."""
    first: dict[int, float] = {}
    for arm in comparison.arms:
        for seed, done in arm.done.items():
            first.setdefault(seed, done.run.evaluations[0].summary.test_loss)
    return list(first.values())


def _arm(name: str, attacked: Mapping[int, Nodes], bleu: float, losses: Sequence[float]) -> ArmMemory:
    places = sorted({node["distance"] for nodes in attacked.values() for node in nodes.values()} - {None})
    holders = {OWNER: _rates(attacked, _owners, bleu)}
    if any(places):
        holders[OTHERS] = _rates(attacked, _others, bleu)
    distances = {place: _rates(attacked, _at(place), bleu) for place in places}
    loss = estimate(losses)
    return ArmMemory(name, loss.mean, loss.std, None, holders, distances, tuple(attacked))


def _owners(distance: int | None) -> bool:
    # a state that all hold is the owner's too
    return not distance


def _others(distance: int | None) -> bool:
    return bool(distance)


def _at(place: int) -> Chosen:
    return lambda distance: distance == place


def _rates(attacked: Mapping[int, Nodes], chosen: Chosen, bleu: float) -> dict[str, Rates]:
    by_count: dict[str, dict[str, dict[int, float]]] = {}
    for seed, nodes in attacked.items():
        for count, attempts in _by_count(_all(nodes, chosen)).items():
            values = by_count.setdefault(count, {name: {} for name in FIGURES})
            for name, value in zip(FIGURES, _figures(attempts, bleu), strict=True):
                values[name][seed] = value
    return {
        count: Rates({name: _interval(values[name]) for name in FIGURES}, values) for count, values in by_count.items()
    }


def _figures(attempts: Attempts, bleu: float) -> tuple[float, ...]:
    """As `FIGURES` names them."""
    prompts = sorted({one["prompt"] for one in attempts})
    exact = [_part([one["exact"] for one in attempts if one["prompt"] == prompt]) for prompt in prompts]
    nearly = [_part([one["bleu"] >= bleu for one in attempts if one["prompt"] == prompt]) for prompt in prompts]
    overlap = float(np.mean([one["bleu"] for one in attempts]))
    return float(np.mean(exact)), max(exact), float(np.mean(nearly)), max(nearly), overlap


def _part(hits: Sequence[bool]) -> float:
    return float(np.mean(hits))


def _interval(values: Mapping[int, float]) -> Difference:
    found = paired_difference(values, dict.fromkeys(values, 0.0))
    # seeds that agree tell nothing of how far others would be: that nobody is caught is no certainty
    return found if len({*values.values()}) > 1 else replace(found, low=None, high=None)


def _by_count(attempts: Iterable[dict[str, Any]]) -> dict[str, Attempts]:
    found: dict[str, Attempts] = {}
    for one in attempts:
        found.setdefault(ONCE if one["copies"] == 1 else REPEATED, []).append(one)
    return found


def _all(nodes: Nodes, chosen: Chosen) -> Attempts:
    return [one for node in nodes.values() if chosen(node["distance"]) for one in node["attempts"]]


def _nodes(path: Path) -> Nodes:
    nodes: Nodes = json.loads(path.read_text())["nodes"]
    return nodes
