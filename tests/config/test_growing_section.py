"""What data that comes while nodes train does not go with."""

import json
from typing import Any

import pytest

from gossipfl.config.experiment import Experiment
from gossipfl.config.loading import parse_experiment
from gossipfl.config.machine import MachineConfig
from gossipfl.config.machines import on_machine
from gossipfl.errors import ConfigError

PRIVATE = {"level": "example", "target_epsilon": 8.0}
CORRELATED = {"level": "correlated", "target_epsilon": 8.0, "target_delta": 1e-5, "pair_noise_multiplier": 1.0}
TIMED = {"local_steps": 4, "local_seconds": 2.0}


def watching(**changes: Any) -> Experiment:
    """Parsed from text, as a user's file is."""
    content = {
        "model": {"source": "m"},
        "task": {"kind": "causal-lm"},
        "data": {"watch": True},
        "privacy": {"level": "none"},
        "gossip": {"protocol": "sync"},
    }
    return parse_experiment(json.dumps({**content, **changes}), source="experiment.yaml")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"personal": {"phases": 2}}, "personal.phases"),
        ({"personal": {"phases": 2, "stays": True}, "privacy": PRIVATE}, "personal.phases"),
        ({"privacy": CORRELATED}, "not correlated"),
        ({"privacy": PRIVATE, "training": TIMED}, "training.local_seconds"),
        ({"data": {"watch": True, "format": "imagefolder"}}, "imagefolder"),
        ({"data": {"watch": True, "source": "all.csv"}}, "data.source"),
    ],
)
def test_what_a_watched_folder_does_not_go_with_is_said(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        watching(**changes)


def test_a_machine_of_its_own_is_held_to_the_same() -> None:
    timed = MachineConfig(local_steps=4, local_seconds=2.0)
    assert on_machine(watching(), timed, field="nodes.ada.machine").training.local_seconds == 2.0
    with pytest.raises(ConfigError, match=r"nodes\.ada\.machine: .*local_seconds"):
        on_machine(watching(privacy=PRIVATE), timed, field="nodes.ada.machine")
