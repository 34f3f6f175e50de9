"""Keys of a real node's guard: secret, and never the same twice."""

import json
import random

import numpy as np
import torch
from tests.protection.neighborhood import NAMES, Certificates, spec_of

from gossipfl.config.loading import parse_experiment
from gossipfl.config.topology import TopologyConfig
from gossipfl.core.topology import build_schedule
from gossipfl.net.identity import Identity
from gossipfl.net.pinning import Trust
from gossipfl.node.guarding import guard_for
from gossipfl.protection.offers import read_offer

EXPERIMENT = {
    "seed": 7,
    "model": {"source": "m"},
    "task": {"kind": "causal-lm"},
    "privacy": {"level": "none"},
    "gossip": {"protocol": "sync"},
    "protection": "masked",
}


def keys_of_a_life(certificates: Certificates) -> list[bytes]:
    """What node `a` offers to each of its neighbors."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002  # the state that a library might draw from
    torch.manual_seed(0)
    pair = certificates.pairs["a"]
    trust = Trust(Identity("a", pair.certificate, pair.key, certificates.authority.certificate))
    for name in NAMES:
        trust.admit(name, certificates.pairs[name].certificate)
    experiment = parse_experiment(json.dumps(EXPERIMENT), source="experiment.yaml")
    schedule = build_schedule(TopologyConfig(kind="complete"), NAMES)
    guard = guard_for(experiment, trust, schedule, spec_of(40), {"model": "m"})
    assert guard is not None
    return [read_offer(letter.content).key for name in ("b", "c", "d") for letter in guard.up(name)]


def test_no_life_and_no_receiver_has_the_keys_of_another_whatever_is_seeded() -> None:
    certificates = Certificates()
    keys = [key for _ in range(3) for key in keys_of_a_life(certificates)]
    assert len(keys) == len({*keys}) == 9
