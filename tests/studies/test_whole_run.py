"""What a stopped simulation has recorded is no result of a study."""

import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.sim.averaging import averaging

from gossipfl.config.gossip import GossipConfig
from gossipfl.config.loading import load_simulation
from gossipfl.core.mixing.weighted import Weighted
from gossipfl.studies.whole_run import simulate_to_the_end


class StoppedOnce(Weighted[Any]):
    """Ctrl-C in the middle of the first run."""

    left = 100

    def mix(self, own: Any, own_weight: float, contributions: Mapping[str, tuple[float, Any]]) -> Any:
        StoppedOnce.left -= 1
        if not StoppedOnce.left:
            signal.raise_signal(signal.SIGINT)
        return super().mix(own, own_weight, contributions)


def stopped_once(_: GossipConfig) -> StoppedOnce:
    return StoppedOnce()


def test_a_run_that_was_stopped_is_none_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "experiment.yaml"
    path.write_text(yaml.safe_dump(averaging(gossip__mixing=f"{__name__}:stopped_once")))
    StoppedOnce.left = 100
    with pytest.raises(KeyboardInterrupt):
        simulate_to_the_end(load_simulation(path), tmp_path / "run")
    assert (tmp_path / "run" / "checkpoint.bin").exists(), "it was stopped, not broken off"
    result = simulate_to_the_end(load_simulation(path), tmp_path / "run", resume=True)
    assert (result.done, result.rounds) == (True, 30)
