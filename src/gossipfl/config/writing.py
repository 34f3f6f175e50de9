"""Writes the two files a user begins with, comments and all."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from string import Template

_NODE = """\
  - name: $name
    address: $host:$port        # HOST:PORT others dial; leave it out on a node that can only dial out
    certificate: certs/$name.pem
    key: certs/$name.key
    data: data/$name.jsonl
"""


@dataclass(frozen=True, slots=True)
class Beginning:
    """What `gossipfl init` was asked for.

    Attributes:
        names: the nodes.
        host: of every address, to be edited when they are on several machines.
        base_port: of the first node; the others follow.
        model: source of the base model.
        labels: class names; none for causal-lm.
        basis: the public basis is written beside the experiment.
    """

    names: Sequence[str]
    host: str
    base_port: int
    model: str
    labels: Sequence[str]
    basis: bool


def peers_yaml(beginning: Beginning) -> str:
    """Text of peers.yaml."""
    nodes = "".join(
        Template(_NODE).substitute(name=name, host=beginning.host, port=beginning.base_port + place)
        for place, name in enumerate(beginning.names)
    )
    topology = "ring" if len(beginning.names) > 2 else "path"
    return _template("peers.yaml").substitute(nodes=nodes, first=beginning.names[0], topology=topology)


def experiment_yaml(beginning: Beginning) -> str:
    """Text of experiment.yaml."""
    labels = f"  labels: {json.dumps(list(beginning.labels))}\n" if beginning.labels else ""
    columns = "  text: text\n  label: label\n" if beginning.labels else "  prompt: prompt\n  response: response\n"
    return _template("experiment.yaml").substitute(
        model=beginning.model,
        task="sequence-classification" if beginning.labels else "causal-lm",
        labels=labels,
        columns=columns,
        basis="  basis: basis.safetensors   # public, computed once by gossipfl init\n" if beginning.basis else "",
    )


def _template(name: str) -> Template:
    return Template((files("gossipfl.config.templates") / name).read_text())
