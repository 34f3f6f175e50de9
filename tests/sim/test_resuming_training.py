"""Training that was stopped goes on as if it had not been, whatever trains."""

from itertools import product
from pathlib import Path

import pytest
from tests.sim.averaging import lines
from tests.sim.training import FILES, PRIVACY, digits, resume, with_engine

GOSSIP = {"settle_rounds": 6, "deadline_s": 5.0, "linger_s": 20.0}
STRAGGLING = {"kind": "log_normal", "step_s": 0.1, "spread": 0.6}
CHURN = {"kind": "churn", "up_s": 4.0, "down_s": 0.5}
CHOICES = (("wait_free", "sync"), ("loop", "batched"), ("none", "example"), ("always", "churn"))


@pytest.fixture(autouse=True)
def _look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gossipfl.sim.running.LOOK_EVERY", 4)


# every three of protocol, engine, level and availability meet in a case that is not slow
CASES = [
    pytest.param(*case, marks=[] if sum(places) % 2 == 0 else [pytest.mark.slow], id="-".join(case))
    for places in product(range(2), repeat=4)
    if (case := tuple(names[place] for names, place in zip(CHOICES, places, strict=True)))
]


CASES.append(pytest.param("wait_free", "batched", "update", "churn"))
CASES.append(pytest.param("noloco", "loop", "none", "churn"))


@pytest.mark.parametrize(("protocol", "engine", "level", "availability"), CASES)
@pytest.mark.slow
def test_stopped_training_ends_as_if_uninterrupted(
    tmp_path: Path, protocol: str, engine: str, level: str, availability: str
) -> None:
    content = with_engine(
        digits(
            gossip={**GOSSIP, "protocol": protocol},
            privacy=PRIVACY[level],
            training__phases=8,
            training__local_steps=3,
            simulation__nodes=8,
            simulation__compute=STRAGGLING,
            simulation__availability=CHURN if availability == "churn" else {"kind": availability},
        ),
        engine,
    )
    whole = resume(tmp_path / "whole", content)
    for rounds in (2.0, 5.0, 9.0):
        assert not resume(tmp_path / "parts", content, stop_at=rounds).done
    resumed = resume(tmp_path / "parts", content)
    assert resumed.done
    for name in FILES:
        assert (tmp_path / "parts" / "run" / name).read_bytes() == (tmp_path / "whole" / "run" / name).read_bytes()
    assert (resumed.final, resumed.virtual_s) == (whole.final, whole.virtual_s)
    assert (resumed.node_steps, resumed.epsilon) == (whole.node_steps, whole.epsilon)
    if availability == "churn":
        assert any(not all(line["up"]) for line in lines(tmp_path / "whole", "nodes.jsonl")[:-1])


def test_the_bound_begins_when_all_have_trained(tmp_path: Path) -> None:
    content = digits(training__phases=3, gossip__settle_rounds=8, simulation__evaluate_every=1)
    resume(tmp_path, content)
    recorded = lines(tmp_path)
    bounded = [line for line in recorded if line["bound"] is not None]
    assert [line["bound"] for line in recorded[:3]] == [None, None, None]
    assert len(bounded) >= 8
    assert bounded[0]["bound"] == bounded[0]["consensus_distance"]
    assert all(line["consensus_distance"] <= line["bound"] * 1.0001 + 1e-7 for line in bounded)
    assert bounded[-1]["bound"] < 0.1 * bounded[0]["bound"]
