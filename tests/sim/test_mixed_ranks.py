"""Runs of nodes with ranks of their own."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.baseline.flower_runs import COMPLETE, centralized, lines_of
from tests.sim.training import Content, Played, play, resume, sentences, with_engine

from gossipfl.config.experiment import Experiment
from gossipfl.core.factors import update_distance
from gossipfl.core.mixing.blocks import block_distance
from gossipfl.errors import ConfigError, ModelError, TopologyError
from gossipfl.learning.adapters import make_basis
from gossipfl.learning.basis import save_basis
from gossipfl.learning.models import load_base
from gossipfl.runs.adapter_file import read_adapter
from gossipfl.runs.fleet import Fleet

Models = dict[str, Path]
RANKS = {"n0": 2, "n1": 4}
SVD = {"kind": "lora", "rank": 3, "alpha": 6, "targets": ["k_proj"], "merge": "svd", "mixed_ranks": True}


def lora(folder: Path, models: Models, **changes: Any) -> Content:
    settings = {"adapter": SVD, "simulation__ranks": RANKS, "training__phases": 2, "training__local_steps": 3}
    return sentences(folder, models["llama"], "causal-lm", **{**settings, **COMPLETE, **changes})


def core(folder: Path, models: Models, **changes: Any) -> Content:
    """With a basis of rank 4, as `gossipfl init` writes it."""
    adapter = {"kind": "core", "rank": 4, "alpha": 6, "targets": ["k_proj", "q_proj"]}
    content = sentences(folder, models["llama"], "causal-lm", adapter=adapter)
    experiment = Experiment.model_validate(content)
    base = load_base(experiment.model, experiment.task, folder=folder, seed=0)
    save_basis(make_basis(base, experiment), folder / "basis.safetensors", base_sha256=base.sha256)
    mixed = {**adapter, "rank": 3, "basis": "basis.safetensors", "mixed_ranks": True}
    settings = {"adapter": mixed, "simulation__ranks": RANKS, "training__phases": 2, "training__local_steps": 3}
    return sentences(folder, models["llama"], "causal-lm", **{**settings, **COMPLETE, **changes})


def states_of(played: Played) -> dict[str, Any]:
    return {name: body.snapshot.state for name, body in played.world.bodies.items()}


def test_every_node_trains_and_sends_at_its_rank_and_takes_of_the_mean_what_it_can(
    tmp_path: Path, tiny_folders: Models
) -> None:
    played = play(tmp_path, with_engine(lora(tmp_path, tiny_folders), "batched"))
    states = states_of(played)
    ranks = {name: state.spec.segments[0].shape[0] for name, state in states.items()}
    assert ranks == {"n0": 2, "n1": 4, "n2": 3, "n3": 3}
    fleet = played.training.crew
    assert isinstance(fleet, Fleet)
    adapter = fleet.benches["n1"].adapted.experiment.adapter
    # nodes of one rank have the same, whatever their own factors
    assert update_distance(states["n2"], states["n3"], adapter.scale) < 1e-5
    assert update_distance(states["n1"], fleet.start("n1"), adapter.scale) > 1e-2
    # a phase and a message to each of three others, fp32
    for name, body in played.world.bodies.items():
        assert body.bytes_sent == 2 * 3 * 4 * states[name].spec.size


def test_cores_agree_on_what_they_have_in_common(tmp_path: Path, tiny_folders: Models) -> None:
    quiet = {"gossip": {**COMPLETE["gossip"], "settle_rounds": 60}}
    played = play(tmp_path, with_engine(core(tmp_path, tiny_folders, **quiet), "loop"))
    states = states_of(played)
    fleet = played.training.crew
    assert isinstance(fleet, Fleet)
    scale = fleet.benches["n1"].adapted.experiment.adapter.scale
    for state in states.values():
        assert block_distance(state, states["n1"], scale) < 1e-5
        assert np.abs(state.vector).max() > 1e-3
    # the last row and column are n1's alone
    (name, *_) = states["n1"].spec.slices
    assert states["n1"].segment(name).shape == (4, 4)
    assert np.abs(states["n1"].segment(name)[3]).max() > 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["lora", "core"])
def test_what_is_recorded_is_of_updates_and_survives_a_stop(
    tmp_path: Path, tiny_folders: Models, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr("gossipfl.sim.running.LOOK_EVERY", 4)
    make = lora if kind == "lora" else core
    wanted = with_engine(make(tmp_path / "parts", tiny_folders), "loop")
    make(tmp_path / "whole", tiny_folders)
    whole = resume(tmp_path / "whole", wanted)
    assert not resume(tmp_path / "parts", wanted, stop_at=1.0).done
    assert resume(tmp_path / "parts", wanted).final == whole.final
    assert all(np.isfinite(line["consensus_distance"]) for line in lines_of(whole))


@pytest.mark.parametrize("kind", ["lora", "core"])
def test_neither_a_bound_nor_an_exact_mean_is_claimed_where_ranks_differ(
    tmp_path: Path, tiny_folders: Models, kind: str
) -> None:
    # of a complete graph λ is 0, and what only some have takes many rounds all the same
    make = lora if kind == "lora" else core
    quiet = {"gossip": {**COMPLETE["gossip"], "settle_rounds": 3}, "simulation__evaluate_every": 1}
    result = resume(tmp_path, with_engine(make(tmp_path, tiny_folders, **quiet), "loop"))
    assert result.final["consensus_distance"] > 1e-6
    assert all(line["bound"] is None and line["exact"] is None for line in lines_of(result))


def test_the_kept_core_is_the_mean_of_those_that_have_each_entry(tmp_path: Path, tiny_folders: Models) -> None:
    # n1 and n2 share the last row; a mean that leans on one of them would be off there
    wanted = with_engine(core(tmp_path, tiny_folders, simulation__ranks={"n1": 4, "n2": 4}), "loop")
    states = states_of(played := play(tmp_path, wanted))
    kept = read_adapter(resume(tmp_path, wanted).output, states["n1"].spec)
    assert isinstance(played.training.crew, Fleet)
    for name in (name for name in kept.spec.slices if name.endswith(".core_R")):
        one, other = states["n1"].segment(name), states["n2"].segment(name)
        assert np.abs(one[3] - other[3]).max() > 1e-4
        np.testing.assert_allclose(kept.segment(name)[3], (one[3] + other[3]) / 2, atol=1e-7)


def test_what_makes_no_sense_is_refused(tmp_path: Path, tiny_folders: Models) -> None:
    plain = {**SVD, "mixed_ranks": False}
    for adapter, ranks, said in (
        (plain, RANKS, r"simulation\.ranks: 'n0' has rank 2; set adapter\.mixed_ranks"),
        ({**SVD, "merge": "factors"}, RANKS, "lora of several ranks cannot be averaged"),
        (SVD, {"n9": 3}, r"simulation\.ranks: 'n9' is no node"),
    ):
        with pytest.raises(ConfigError, match=said):
            play(tmp_path, lora(tmp_path, tiny_folders, adapter=adapter, simulation__ranks=ranks))
    with pytest.raises(ModelError, match=r"mixed_ranks: a node's rank 40 does not fit layer .* at most 16"):
        play(tmp_path, lora(tmp_path, tiny_folders, simulation__ranks={"n1": 40}))
    with pytest.raises(ConfigError, match=r"adapter\.mixed_ranks wants loop"):
        play(tmp_path, with_engine(lora(tmp_path, tiny_folders), "ray"))
    with pytest.raises(ConfigError, match=r"adapter\.mixed_ranks: is for gossip"):
        centralized(tmp_path, lora(tmp_path, tiny_folders))


def test_cores_of_a_rank_that_is_cut_apart_are_refused(tmp_path: Path, tiny_folders: Models) -> None:
    ring = {"topology": {"kind": "ring"}, "simulation__ranks": {"n0": 4, "n2": 4}}
    with pytest.raises(TopologyError, match=r"rank 4 or more \(n0, n2\) are not connected"):
        resume(tmp_path, core(tmp_path, tiny_folders, **ring))
