"""Images and tagged words that come later, under privacy: by the code of a real node, at accounts by period."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.sim.labeled import COLORS, KINDS, labeled
from tests.sim.training import NOISE, Content

from gossipfl.config.experiment import Experiment
from gossipfl.privacy.period_account import PeriodAccount
from gossipfl.runs.fleet import Fleet, build_fleet
from gossipfl.runs.roster import Roster

STEPS = 3


def periodic(folder: Path, kind: str, bert: Path, **changes: Any) -> Content:
    """The last color comes later; of words, every second sentence."""
    images = kind == "image-classification"
    old, new = (COLORS[:2], COLORS[2:]) if images else (("old",), ("new",))
    later = [{"phase": 1, "values": new, "nodes": ["n0"]}]
    periods = {"column": "label" if images else "when", "first": old, "later": later}
    content = labeled(folder, kind, bert, privacy=NOISE, simulation__periods=periods, **changes)
    if not images:
        file = folder / "tagged.jsonl"
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        parts = [{**row, "when": "new" if number % 4 > 1 else "old"} for number, row in enumerate(rows)]
        file.write_text("".join(json.dumps(row) + "\n" for row in parts))
    return content


def train(fleet: Fleet, phase: int) -> None:
    bench = fleet.benches["n0"]
    fleet.arrive("n0", phase)
    bench.learner.train(bench.adapted.initial, first_step=phase * STEPS, steps=STEPS, phase=phase)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("continual", "paid"), [("newest", (STEPS, STEPS)), ("replay", (2 * STEPS, STEPS))])
def test_what_comes_is_trained_on_and_each_period_pays_for_what_it_took_part_in(
    tmp_path: Path, tiny_folders: dict[str, Path], kind: str, continual: str, paid: tuple[int, int]
) -> None:
    content = periodic(tmp_path, kind, tiny_folders["bert"], training__continual=continual)
    experiment = Experiment.model_validate(content)
    fleet = build_fleet(experiment, Roster(experiment.simulation.names, tmp_path), experiment.simulation.names)
    bench, account = fleet.benches["n0"], fleet.simulated["n0"]
    assert isinstance(account, PeriodAccount)
    units, learner = bench.data.train.units, bench.learner

    train(fleet, 0)
    first = account.epsilon()
    train(fleet, 1)
    assert bench.learner is learner
    assert bench.data.train.units > units
    assert [each.units > 0 for each in bench.data.by_period] == [True, True]
    assert account.steps == 2 * STEPS
    assert tuple(part.steps for part in account._parts) == paid  # of each period
    assert account.epsilon() == max(part.epsilon() for part in account._parts)
    assert account.epsilon() >= first
