"""A node that is killed in the middle of a training phase: the phase is lost, its charge is not."""

from pathlib import Path

import pytest
from tests.sim.averaging import lines
from tests.sim.training import NOISE, Content, digits, play, resume, with_engine

STEPS = 5
"""Of a phase, a second each."""


def killed(folder: Path, until_s: float | None) -> Content:
    """Node n1 goes down in its second phase."""
    folder.mkdir(parents=True, exist_ok=True)
    until = "null" if until_s is None else until_s
    (folder / "trace.jsonl").write_text(f'{{"node": "n1", "from_s": 6.5, "until_s": {until}}}\n')
    return digits(
        privacy={**NOISE, "target_delta": 1e-4},
        training__phases=3,
        training__local_steps=STEPS,
        gossip={"protocol": "wait_free", "settle_rounds": 2, "deadline_s": 5.0, "linger_s": 5.0},
        simulation__availability={"kind": "trace", "trace": "trace.jsonl"},
    )


@pytest.mark.parametrize("engine", ["loop", "batched"])
def test_what_it_has_spent_is_recorded_also_when_it_does_not_come_back(tmp_path: Path, engine: str) -> None:
    content = with_engine(killed(tmp_path, None), engine)
    played = play(tmp_path, content)
    body, (tally, bound) = played.world.bodies["n1"], played.training.crew.accounts()["n1"]
    assert (body.snapshot.step, sum(tally.values())) == (STEPS, 2 * STEPS)
    assert body.epsilon == bound > body.snapshot.receipt.epsilon
    resume(tmp_path, content)
    last = lines(tmp_path, "nodes.jsonl")[-1]
    assert (last["up"][1], last["step"][1], last["epsilon"][1]) == (False, STEPS, bound)


@pytest.mark.parametrize("engine", ["loop", "batched"])
def test_a_phase_that_is_done_again_is_paid_for_twice(tmp_path: Path, engine: str) -> None:
    played = play(tmp_path, with_engine(killed(tmp_path, 8.0), engine))
    steps = {name: sum(tally.values()) for name, (tally, _) in played.training.crew.accounts().items()}
    assert steps == {"n0": 3 * STEPS, "n1": 4 * STEPS, "n2": 3 * STEPS, "n3": 3 * STEPS}
    assert played.steps == dict.fromkeys(steps, 3 * STEPS)
