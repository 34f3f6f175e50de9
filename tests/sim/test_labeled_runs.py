"""Images, and words with a tag each, at two simulated nodes."""

from pathlib import Path

import numpy as np
import pytest
from tests.sim.labeled import KINDS, labeled
from tests.sim.training import NOISE, load, play, with_engine

from gossipfl.report.runs import read_runs
from gossipfl.sim.simulate import simulate


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_two_nodes_learn_agree_and_are_measured(kind: str, tmp_path: Path, tiny_folders: dict[str, Path]) -> None:
    result = simulate(load(tmp_path, labeled(tmp_path, kind, tiny_folders["bert"])), tmp_path / "run")
    (run,) = read_runs([result.output])
    first, last = run.evaluations[0].summary, run.evaluations[-1].summary
    assert last.test_loss < 0.8 * first.test_loss
    assert last.test_accuracy > first.test_accuracy
    assert last.figure("test_macro_f1") == result.final["mean_macro_f1"] > first.figure("test_macro_f1")
    assert len(run.evaluations[-1].columns.column("own_macro_f1")) == 2
    # the last exchange is the mean of both
    assert last.consensus_distance == pytest.approx(0, abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_batched_engine_trains_as_the_loop_does_under_privacy(
    kind: str, tmp_path: Path, tiny_folders: dict[str, Path]
) -> None:
    content = labeled(tmp_path, kind, tiny_folders["bert"], privacy=NOISE)
    looped, batched = (play(tmp_path, with_engine(content, engine)).vectors for engine in ("loop", "batched"))
    np.testing.assert_allclose(batched, looped, rtol=0, atol=1e-4)
