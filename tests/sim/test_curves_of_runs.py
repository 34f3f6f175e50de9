"""`gossipfl simulate --tensorboard`: the lines of metrics.jsonl, by exchange round."""

from pathlib import Path

import pytest
from tests.runs.event_files import curves_in
from tests.sim.averaging import averaging, lines, request
from tests.sim.test_resuming import stopper


def test_curves_have_what_metrics_have_over_interruptions_too(tmp_path: Path) -> None:
    content = averaging(simulation__evaluate_every=3)
    folder = tmp_path / "curves"
    for rounds in (7.0, 16.0):
        assert not request(tmp_path, content, resume=True)(show=stopper(rounds), tensorboard=folder).done
    assert request(tmp_path, content, resume=True)(tensorboard=folder).done
    found = curves_in(folder)
    rows = lines(tmp_path, "metrics.jsonl")
    by_round = {round(row["round"]): row for row in rows}
    assert len(by_round) > 8
    assert set(found) == {"distance/consensus", "distance/bound"}
    assert [place for place, _ in found["distance/consensus"]] == sorted(by_round)
    for place, value in found["distance/consensus"]:
        assert value == pytest.approx(by_round[place]["consensus_distance"], rel=1e-6)
