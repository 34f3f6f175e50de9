"""Nodes that watch a folder: how files come into it, and a node's lives phase after phase, without its network."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.node.study import Study, records

from gossipfl.core.events import Train
from gossipfl.node.assembly import NodeRequest, assemble
from gossipfl.node.parts import NodeParts
from gossipfl.node.trainer import PhaseDone, Trainer

PRIVATE = {"level": "example", "target_epsilon": None, "noise_multiplier": 2.0, "target_delta": 1e-5}
OLD_NS = 1_700_000_000_000_000_000


def put(study: Study, name: str, rows: Sequence[dict[str, str]] | str, *, node: str = "ada") -> Path:
    """A file renamed into place, whole, written long ago."""
    folder = study.folder / "data" / node
    folder.mkdir(exist_ok=True)
    beside, place = folder / f".{name}.part", folder / name
    beside.write_text(rows if isinstance(rows, str) else "".join(json.dumps(row) + "\n" for row in rows))
    os.utime(beside, ns=(OLD_NS, OLD_NS))
    beside.replace(place)
    return place


def watch(study: Study) -> Study:
    """Every node watches a folder of its own, with one file in it."""
    study.edit("experiment.yaml", lambda content: content["data"].update(watch=True))
    for place, name in enumerate(study.names):
        put(study, "first.jsonl", records(place + 1), node=name)
    study.edit("peers.yaml", lambda content: [node.update(data=f"data/{node['name']}") for node in content["nodes"]])
    return study


class Life:
    """A node's parts without its network: phase after phase, as its loop asks for them."""

    def __init__(self, parts: NodeParts) -> None:
        self.parts = parts
        self.state, self.phase = parts.bench.adapted.initial, 0
        self.trainer = Trainer(parts.bench, parts.record, intake=parts.intake)

    def wake(self) -> None:
        """What the watcher does: here nothing waits for the system to tell."""
        assert self.parts.intake is not None
        self.parts.intake.wake()

    def train(self) -> PhaseDone:
        done = self.trainer._train(Train(self.phase, self.state, self.phase * 2, 2), late=False)  # on its thread
        self.state, self.phase = done.trained.state, self.phase + 1
        return done


@contextmanager
def alive(study: Study, *overrides: str) -> Iterator[Life]:
    with ExitStack() as stack:
        request = NodeRequest(study.peers, "ada", overrides=overrides, insecure=False)
        life = Life(assemble(request, lambda _: None, stack, streams="seeded"))
        stack.callback(life.trainer.close)
        yield life
