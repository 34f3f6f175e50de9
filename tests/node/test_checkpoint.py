"""Checkpoints: exact, atomic, and the one before is taken when the newest is damaged."""

import resource
import signal
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PosixPath
from typing import Any, Self

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gossipfl.core.messages import Receipt
from gossipfl.core.outer import Outer
from gossipfl.core.snapshot import Snapshot
from gossipfl.errors import StateError
from gossipfl.node.checkpoint import Saved, load_latest, moments_of, save_checkpoint
from gossipfl.state import AdapterSpec, AdapterState, Segment

SPEC = AdapterSpec((Segment("layer.R", (2, 3)), Segment("head", (4,)), Segment("personal", (2,), shared=False)))


def saved(step: int = 0, *, epsilon: float = 1.25) -> Saved:
    rng = np.random.default_rng(step)
    state = AdapterState(SPEC, rng.normal(size=SPEC.size).astype(np.float32))
    unmixed = AdapterState(SPEC, rng.normal(size=SPEC.size).astype(np.float32))
    receipt = Receipt(steps=step, charges=step, head="ab" * 32, epsilon=epsilon, delta=1e-3)
    snapshot = Snapshot(state=state, unmixed=unmixed, phase=step, step=step, round=2 * step, receipt=receipt)
    moments: dict[str, NDArray[Any]] = {
        "exp_avg": rng.normal(size=5).astype(np.float32),
        "step": np.array(step, np.int64),
    }
    return Saved(snapshot, moments)


def equal(one: Saved, other: Saved) -> bool:
    return (
        one.snapshot == other.snapshot
        and one.optimizer.keys() == other.optimizer.keys()
        and all(np.array_equal(one.optimizer[key], other.optimizer[key]) for key in one.optimizer)
    )


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(step=st.integers(0, 10_000), epsilon=st.floats(0, 1e9) | st.just(float("inf")))
def test_what_is_loaded_is_what_was_saved(tmp_path: Path, step: int, epsilon: float) -> None:
    save_checkpoint(tmp_path, saved(step, epsilon=epsilon))
    loaded = load_latest(tmp_path)
    assert loaded is not None
    assert equal(loaded, saved(step, epsilon=epsilon))


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_an_outer_step_is_saved_with_its_momentum_if_it_has_one(tmp_path: Path, steps: int) -> None:
    outer = [None, Outer(saved(1).state), Outer(saved(1).state, saved(2).state)][steps]
    wanted = replace(saved(3), snapshot=replace(saved(3).snapshot, outer=outer))
    save_checkpoint(tmp_path, wanted)
    loaded = load_latest(tmp_path)
    assert loaded is not None
    assert equal(loaded, wanted)


def test_mapped_moments_are_those_saved_also_when_the_file_is_gone_and_can_be_saved_again(tmp_path: Path) -> None:
    first = saved(3)
    path = save_checkpoint(tmp_path, first)
    again = Saved(first.snapshot, moments_of(path))
    assert equal(again, first)
    for _ in range(3):
        save_checkpoint(tmp_path, again)
    assert not path.exists()
    loaded = load_latest(tmp_path)
    assert loaded is not None
    assert equal(loaded, first)


def test_a_checkpoint_of_the_first_schema_is_read_with_the_drift_it_held() -> None:
    # written by the code of that time: `saved(3)`, whose second vector was the drift
    found = load_latest(Path(__file__).with_name("schema_1"))
    assert found is not None
    state, drift = saved(3).state, saved(3).snapshot.unmixed
    assert drift is not None
    assert equal(found, replace(saved(3), snapshot=replace(saved(3).snapshot, unmixed=state - drift)))
    assert np.abs((found.snapshot.drift - drift).vector).max() <= 1e-6


def test_a_new_folder_has_no_checkpoint(tmp_path: Path) -> None:
    assert load_latest(tmp_path) is None
    assert load_latest(tmp_path / "missing") is None


class Busy(PosixPath):
    """A folder in which a node saves two checkpoints more while somebody looks at the list of those that were there."""

    listings = 0

    def iterdir(self) -> Generator[Self, None, None]:
        """What was there."""
        found = list(super().iterdir())
        Busy.listings += 1
        if Busy.listings == 1:
            for step in (2, 3):
                save_checkpoint(Path(self), saved(step))
        yield from found


def test_whoever_reads_while_the_node_goes_on_gets_the_newest(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, saved(1))
    loaded = load_latest(Busy(tmp_path))
    assert loaded is not None
    assert equal(loaded, saved(3))
    assert Busy.listings == 2


def test_the_newest_two_are_kept(tmp_path: Path) -> None:
    for step in range(5):
        save_checkpoint(tmp_path, saved(step))
    assert [path.name for path in sorted(tmp_path.iterdir())] == [
        "checkpoint-00000004.safetensors",
        "checkpoint-00000005.safetensors",
    ]


@pytest.mark.parametrize("where", [0.0, 0.02, 0.5, 0.999])
@pytest.mark.parametrize("how", ["cut", "flip"])
def test_a_damaged_newest_checkpoint_gives_way_to_the_one_before(tmp_path: Path, where: float, how: str) -> None:
    save_checkpoint(tmp_path, saved(1))
    newest = save_checkpoint(tmp_path, saved(2))
    payload = bytearray(newest.read_bytes())
    place = int(where * (len(payload) - 1))
    if how == "cut":
        del payload[place:]
    else:
        payload[place] ^= 0x40
    newest.write_bytes(bytes(payload))
    loaded = load_latest(tmp_path)
    assert loaded is not None
    assert equal(loaded, saved(1))


def test_a_flip_of_any_bit_of_the_header_is_noticed(tmp_path: Path) -> None:
    newest = save_checkpoint(tmp_path, saved(1))
    payload = newest.read_bytes()
    size = 8 + int.from_bytes(payload[:8], "little")
    for place in range(size):
        damaged = bytearray(payload)
        damaged[place] ^= 1 << place % 8
        newest.write_bytes(bytes(damaged))
        with pytest.raises(StateError):
            load_latest(tmp_path)


def test_a_damaged_checkpoint_is_set_aside_and_does_not_count_as_one_to_keep(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, saved(1))
    save_checkpoint(tmp_path, saved(2)).write_bytes(b"")
    load_latest(tmp_path)
    save_checkpoint(tmp_path, saved(3)).write_bytes(b"")
    loaded = load_latest(tmp_path)
    assert loaded is not None
    assert equal(loaded, saved(1))
    assert len(list(tmp_path.glob("*.corrupt"))) == 1  # the newest junk, by the same number


def test_no_intact_checkpoint_is_the_users_to_decide(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, saved(1)).write_bytes(b"")
    with pytest.raises(StateError, match="none is intact"):
        load_latest(tmp_path)


@contextmanager
def nearly_full() -> Iterator[None]:
    """No file may grow beyond 64 bytes: writes fail in the middle, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_is_one_clear_line_and_the_checkpoint_before_stays(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, saved(1))
    # only around the call: pytest itself writes to a file, too
    with nearly_full(), pytest.raises(StateError, match=r"cannot be written: File too large; .* is intact"):
        save_checkpoint(tmp_path, saved(2))
    loaded = load_latest(tmp_path)
    assert loaded is not None
    assert equal(loaded, saved(1))
    assert not list(tmp_path.glob("*.part"))
