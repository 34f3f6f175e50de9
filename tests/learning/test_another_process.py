"""Every node starts alike: what is computed of a model does not depend on the process that computes it."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.forked import forked
from tests.learning.conftest import Prepare

from gossipfl.learning.adapters import Adapted
from gossipfl.studies.fleet import Job


@pytest.mark.slow
def test_another_process_comes_to_the_same_fingerprint(
    tmp_path: Path, adapted_of: Callable[..., Adapted], experiment_of: Prepare
) -> None:
    kinds = ("core", "ffa")
    for kind in kinds:
        (tmp_path / f"{kind}.json").write_text(experiment_of("gpt2", kind=kind, seed=5).model_dump_json())
    arguments = ["-m", "tests.learning.told_fingerprints", *(str(tmp_path / f"{kind}.json") for kind in kinds)]
    process = forked(Job("other", arguments, tmp_path / "log"), {**os.environ, "OMP_NUM_THREADS": "1"})
    assert process.wait(100) == 0, (tmp_path / "log").read_text()
    assert process.stdout is not None
    for kind, line in zip(kinds, process.stdout.read().splitlines(), strict=True):
        adapted = adapted_of("gpt2", kind=kind, seed=5)
        assert line == f"{sorted(adapted.components().items())} {adapted.basis_sketch}"
