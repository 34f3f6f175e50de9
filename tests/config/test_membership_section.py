"""membership: dynamic, and everything that does not go with it."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from gossipfl.config.loading import load_peers
from gossipfl.errors import ConfigError

EXPERIMENT: dict[str, Any] = {
    "model": {"source": "builtin:logistic", "inputs": 4},
    "task": {"kind": "vector-classification", "labels": ["a", "b"]},
    "adapter": {"kind": "full"},
    "privacy": {"level": "none"},
}
TEXT: dict[str, Any] = {
    "model": {"source": "m"},
    "task": {"kind": "sequence-classification", "labels": ["a", "b"]},
}


def written(folder: Path, experiment: dict[str, Any], **peers: object) -> Path:
    """A peers.yaml whose experiment has some sections replaced."""
    path = folder / "peers.yaml"
    said: dict[str, Any] = {
        "experiment": {**EXPERIMENT, **experiment},
        "membership": "dynamic",
        "authority": "authority.pem",
        "nodes": [{"name": "a", "address": "127.0.0.1:5001"}],
    }
    path.write_text(yaml.safe_dump({**said, **peers}))
    return path


def test_a_plain_wait_free_experiment_on_a_ring_goes_with_it(tmp_path: Path) -> None:
    loaded = load_peers(written(tmp_path, {}, join=["127.0.0.1:5002"], probe_s=0.5))
    assert loaded.peers.membership == "dynamic"


@pytest.mark.parametrize(
    ("sections", "field"),
    [
        *(({"gossip": {"protocol": name}}, "gossip.protocol") for name in ("sync", "push_sum", "pairwise", "alone")),
        ({"gossip": {"protocol": "sync"}, "topology": {"schedule": "base"}}, "gossip.protocol"),
        ({"gossip": {"mixing": "median"}}, "gossip.mixing"),
        *(({"topology": {"kind": name}}, "topology.kind") for name in ("hypercube", "torus", "exponential", "g.gml")),
        ({"topology": {"weights": "uniform"}}, "topology.weights"),
        ({"topology": {"kind": "random_regular", "degree": 3}}, "topology.degree"),
        ({"topology": {"kind": "erdos_renyi", "probability": 0.1}}, "topology.probability"),
        ({**TEXT, "adapter": {"kind": "alternating"}}, "adapter.kind"),
        ({**TEXT, "adapter": {"kind": "lora", "merge": "svd"}}, "adapter.merge"),
    ],
)
def test_what_is_not_well_defined_while_nodes_come_and_go_is_refused_with_the_reason(
    tmp_path: Path, sections: dict[str, Any], field: str
) -> None:
    with pytest.raises(ConfigError, match=rf"{field} .*: membership dynamic needs .*: \w+"):
        load_peers(written(tmp_path, sections))


@pytest.mark.parametrize(
    ("peers", "text"),
    [
        ({"authority": None}, "dynamic needs an authority"),
        ({"nodes": [{"name": "a"}]}, "nodes.a.address: needed with membership dynamic"),
        ({"membership": "static", "join": ["127.0.0.1:1"]}, "join: goes with membership dynamic"),
        ({"membership": "static", "authority": None, "revoked": "r.pem"}, "only an authority revokes"),
        ({"join": ["nowhere"]}, "HOST:PORT"),
    ],
)
def test_a_peers_file_that_contradicts_itself_is_refused(tmp_path: Path, peers: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        load_peers(written(tmp_path, {}, **peers))
