"""Real runs, simulated for tests of pictures."""

from pathlib import Path

import pytest
from tests.sim.averaging import averaging, run

from gossipfl.config.loading import load_simulation
from gossipfl.sim.simulate import simulate

QUICKSTART = Path(__file__).parents[2] / "experiments" / "quickstart.yaml"


def averaged(folder: Path, **changes: object) -> Path:
    """Folder of a run of gossip alone, of six nodes unless changed."""
    run(folder, averaging(**{"simulation__nodes": 6, "gossip__settle_rounds": 4, **changes}))
    return folder / "run"


def with_an_outage(folder: Path) -> Path:
    """Folder of a run in which n3 was down for a second."""
    folder.mkdir(parents=True)
    (folder / "trace.jsonl").write_text('{"node": "n3", "from_s": 0.55, "until_s": 1.55}\n')
    availability = {"kind": "trace", "trace": "trace.jsonl"}
    changes = {"simulation__nodes": 16, "gossip__settle_rounds": 100, "simulation__availability": availability}
    return averaged(folder, gossip__protocol="wait_free", **changes)


def trained(folder: Path, *overrides: str) -> Path:
    """Folder of a short quickstart."""
    pytest.importorskip("sklearn")
    sets = ["training.phases=2", "gossip.settle_rounds=2", "simulation.nodes=4", *overrides]
    simulate(load_simulation(QUICKSTART, sets), folder)
    return folder
