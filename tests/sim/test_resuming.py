"""A run that was stopped goes on as if it had not been."""

import io
import os
import pickle
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.sim.averaging import averaging, lines, request, run

from gossipfl.errors import DataError, StateError
from gossipfl.runs.checkpoint_file import reading_frozen, writing_frozen
from gossipfl.runs.progress import Progress
from gossipfl.sim.freezing import freeze, thaw

CONTENT = averaging(
    gossip__protocol="wait_free",
    gossip__settle_rounds=60,
    simulation__links={"latency_s": 0.1, "jitter_s": 0.2, "loss": 0.2, "duplication": 0.1},
    simulation__availability={"kind": "churn", "up_s": 60.0, "down_s": 2.0},
)


def stopper(rounds: float) -> Any:
    def show(progress: Progress) -> None:
        if progress.rounds >= rounds:
            os.kill(os.getpid(), signal.SIGINT)

    return show


@pytest.mark.slow
def test_a_stopped_run_ends_as_an_uninterrupted_one(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole", CONTENT)
    (tmp_path / "parts").mkdir()
    for rounds in (10.0, 30.0):
        stopped = request(tmp_path / "parts", CONTENT, resume=True)(show=stopper(rounds))
        assert not stopped.done
    resumed = request(tmp_path / "parts", CONTENT, resume=True)()
    assert resumed.done
    assert resumed.final == whole.final
    assert resumed.virtual_s == whole.virtual_s
    for name in ("metrics.jsonl", "nodes.jsonl"):
        assert lines(tmp_path / "parts", name) == lines(tmp_path / "whole", name)
    assert not (tmp_path / "parts" / "run" / "checkpoint.bin").exists()


def test_a_run_that_is_done_gives_its_result_again(tmp_path: Path) -> None:
    first = request(tmp_path, CONTENT)()
    recorded = lines(tmp_path)
    again = request(tmp_path, CONTENT, resume=True)()
    assert again.as_json() == first.as_json()
    assert lines(tmp_path) == recorded


def test_a_folder_of_another_configuration_is_refused(tmp_path: Path) -> None:
    request(tmp_path, CONTENT)(show=stopper(5.0))
    with pytest.raises(StateError, match="another configuration"):
        request(tmp_path, {**CONTENT, "seed": 7}, resume=True)()


def test_a_folder_with_a_run_in_it_is_refused_without_resume(tmp_path: Path) -> None:
    request(tmp_path, CONTENT)(show=stopper(5.0))
    with pytest.raises(DataError, match="--resume goes on"):
        request(tmp_path, CONTENT)()


def test_a_damaged_checkpoint_is_one_error(tmp_path: Path) -> None:
    request(tmp_path, CONTENT)(show=stopper(5.0))
    path = tmp_path / "run" / "checkpoint.bin"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(StateError, match="damaged"):
        request(tmp_path, CONTENT, resume=True)()


class _Calls:
    def __reduce__(self) -> tuple[Any, ...]:
        return (os.system, ("true",))


def test_a_checkpoint_calls_nothing(tmp_path: Path) -> None:
    with writing_frozen(tmp_path / "file.bin") as sink:
        sink.write(pickle.dumps(_Calls()))
    with reading_frozen(tmp_path / "file.bin") as file, pytest.raises(StateError, match="no place in a checkpoint"):
        thaw(file, {})


def test_shared_objects_stay_the_same_objects() -> None:
    spec = object()
    file = io.BytesIO()
    freeze([spec, {"again": spec}], {"spec": spec}, file)
    file.seek(0)
    first, second = thaw(file, {"spec": spec})
    assert first is spec
    assert second["again"] is spec


def test_large_arrays_of_any_type_and_order_come_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    plain = rng.standard_normal((300, 400)).astype(np.float32)
    frozen = plain.copy()
    frozen.setflags(write=False)
    # a pickler hands these over as they are, not as bytes
    arrays: list[Any] = [
        plain,
        np.asfortranarray(plain),
        frozen,
        plain.astype(np.float64),
        plain[::2, 1:],
        np.arange(99_999),
    ]
    with writing_frozen(tmp_path / "run.frozen") as sink:
        freeze(arrays, {}, sink)
    with reading_frozen(tmp_path / "run.frozen") as file:
        found = thaw(file, {})
    for one, other in zip(found, arrays, strict=True):
        assert one.dtype == other.dtype
        assert np.array_equal(one, other)
