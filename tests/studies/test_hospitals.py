"""Experiment 2: its file is an experiment, and its data holds no definition twice."""

import json
import math
from pathlib import Path

import numpy as np
from tests.report.written_runs import Written, compared

from gossipfl.config.loading import change_experiment, load_experiment
from gossipfl.learning.generation import Generation
from gossipfl.report.comparison import Fault
from gossipfl.report.tables import markdown_table
from gossipfl.studies.compare_plan import plan_orders, with_table
from gossipfl.studies.hospitals import QUICK, QUICK_TABLE, write_terms
from gossipfl.studies.hospitals_picture import draw_losses
from gossipfl.studies.hospitals_rates import CANDIDATES, SEED, arms
from gossipfl.studies.hospitals_reading import Answer, change, reading

EXPERIMENT = Path(__file__).parents[2] / "experiments" / "hospitals.yaml"


def test_arms_are_both_adapters_with_every_driver(tmp_path: Path) -> None:
    orders = plan_orders(load_experiment(EXPERIMENT), tmp_path)
    made = {
        (order.loaded.experiment.adapter.kind, order.loaded.experiment.adapter.rank, order.driver) for order in orders
    }
    drivers = ("gossip", "fedavg", "alone", "pooled")
    assert made == {(kind, rank, driver) for kind, rank in (("core", 16), ("lora", 8)) for driver in drivers}


def test_a_quick_look_has_two_arms(tmp_path: Path) -> None:
    changed = change_experiment(load_experiment(EXPERIMENT), QUICK, source="test")
    orders = plan_orders(with_table(changed, QUICK_TABLE), tmp_path)
    assert [order.arm for order in orders] == ["core-ring", "core-fedavg"]
    assert orders[0].loaded.experiment.training.total_steps == 4


def test_every_organization_has_terms_and_no_definition_is_there_twice(tmp_path: Path) -> None:
    write_terms(tmp_path / "data" / "hpo.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "data" / "hpo.jsonl").read_text().splitlines()]
    definitions = [" ".join(row["response"].lower().split()) for row in rows]
    assert len(set(definitions)) == len(definitions)
    systems = {row["organ_system"] for row in rows}
    assert {
        value for values in load_experiment(EXPERIMENT).experiment.data.split.values.values() for value in values
    } <= systems


def test_a_table_is_markdown() -> None:
    assert markdown_table(("a", "b"), [("1", "2")]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"


def test_what_is_not_known_is_not_made_up() -> None:
    known, unknown = np.array([3.2, 3.4]), np.array([np.nan, np.nan])
    assert change(known, known - 1) == "3.300 → 2.300 ± 0.141"
    assert change(unknown, known[:1]) == "– → 3.200"
    assert change(known, unknown) == "3.300 → –"


def test_rates_are_searched_with_a_seed_that_the_study_does_not_use(tmp_path: Path) -> None:
    orders = plan_orders(with_table(load_experiment(EXPERIMENT), {"seeds": [SEED], "arms": arms()}), tmp_path)
    tried = [(order.loaded.experiment.adapter.kind, order.loaded.experiment.training.learning_rate) for order in orders]
    assert tried == [(kind, rate) for kind, rates in CANDIDATES.items() for rate in rates]
    compare = load_experiment(EXPERIMENT).experiment.compare
    assert compare is not None
    assert SEED not in compare.seeds


def test_the_reading_and_the_picture_are_those_of_the_recorded_losses(tmp_path: Path) -> None:
    def arm(before: list[float], after: list[float]) -> Written:
        return Written([3.0, 2.0], figure="loss", own=(before, after))

    unknown = [math.nan] * 3
    found = compared(
        tmp_path,
        {
            "core-ring": [arm([3.0, 3.2, 3.4], [2.0, 2.2, 2.4]), arm([3.0, 3.2, 3.4], [2.2, 2.4, 2.6])],
            "core-fedavg": [arm(unknown, [2.1, 2.3, 2.5]), Fault("failed", "no disk")],
        },
    )
    organizations = {"n0": ["heart"], "n1": ["eye"], "n2": ["ear"]}
    said = Answer("core-ring", "What?", 100, Generation("sharp", "vague", "ab" * 32))
    text = reading(found, organizations, [said], model_values=20_000)
    assert "| core-ring | 3.000 → 2.100 ± 0.141 | 3.200 → 2.300 ± 0.141 | 3.400 → 2.500 ± 0.141 |" in text
    assert "| core-fedavg | – → 2.100 | – → 2.300 | – → 2.500 |" in text
    assert "| core | 100 | 400 | 200 |" in text
    assert "| core-ring, sha256 abababababababab | sharp |" in text
    figure = draw_losses(found, ["heart", "eye", "ear"])
    points = np.stack([np.asarray(line.get_ydata(), float) for line in figure.axes[0].get_lines()])
    np.testing.assert_allclose(points, np.array([[2.1, 2.3, 2.5], [2.1, 2.3, 2.5]]))
