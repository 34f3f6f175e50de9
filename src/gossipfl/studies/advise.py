"""`gossipfl advise`: which schedule, protocol and codec agree soonest on a network like the user's, by trying them.

    every combination once, 4, then 16 at a time  ─>  the 6 soonest with other seeds  ─>  the 3 soonest on average
              └ given up at 1.5 times the third soonest of those before

FOLDER/config.yaml   the question          FOLDER/grid.jsonl   every run, as it came          FOLDER/result.json

What is given up, and when, follows from results alone: neither the number of processes nor a resumption changes it.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from gossipfl.config.loading import LoadedAveraging, LoadedExperiment
from gossipfl.core.json_text import json_text
from gossipfl.errors import TopologyError
from gossipfl.state import AdapterSpec
from gossipfl.studies.advise_entries import entry_for, sections_of
from gossipfl.studies.advise_grid import UNMEASURED, Combination, grid
from gossipfl.studies.advise_race import Entry
from gossipfl.studies.advise_runs import Ask, Done, Notebook, Racers
from gossipfl.studies.advise_size import exchanged_spec, small_spec

WAVES = (4, 16)
"""Combinations tried before it is looked who is soonest: the first are quick as a rule, and limit the others."""
PATIENCE, PATIENCE_AGAIN = 1.5, 10.0
CHOICES = 3


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked.

    Attributes:
        error: spread of the nodes to reach, as a part of that at the start.
        most_drift: that the mean may move meanwhile, in the same unit.
        repeats: seeds of those that are chosen from.
        values: of the vector that stands for the adapter, at most.
        rounds: exchange rounds at most.
        jobs: processes.
        labels: by schedules, protocols, codecs: what to try instead of all.
    """

    error: float = 1e-3
    most_drift: float = 0.1
    repeats: int = 3
    values: int = 4096
    rounds: int = 2000
    jobs: int = 1
    labels: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Choice:
    """One recommendation: means over seeds, and the ends of seconds.

    Attributes:
        seconds, bytes, rounds: until the error was reached; virtual; of one node.
        drift: the largest.
        text: YAML to put in place of the sections `topology` and `gossip`: all that was measured.
    """

    combination: Combination
    seconds: float
    between_s: tuple[float, float]
    bytes: float
    rounds: float
    drift: float
    text: str

    def as_json(self) -> dict[str, Any]:
        """An entry of `choices`."""
        return {
            "schedule": self.combination.schedule,
            "protocol": self.combination.protocol,
            "codec": self.combination.codec,
            "bytes": self.bytes,
            "seconds": self.seconds,
            "seconds_between": list(self.between_s),
            "rounds": self.rounds,
            "drift": self.drift,
            "yaml": self.text,
        }


@dataclass(frozen=True, slots=True)
class Advice:
    """What came of it.

    Attributes:
        choices: the soonest first, at most three.
        tried: every run.
        refused: combinations that make no sense, and why.
        values: of the real adapter.
        output: the folder.
    """

    choices: tuple[Choice, ...]
    tried: tuple[Done, ...]
    refused: Mapping[Combination, str]
    values: int
    output: Path

    def as_json(self) -> dict[str, Any]:
        """The keys of `gossipfl advise --json`."""
        return {
            "choices": [choice.as_json() for choice in self.choices],
            "grid": [done.as_json() for done in self.tried],
            "left_out": [
                {"schedule": one.schedule, "protocol": one.protocol, "codec": one.codec, "reason": reason}
                for one, reason in self.refused.items()
            ],
            "values": self.values,
            "output": self.output,
        }


def advise(
    loaded: LoadedExperiment | LoadedAveraging,
    folder: Path,
    wish: Wish,
    *,
    resume: bool = False,
    show: Callable[[int, int], None] = lambda _done, _of: None,
) -> Advice:
    """Tries the grid on the experiment's network.

    Args:
        folder: new, or that of one that was stopped, with `resume`.
        show: told how many runs are done, and of how many.

    Raises:
        UserError: something is wrong with experiment, labels or folder, or nothing reaches the error.
    """
    experiment = loaded.experiment
    combinations = grid(experiment.topology.kind, experiment.simulation.nodes, wish.labels)
    question = {"experiment": experiment.model_dump(mode="json"), "wish": _as_plain(wish)}
    notebook = Notebook(folder, yaml.safe_dump(question, sort_keys=False), resume=resume)
    spec = exchanged_spec(loaded)
    study = _Study(loaded, spec, small_spec(spec, wish.values), wish)
    with Racers(wish.jobs, notebook) as racers:
        tried, refused = _try_all(study, combinations, racers, show)
        soonest = sorted((done for done in tried if done.reached), key=_soonest)
        finalists = list(_distinct(soonest))[: 2 * CHOICES]
        again = _try_again(study, finalists, racers, show, len(combinations))
    choices = _choose(study, finalists, again)
    if "protocols" not in wish.labels:
        refused |= {Combination("all", name, "all"): reason for name, reason in UNMEASURED.items()}
    advice = Advice(choices, (*tried, *again), refused, spec.size, folder)
    (folder / "result.json").write_text(json_text(advice.as_json()) + "\n")
    if not choices:
        raise TopologyError(_why_none(advice, wish))
    return advice


def _why_none(advice: Advice, wish: Wish) -> str:
    if not advice.tried:
        reasons = list(advice.refused.values())
        many = f"all {len(reasons)} combinations are refused, the first" if len(reasons) > 1 else "it is refused"
        return f"advise: {many}: {reasons[0]}"
    limits = f"{wish.error:g} of the spread within {wish.rounds} rounds and {wish.most_drift:g} of drift"
    nearest = min(advice.tried, key=lambda done: _how_far(done, wish))
    one = nearest.combination
    return (
        f"advise: none of {len({done.combination for done in advice.tried})} combinations came to {limits}: raise "
        f"--error, --rounds or --most-drift; nearest: {one.schedule} {one.protocol} {one.codec} with "
        f"{nearest.spread:.3g} of the spread and {nearest.drift:.3g} of drift; see {advice.output / 'grid.jsonl'}"
    )


def _how_far(done: Done, wish: Wish) -> float:
    """How many times too much of what it has most too much of."""
    drift = done.drift / wish.most_drift if wish.most_drift else math.inf
    far = max(done.spread / wish.error, drift)
    return math.inf if math.isnan(far) else far


def _distinct(found: Sequence[Done]) -> Iterator[Done]:
    """The first of those that did the same to the last digit: among few nodes several names are one graph."""
    seen = set()
    for done in found:
        what = (done.combination.protocol, done.combination.codec, done.seconds, done.bytes, done.spread, done.drift)
        if what not in seen:
            seen.add(what)
            yield done


@dataclass(frozen=True, slots=True)
class _Study:
    loaded: LoadedExperiment | LoadedAveraging
    spec: AdapterSpec
    small: AdapterSpec
    wish: Wish

    def entry(self, combination: Combination, repeat: int, until_s: float) -> Entry:
        topology, gossip, ratio = entry_for(self.loaded, combination, self.spec, self.small)
        experiment, wish = self.loaded.experiment, self.wish
        return Entry(
            topology=topology.model_copy(update={"seed": topology.seed + repeat}),
            gossip=gossip,
            simulation=experiment.simulation,
            folder=self.loaded.topology_folder,
            spec=self.small,
            ratio=ratio,
            seed=experiment.seed + repeat,
            error=wish.error,
            most_drift=wish.most_drift,
            rounds=wish.rounds,
            until_s=until_s,
        )


def _try_all(
    study: _Study, combinations: Sequence[Combination], racers: Racers, show: Callable[[int, int], None]
) -> tuple[list[Done], dict[Combination, str]]:
    """Each once."""
    done: list[Done] = []
    refused: dict[Combination, str] = {}
    for wave in _waves(combinations):
        reached = sorted(one.seconds for one in done if one.reached)
        until_s = PATIENCE * reached[CHOICES - 1] if len(reached) >= CHOICES else math.inf
        asks = [Ask(one, 0, until_s) for one in wave]
        for found in racers.run(asks, study.entry):
            if isinstance(found, Done):
                done.append(found)
            else:
                refused[found.combination] = found.reason
            show(len(done) + len(refused), len(combinations))
    return done, refused


def _waves(combinations: Sequence[Combination]) -> Iterator[Sequence[Combination]]:
    first, later = WAVES
    yield combinations[:first]
    for start in range(first, len(combinations), later):
        yield combinations[start : start + later]


def _try_again(
    study: _Study, finalists: Sequence[Done], racers: Racers, show: Callable[[int, int], None], before: int
) -> list[Done]:
    """The finalists with the other seeds; what takes ten times as long there is no recommendation."""
    limits = [(one.combination, PATIENCE_AGAIN * one.seconds) for one in finalists]
    asks = [Ask(one, repeat, until_s) for repeat in range(1, study.wish.repeats) for one, until_s in limits]
    done: list[Done] = []
    for found in racers.run(asks, study.entry):
        if isinstance(found, Done):
            done.append(found)
        show(before + len(done), before + len(asks))
    return done


def _choose(study: _Study, finalists: Sequence[Done], again: Sequence[Done]) -> tuple[Choice, ...]:
    choices = []
    for first in finalists:
        runs = [first, *(done for done in again if done.combination == first.combination)]
        # what does not always get there is no recommendation
        if len(runs) == study.wish.repeats and all(run.reached for run in runs):
            choices.append(_choice(study, first.combination, runs))
    return tuple(sorted(choices, key=lambda choice: (choice.seconds, choice.bytes))[:CHOICES])


def _choice(study: _Study, combination: Combination, runs: Sequence[Done]) -> Choice:
    seconds = [run.seconds for run in runs]
    topology, gossip = sections_of(study.loaded, combination)
    gossip["settle_rounds"] = math.ceil(max(run.rounds for run in runs))
    return Choice(
        combination=combination,
        seconds=float(np.mean(seconds)),
        between_s=(min(seconds), max(seconds)),
        bytes=float(np.mean([run.bytes for run in runs])),
        rounds=float(np.mean([run.rounds for run in runs])),
        drift=max(run.drift for run in runs),
        text=yaml.safe_dump({"topology": topology, "gossip": gossip}, sort_keys=False),
    )


def _soonest(done: Done) -> tuple[float, float]:
    return done.seconds, done.bytes


def _as_plain(wish: Wish) -> dict[str, Any]:
    """What decides results: the number of processes does not."""
    labels = {kind: list(labels) for kind, labels in wish.labels.items()}
    return {
        "error": wish.error,
        "most_drift": wish.most_drift,
        "repeats": wish.repeats,
        "values": wish.values,
        "rounds": wish.rounds,
        "labels": labels,
    }
