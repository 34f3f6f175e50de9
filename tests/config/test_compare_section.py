"""The section `compare`: what it takes, and every mistake in it in one line."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gossipfl.config.experiment import CompareConfig
from gossipfl.config.loading import (
    LoadedExperiment,
    change_experiment,
    dump_experiment,
    load_experiment,
    parse_experiment,
)
from gossipfl.config.overriding import changed, leaves
from gossipfl.errors import ConfigError

BASE = (Path(__file__).parents[2] / "experiments" / "quickstart.yaml").read_text()
ONE = {"ring": {"driver": "gossip"}}
MISTAKES: list[tuple[object, str]] = [
    ({}, "compare.arms is missing, it must be given"),
    ({"arms": {}}, "compare.arms: nothing given, should have at least 1 item"),
    ({"arms": {"ring": {}}}, "compare.arms.ring.driver is missing, it must be given"),
    ({"arms": {"ring": None}}, "compare.arms.ring: None, should be a section with keys of its own"),
    ({"arms": {"ring": {"driver": "gossip", "sett": {}}}}, "compare.arms.ring.sett: unknown key, did you mean 'set'?"),
    ({"arms": {"ring": {"driver": "gosip"}}}, "compare.arms.ring.driver: 'gosip', should be 'gossip', 'fedavg', "),
    (
        {"arms": {"ring": {"driver": "gossip", "mode": "simulation"}}},
        "compare.arms.ring.mode: 'simulation' is how Flower is run, driver gossip takes none",
    ),
    ({"arms": {"../x": {"driver": "gossip"}}}, "compare.arms: '../x' is no name of an arm"),
    ({"arms": ONE, "seedz": 2}, "compare.seedz: unknown key, did you mean 'seeds'?"),
    ({"arms": ONE, "seeds": 0}, "compare.seeds: 0, should have at least 1 item"),
    ({"arms": ONE, "seeds": [1, 2, 1]}, "compare.seeds: 1 is given twice"),
    ({"arms": ONE, "reference": "star"}, "compare.reference: 'star' is no arm; they are ring"),
    ({"arms": ONE, "address": "auto"}, "compare.address: 'auto' is a Ray cluster's, executor processes takes none"),
]


def read(compare: object) -> CompareConfig:
    experiment = parse_experiment(BASE + yaml.safe_dump({"compare": compare}, sort_keys=False), source="quick.yaml")
    assert experiment.compare is not None
    return experiment.compare


@pytest.mark.parametrize(("compare", "said"), MISTAKES, ids=[said.split(" ")[0] for _, said in MISTAKES])
def test_a_mistake_is_one_line_that_names_the_field(compare: object, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(compare)
    assert str(caught.value).startswith(f"quick.yaml: {said}")
    assert "\n" not in str(caught.value)


def test_seeds_are_a_list_or_how_many() -> None:
    assert read({"arms": ONE, "seeds": 2}).seeds == (0, 1)
    assert read({"arms": ONE, "seeds": [7, 3]}).seeds == (7, 3)


def test_the_first_arm_is_the_reference_unless_another_is_named() -> None:
    arms = {"b": {"driver": "alone"}, "a": {"driver": "gossip"}}
    assert read({"arms": arms}).held_against == "b"
    assert read({"arms": arms, "reference": "a"}).held_against == "a"


def test_the_table_survives_being_written_and_read() -> None:
    arms = {"torus": {"driver": "gossip", "set": {"topology": {"kind": "torus"}, "privacy.target_epsilon": None}}}
    experiment = parse_experiment(BASE + yaml.safe_dump({"compare": {"arms": arms}}), source="quick.yaml")
    assert parse_experiment(dump_experiment(experiment), source="again") == experiment


# ---- what an arm changes ----


@pytest.fixture
def base(tmp_path: Path) -> LoadedExperiment:
    path = tmp_path / "quick.yaml"
    path.write_text(BASE)
    return load_experiment(path)


def test_dotted_and_nested_fields_say_the_same(base: LoadedExperiment) -> None:
    dotted = change_experiment(base, {"topology.kind": "star", "gossip.settle_rounds": 3}, source="an arm")
    nested = change_experiment(base, {"topology": {"kind": "star"}, "gossip": {"settle_rounds": 3}}, source="an arm")
    assert dotted == nested
    assert dotted.experiment.topology.kind == "star"
    assert dotted.experiment.training == base.experiment.training
    assert base.experiment.topology.kind == "ring"


def test_a_null_takes_away_what_the_base_gives(base: LoadedExperiment) -> None:
    private = change_experiment(base, {"privacy": {"level": "example", "target_epsilon": 8}}, source="an arm")
    plain = change_experiment(private, {"privacy": {"level": "none", "target_epsilon": None}}, source="an arm")
    assert plain.experiment.privacy == base.experiment.privacy


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"topology.knid": "star"}, "topology.knid: unknown key, did you mean 'kind'?"),
        ({"topology": {"knid": "star"}}, "topology.knid: unknown key, did you mean 'kind'?"),
        ({"trainin.phases": 1}, "trainin: unknown key, did you mean 'training'?"),
        ({"training.phases.more": 1}, "phases holds 20, it has no fields of its own"),
        ({"training.": 1}, "'training.', a field was expected, for example training.phases"),
        ({"training.phases": -1}, "training.phases: -1, should be greater than 0"),
    ],
)
def test_a_mistake_in_an_arm_is_one_line(base: LoadedExperiment, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        change_experiment(base, changes, source="an arm")
    assert str(caught.value) == f"an arm: {said}"


keys = st.text("abc", min_size=1, max_size=2)
trees = st.recursive(st.integers(), lambda inner: st.dictionaries(keys, inner, min_size=1, max_size=3), max_leaves=8)


@given(st.dictionaries(keys, trees, max_size=3))
def test_the_leaves_of_a_mapping_make_it_again(tree: dict[str, object]) -> None:
    flat = {".".join(path): value for path, value in leaves(tree)}
    assert changed({}, flat, source="leaves") == tree == changed({}, tree, source="tree")
