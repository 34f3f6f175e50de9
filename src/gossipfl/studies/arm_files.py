"""One arm of a study on disk: peers.yaml, experiment.yaml, basis and certificates in one folder, data beside it.

STUDY/data/NAME.jsonl                                   one file a node
STUDY/ARM/peers.yaml, experiment.yaml, certs/, …        what `gossipfl node --peers` needs
"""

import socket
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import yaml

from gossipfl.config.experiment import Experiment
from gossipfl.config.loading import dump_experiment
from gossipfl.net.certificates import make_trial_certificates
from gossipfl.studies.initialize import write_basis

HOST = "127.0.0.1"


def write_arm(folder: Path, experiment: Experiment, *, names: Sequence[str], topology: str) -> Path:
    """Writes an arm whose nodes listen on free ports of this machine; gives its peers.yaml.

    Args:
        names: of the nodes; node N reads `../data/N.jsonl`.
        topology: a generator's name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "experiment.yaml").write_text(dump_experiment(experiment))
    write_basis(experiment, folder)
    addresses = {name: f"{HOST}:{port}" for name, port in zip(names, free_ports(len(names)), strict=True)}
    make_trial_certificates(folder / "certs", addresses)
    content = {
        "experiment": "experiment.yaml",
        "authority": "certs/authority.pem",
        "topology": {"kind": topology},
        "nodes": [_node(name, address) for name, address in addresses.items()],
    }
    path = folder / "peers.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def free_ports(count: int) -> list[int]:
    """Ports of this host that nobody listens on at the moment."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((HOST, 0))
        return [each.getsockname()[1] for each in sockets]


def _node(name: str, address: str) -> dict[str, str]:
    return {
        "name": name,
        "address": address,
        "certificate": f"certs/{name}.pem",
        "key": f"certs/{name}.key",
        "data": f"../data/{name}.jsonl",
        # public data: each arm keeps an account of its own, as if the other had not happened
        "ledger": f"ledgers/{name}.sqlite",
    }
