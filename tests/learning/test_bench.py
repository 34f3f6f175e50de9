"""Many nodes in one process that share one model."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.learning.vectors import sites, vector_experiment

from gossipfl.errors import PrivacyError
from gossipfl.learning.bench import Bench, build_learner, learner_for, load_resident
from gossipfl.learning.books import RunTerms
from gossipfl.learning.data import load_fleet_records
from gossipfl.state import AdapterState

NAMES = ("a", "b", "c")
PHASES = 3
MLP: dict[str, Any] = {"source": "builtin:mlp", "inputs": 64, "hidden": (16,)}
SECTIONS: dict[str, Any] = {"model": MLP, "data": {"test_share": 0.5}, "training": {"batch_size": 8}}


def terms(node: str) -> RunTerms:
    return RunTerms("r", ledger=f"{node}.sqlite", streams="seeded")


def sharing(folder: Path) -> list[Bench]:
    experiment, nodes = vector_experiment(**SECTIONS), sites(folder, *NAMES)
    fleet = load_fleet_records(experiment, nodes)
    resident = load_resident(experiment, nodes[0], fleet.test)
    return [learner_for(resident, site, terms(site.node), fleet.nodes[site.node]) for site in nodes]


def phase(bench: Bench, state: AdapterState, number: int) -> AdapterState:
    return bench.learner.train(state, first_step=number * 4, steps=4).state


def test_learners_that_share_a_model_train_as_those_that_have_their_own(tmp_path: Path) -> None:
    benches = sharing(tmp_path)
    states = [bench.adapted.initial for bench in benches]
    for number in range(PHASES):
        states = [phase(bench, state, number) for bench, state in zip(benches, states, strict=True)]

    for site, state in zip(sites(tmp_path, *NAMES), states, strict=True):
        own = build_learner(vector_experiment(**SECTIONS), site, terms(site.node))
        alone = own.adapted.initial
        for number in range(PHASES):
            alone = phase(own, alone, number)
        assert alone == state
        assert own.data.test is not None
        assert own.learner.evaluate(alone, own.data.test) == benches[0].learner.evaluate(state, own.data.test)


def test_they_take_turns_when_threads_call_them(tmp_path: Path) -> None:
    def run(bench: Bench) -> AdapterState:
        state = bench.adapted.initial
        for number in range(PHASES):
            state = phase(bench, state, number)
        return state

    in_turn = [run(bench) for bench in sharing(tmp_path)]
    with ThreadPoolExecutor(len(NAMES)) as pool:
        at_once = list(pool.map(run, sharing(tmp_path)))

    assert at_once == in_turn


def test_model_and_test_set_are_there_once(tmp_path: Path) -> None:
    benches = sharing(tmp_path)

    assert len({id(bench.adapted.module) for bench in benches}) == 1
    assert len({id(bench.data.test.content) for bench in benches if bench.data.test is not None}) == 1
    assert len({bench.data.tags for bench in benches}) == len(NAMES)


def test_a_node_that_is_refused_leaves_its_ledger_free(tmp_path: Path) -> None:
    experiment = vector_experiment(**SECTIONS, privacy={"level": "example", "noise_multiplier": 1.0})
    (site,) = sites(tmp_path, "a")
    fleet = load_fleet_records(experiment, [site])
    resident = load_resident(experiment, site, fleet.test)
    # a layer that mixes the examples of a batch
    resident.adapted.module.get_submodule("relu_1").register_forward_hook(lambda _, __, out: out - out.mean(0))

    for _ in range(2):
        with pytest.raises(PrivacyError, match="per-sample gradients are wrong"):
            learner_for(resident, site, terms("a"), fleet.nodes["a"])


@pytest.mark.parametrize("engine", ["hooks", "grouped"])
def test_private_learners_that_share_a_model_train_as_those_that_have_their_own(tmp_path: Path, engine: str) -> None:
    privacy = {"level": "example", "noise_multiplier": 1.0, "engine": engine}
    experiment = vector_experiment(**SECTIONS, privacy=privacy)
    nodes = sites(tmp_path, "a", "b")
    fleet = load_fleet_records(experiment, nodes)
    resident = load_resident(experiment, nodes[0], fleet.test)
    benches = [learner_for(resident, site, terms(site.node), fleet.nodes[site.node]) for site in nodes]
    states = [bench.adapted.initial for bench in benches]
    for number in range(PHASES):
        states = [phase(bench, state, number) for bench, state in zip(benches, states, strict=True)]
    for bench in benches:
        bench.close()

    for site, state in zip(nodes, states, strict=True):
        own = build_learner(experiment, site, RunTerms("r", ledger=f"own-{site.node}.sqlite", streams="seeded"))
        alone = own.adapted.initial
        for number in range(PHASES):
            alone = phase(own, alone, number)
        own.close()
        assert alone == state
