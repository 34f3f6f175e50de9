"""Writes the two files a user begins with, comments and all."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from string import Template

import yaml

_NODE = """\
  - name: $name
    address: $address        # HOST:PORT others dial; leave it out on a node that can only dial out
    certificate: $certificate
    key: $key
    data: $data
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

    @property
    def addresses(self) -> dict[str, str]:
        """HOST:PORT by node name."""
        return {name: f"{self.host}:{self.base_port + place}" for place, name in enumerate(self.names)}


def peers_yaml(beginning: Beginning) -> str:
    """Text of peers.yaml; whether it is a sound one is for `parse_peers` to say."""
    addresses = beginning.addresses
    nodes = "".join(_node(name, addresses[name]) for name in beginning.names)
    topology = "ring" if len(beginning.names) > 2 else "path"
    return _template("peers.yaml").substitute(nodes=nodes, first=_scalar(beginning.names[0]), topology=topology)


def experiment_yaml(beginning: Beginning) -> str:
    """Text of experiment.yaml; whether it is a sound one is for `parse_experiment` to say."""
    labels = f"  labels: {_quoted(list(beginning.labels))}\n" if beginning.labels else ""
    columns = "  text: text\n  label: label\n" if beginning.labels else "  prompt: prompt\n  response: response\n"
    return _template("experiment.yaml").substitute(
        model=_scalar(beginning.model),
        task="sequence-classification" if beginning.labels else "causal-lm",
        labels=labels,
        columns=columns,
        basis="  basis: basis.safetensors   # public, computed once by gossipfl init\n" if beginning.basis else "",
    )


def _node(name: str, address: str) -> str:
    values = {
        "name": name,
        "address": address,
        "certificate": f"certs/{name}.pem",
        "key": f"certs/{name}.key",
        "data": f"data/{name}.jsonl",
    }
    return Template(_NODE).substitute({key: _scalar(value) for key, value in values.items()})


def _scalar(text: str) -> str:
    """The text as YAML reads it back: in quotes where it would be a number, a bool, a list or a comment."""
    try:
        bare = yaml.safe_load(f"key: {text}") == {"key": text}
    except (yaml.YAMLError, ValueError):
        bare = False
    return text if bare else _quoted(text)


def _quoted(value: str | Sequence[str]) -> str:
    """JSON, which YAML reads; letters stay, since YAML does not join the two escapes JSON makes of some."""
    return json.dumps(value, ensure_ascii=False)


def _template(name: str) -> Template:
    return Template((files("gossipfl.config.templates") / name).read_text())
