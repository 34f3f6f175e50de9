"""Curves that TensorBoard reads, over several processes of one run, however those ended."""

import json
import math
import resource
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.runs.event_files import Curve, curves_in, times_in

from gossipfl.errors import ConfigError
from gossipfl.runs.curves import NODE, Curves, last_line

LOSS = "held_out/loss"


class Life:
    """One process's part of a run, which writes its lines where a node does."""

    def __init__(self, folder: Path) -> None:
        self._metrics = folder / "metrics.jsonl"
        before = last_line(self._metrics, NODE)
        self.curves = Curves(folder / "curves", NODE, lambda: before)

    def write(self, phase: int, loss: float | None, **more: Any) -> None:
        row = {"phase": phase, "loss": loss, **more}
        with self._metrics.open("a") as file:
            file.write(json.dumps(row) + "\n")
        self.curves.take(row)

    def kill(self) -> None:
        """As kill -9 does: the line that was kept back is lost."""
        self.curves._ended = True


def drawn(folder: Path) -> Curve:
    return curves_in(folder / "curves").get(LOSS, [])


def test_of_several_lines_of_a_phase_the_last_counts(tmp_path: Path) -> None:
    life = Life(tmp_path)
    for phase, loss in ((1, 9.0), (1, 5.0), (2, 4.0), (3, 8.0), (3, 2.0)):
        life.write(phase, loss)
    life.curves.close()
    assert drawn(tmp_path) == [(1, 5.0), (2, 4.0), (3, 2.0)]


def test_what_is_not_known_is_not_drawn(tmp_path: Path) -> None:
    life = Life(tmp_path)
    life.write(1, None, epsilon=0.5, test_loss=math.nan, distance=math.inf, name="ada", weights={"bob": 0.5})
    life.curves.close()
    assert curves_in(tmp_path / "curves") == {"privacy/epsilon": [(1, 0.5)]}


def test_a_run_that_was_killed_goes_on_in_the_same_curves(tmp_path: Path) -> None:
    first = Life(tmp_path)
    for phase in (1, 2, 3):
        first.write(phase, float(phase))
    first.kill()
    assert drawn(tmp_path) == [(1, 1.0), (2, 2.0)]
    killed_at = (tmp_path / "metrics.jsonl").stat().st_mtime
    second = Life(tmp_path)
    # the phase that the first one had kept back is not done again
    second.write(4, 40.0)
    second.write(5, 50.0)
    second.curves.close()
    assert drawn(tmp_path) == [(1, 1.0), (2, 2.0), (3, 3.0), (4, 40.0), (5, 50.0)]
    assert times_in(tmp_path / "curves", LOSS)[2] == pytest.approx(killed_at, abs=0.001)


def test_phases_that_are_done_again_replace_what_was_drawn(tmp_path: Path) -> None:
    first = Life(tmp_path)
    for phase in (1, 2, 3):
        first.write(phase, float(phase))
    first.curves.close()
    second = Life(tmp_path)
    for phase in (2, 3, 4):
        second.write(phase, phase * 10.0)
    second.curves.close()
    assert drawn(tmp_path) == [(1, 1.0), (2, 20.0), (3, 30.0), (4, 40.0)]


lives = st.lists(
    st.tuples(st.integers(0, 3), st.lists(st.integers(0, 2), min_size=1, max_size=5), st.booleans()), max_size=4
)


@settings(max_examples=40, deadline=None)
@given(lives)
def test_however_its_processes_end_a_curve_has_every_phase_once(
    tmp_path_factory: pytest.TempPathFactory, lives: Sequence[tuple[int, list[int], bool]]
) -> None:
    folder, expected, number, phase = tmp_path_factory.mktemp("run"), dict[int, float](), 0, 0
    for back, steps, killed in lives:
        life, phase = Life(folder), max(0, phase - back)
        expected = {place: loss for place, loss in expected.items() if place < phase + steps[0]}
        for step in steps:
            phase += step
            number += 1
            life.write(phase, float(number))
            expected[phase] = float(number)
        life.kill() if killed else life.curves.close()
    closing = Life(folder)
    if expected:
        # the run is shown again
        closing.write(phase, expected[phase])
    closing.curves.close()
    assert drawn(folder) == sorted(expected.items())


def test_a_line_that_was_torn_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "m").write_text('{"phase": 1, "loss": 3.0}\n{"step": 2}\n[1]\n{"phase": 2, "lo')
    found = last_line(tmp_path / "m", NODE)
    assert found is not None
    assert found[0] == {"phase": 1, "loss": 3.0}
    assert last_line(tmp_path / "none", NODE) is None


def test_the_folder_is_for_its_user_only_and_one_that_cannot_be_is_said_at_once(tmp_path: Path) -> None:
    Life(tmp_path)
    assert (tmp_path / "curves").stat().st_mode & 0o077 == 0
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"--tensorboard .*file/ada: Not a directory"):
        Curves(tmp_path / "file" / "ada", NODE, lambda: None)


def test_a_full_disk_ends_the_curves_and_not_the_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    life = Life(tmp_path)
    life.write(1, 1.0)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (_only_file(tmp_path).stat().st_size, limit[1]))
        for phase in range(2, 6):
            life.curves.take({"phase": phase, "loss": 1.0})
        life.curves.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, before)
    said = [record.getMessage() for record in caplog.records if "no more curves" in record.getMessage()]
    assert len(said) == 1
    assert "File too large" in said[0]


def _only_file(folder: Path) -> Path:
    (found,) = (folder / "curves").iterdir()
    return found
