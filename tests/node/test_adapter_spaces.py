"""Real nodes whose adapters are trained in turn, merged as products, or in part their own."""

import json

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.forked import forked
from tests.node.conftest import Begin
from tests.node.study import Study

from gossipfl.cli.app import main
from gossipfl.config.loading import load_peers
from gossipfl.learning.adapters import make_basis
from gossipfl.learning.basis import save_basis
from gossipfl.learning.bench import load_adapted
from gossipfl.learning.models import load_base
from gossipfl.node.assembly import site_of
from gossipfl.state import AdapterState
from gossipfl.studies.fleet import Fleet

SYNC = {"protocol": "sync", "settle_rounds": 0, "linger_s": 60}
OPEN = {"level": "none", "target_epsilon": None}
HEAD = ("classifier.weight", "classifier.bias")


def finals(study: Study) -> list[AdapterState]:
    with Fleet([study.job(name) for name in study.names], launch=forked) as fleet:
        results = fleet.results(timeout_s=60)
    assert {result["step"] for result in results.values()} == {8}
    assert not any(result["rejected"] for result in results.values())
    return [study.saved(name).state for name in study.names]


def update(state: AdapterState, layer: str) -> NDArray[np.float64]:
    product: NDArray[np.float64] = state.segment(f"{layer}.lora_B").astype(np.float64) @ state.segment(
        f"{layer}.lora_A"
    )
    return product


@pytest.mark.slow
def test_products_agree_and_heads_stay_at_home(begin: Begin, capsys: pytest.CaptureFixture[str]) -> None:
    adapter = {"kind": "lora", "rank": 3, "merge": "svd", "private": ["classifier.*"]}
    study = begin(adapter=adapter, gossip=SYNC, privacy=OPEN)
    states = finals(study)
    layers = [segment.name.removesuffix(".lora_A") for segment in states[0].spec.segments if "lora_A" in segment.name]
    for layer in layers:
        products = [update(state, layer) for state in states]
        assert np.abs(products[0]).max() > 1e-3
        np.testing.assert_allclose(products[1:], [products[0]] * 2, atol=1e-6)
    heads = [state.segment(HEAD[0]) for state in states]
    assert min(np.abs(heads[0] - heads[1]).max(), np.abs(heads[1] - heads[2]).max()) > 1e-3
    assert main(["inspect", "--outgoing", "--peers", str(study.peers), "--name", "ada", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert shown["staying"] == list(HEAD)
    assert not set(HEAD) & {row["segment"] for row in shown["segments"]}
    values = sum(state.size for state in states[0].spec.segments if state.shared)
    assert {(message["values"], message["bytes"]) for message in shown["messages"]} == {(values, 4 * values)}


@pytest.mark.slow
def test_all_train_the_same_factor_in_the_same_phase(begin: Begin) -> None:
    study = begin(adapter={"kind": "alternating", "rank": 3, "alternate_every": 2}, gossip=SYNC)
    # B in phases 0 and 1, A in 2 and 3
    states = finals(study)
    for name in (segment.name for segment in states[0].spec.segments):
        np.testing.assert_allclose(states[1].segment(name), states[0].segment(name), atol=1e-6)
    loaded = load_peers(study.peers)
    start = load_adapted(loaded.experiment.experiment, site_of(loaded, loaded.peers.nodes[0])).initial
    for name in (segment.name for segment in start.spec.segments):
        assert np.abs(states[0].segment(name) - start.segment(name)).max() > 1e-4


@pytest.mark.slow
def test_while_it_rests_a_factor_is_where_it_began(begin: Begin) -> None:
    study = begin(adapter={"kind": "alternating", "rank": 3, "alternate_every": 9}, gossip=SYNC)
    states = finals(study)
    loaded = load_peers(study.peers)
    start = load_adapted(loaded.experiment.experiment, site_of(loaded, loaded.peers.nodes[0])).initial
    for name in (segment.name for segment in start.spec.segments if segment.name.endswith("lora_A")):
        for state in states:
            np.testing.assert_allclose(state.segment(name), start.segment(name), atol=1e-7)


@pytest.mark.slow
def test_real_nodes_of_several_ranks_agree_on_what_each_can_hold(begin: Begin) -> None:
    adapter = {"kind": "lora", "rank": 3, "alpha": 6, "merge": "svd", "mixed_ranks": True}
    study = begin(adapter=adapter, gossip=SYNC, privacy=OPEN)
    study.edit("peers.yaml", lambda content: content["nodes"][0].update(rank=2))
    study.edit("peers.yaml", lambda content: content["nodes"][2].update(rank=2))
    ada, bob, cid = finals(study)
    layers = [name.removesuffix(".lora_A") for name in ada.spec.slices if name.endswith(".lora_A")]
    for layer in layers:
        assert [len(state.segment(f"{layer}.lora_A")) for state in (ada, bob, cid)] == [2, 3, 2]
        # those of one rank have the same product, though not the same factors
        np.testing.assert_allclose(3 * update(ada, layer), 3 * update(cid, layer), atol=1e-5)
        assert np.abs(update(bob, layer)).max() > 1e-3
    for name in HEAD:
        np.testing.assert_allclose(ada.segment(name), bob.segment(name), atol=1e-6)


@pytest.mark.slow
def test_real_nodes_share_the_leading_block_of_their_cores(begin: Begin) -> None:
    study = begin(adapter={"kind": "core", "rank": 4, "alpha": 6}, gossip={**SYNC, "settle_rounds": 40}, privacy=OPEN)
    loaded = load_peers(study.peers)
    experiment = loaded.experiment.experiment
    base = load_base(experiment.model, experiment.task, folder=study.folder, seed=experiment.seed)
    save_basis(make_basis(base, experiment), study.folder / "basis.safetensors", base_sha256=base.sha256)
    mixed = {"rank": 3, "basis": "basis.safetensors", "mixed_ranks": True}
    study.edit("experiment.yaml", lambda content: content["adapter"].update(mixed))
    study.edit("peers.yaml", lambda content: content["nodes"][0].update(rank=2))
    study.edit("peers.yaml", lambda content: content["nodes"][1].update(rank=4))
    ada, bob, cid = finals(study)
    for name in (name for name in ada.spec.slices if name.endswith(".core_R")):
        small, large, middle = (6 / rank * state.segment(name) for rank, state in ((2, ada), (4, bob), (3, cid)))
        np.testing.assert_allclose(small, large[:2, :2], atol=1e-5)
        np.testing.assert_allclose(middle, large[:3, :3], atol=1e-5)
        assert np.abs(large[3]).max() > 1e-5
