"""Writes the two files a user begins with, comments and all."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from string import Template

import yaml

from gossipfl.errors import ConfigError

_NODE = """\
  - name: $name
    address: $address        # HOST:PORT others dial; leave it out on a node that can only dial out
    certificate: $certificate
    key: $key
    data: $data
"""


_LENGTH = "  max_length: 64              # tokens a record is cut to\n"
_ANSWERED = "  prompt: prompt\n  response: response\n"


@dataclass(frozen=True, slots=True)
class _Kind:
    """What a kind of task adds to the two files.

    Attributes:
        columns: of section data.
        more: of section task, behind the labels.
        ending: of a node's file of data.
    """

    columns: str
    more: str = _LENGTH
    ending: str = ".jsonl"


_METRICS = "  # metrics: [rouge_l, chrf]  # of answers to held-out prompts; a pass a token\n"
_KINDS: Mapping[str, _Kind] = {
    "sequence-classification": _Kind("  text: text\n  label: label\n"),
    "causal-lm": _Kind(_ANSWERED),
    "seq2seq-lm": _Kind(_ANSWERED, more=_LENGTH + _METRICS),
    "multiple-choice": _Kind(
        "  question: question\n"
        "  choices: choices            # a list, or [a, b, …]: a column for each choice\n"
        "  answer: answer              # place of the right one from 0, its letter, or its text\n"
    ),
    "token-classification": _Kind(
        "  words: words                # a list\n  tags: tags                  # a list of the words' labels\n"
    ),
    "image-classification": _Kind(
        "  image: image                # of a table; a folder has a folder of images for each label\n  label: label\n",
        more="",
        ending="",
    ),
}
TASKS = tuple(_KINDS)
"""Kinds of task that an experiment can begin with."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """What `gossipfl init` was asked for.

    Attributes:
        names: the nodes.
        host: of every address, to be edited when they are on several machines.
        base_port: of the first node; the others follow.
        model: source of the base model.
        labels: class names; none of a task without.
        basis: the public basis is written beside the experiment.
        task: one of `TASKS`; None: sequence-classification with labels, else causal-lm.
    """

    names: Sequence[str]
    host: str
    base_port: int
    model: str
    labels: Sequence[str]
    basis: bool
    task: str | None = None

    @property
    def kind(self) -> str:
        """Of the task.

        Raises:
            ConfigError: there is no such kind.
        """
        if self.task is None:
            return "sequence-classification" if self.labels else "causal-lm"
        if self.task not in _KINDS:
            raise ConfigError(f"--task {self.task!r}: one of {', '.join(TASKS)} was expected")
        if self.labels and not self.task.endswith("-classification"):
            raise ConfigError(f"--labels: --task {self.task} has no classes, leave them away")
        return self.task

    @property
    def addresses(self) -> dict[str, str]:
        """HOST:PORT by node name."""
        return {name: f"{self.host}:{self.base_port + place}" for place, name in enumerate(self.names)}


def peers_yaml(beginning: Beginning) -> str:
    """Text of peers.yaml; whether it is a sound one is for `parse_peers` to say."""
    addresses = beginning.addresses
    nodes = "".join(_node(name, addresses[name], _KINDS[beginning.kind].ending) for name in beginning.names)
    topology = "ring" if len(beginning.names) > 2 else "path"
    return _template("peers.yaml").substitute(nodes=nodes, first=_scalar(beginning.names[0]), topology=topology)


def experiment_yaml(beginning: Beginning) -> str:
    """Text of experiment.yaml; whether it is a sound one is for `parse_experiment` to say."""
    labels = f"  labels: {_quoted(list(beginning.labels))}\n" if beginning.labels else ""
    kind = _KINDS[beginning.kind]
    return _template("experiment.yaml").substitute(
        model=_scalar(beginning.model),
        task=beginning.kind,
        labels=labels,
        more=kind.more,
        columns=kind.columns,
        basis="  basis: basis.safetensors   # public, computed once by gossipfl init\n" if beginning.basis else "",
    )


def _node(name: str, address: str, ending: str) -> str:
    values = {
        "name": name,
        "address": address,
        "certificate": f"certs/{name}.pem",
        "key": f"certs/{name}.key",
        "data": f"data/{name}{ending}",
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
