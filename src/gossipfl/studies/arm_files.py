"""One arm of a study on disk: peers.yaml, experiment.yaml, basis and certificates in one folder, data beside it.

STUDY/data/NAME.jsonl                                   one file a node
STUDY/ARM/peers.yaml, experiment.yaml, certs/, …        what `gossipfl node --peers` needs
"""

from collections.abc import Sequence
from pathlib import Path

import yaml

from gossipfl.config.experiment import Experiment
from gossipfl.config.loading import dump_experiment
from gossipfl.net.certificates import make_trial_certificates
from gossipfl.studies.free_ports import HOST, free_ports
from gossipfl.studies.initialize import write_basis


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
