"""Real nodes of one name, one study after the other, with seeded noise; each plays a script or goes by arrival.

    python -m tests.sim.real_node PLAYS.json TOLD.json

One process for all of a name's studies: most of a node's time here is the import of torch.
"""

import asyncio
import json
import sys
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from tests.sim.script import Noting, Script, happened_of

from gossipfl.node.assembly import NodeRequest, assemble
from gossipfl.node.runtime import Node


def main(plays: str, told: str) -> None:
    """Plays all, and writes down what came of it: more than a pipe holds."""
    Path(told).write_text(json.dumps([play(**wanted) for wanted in json.loads(Path(plays).read_text())]))
    sys.stdout.write("{}\n")


def play(*, peers: str, name: str, neighbors: list[str], entries: list[dict[str, Any]] | None) -> dict[str, Any]:
    """Runs to the end; the final vector lies beside peers.yaml.

    Args:
        entries: the script; None: as it arrives.
    """
    with ExitStack() as stack:
        parts = assemble(NodeRequest(Path(peers), name), lambda _: None, stack, streams="seeded")
        order = Noting() if entries is None else Script([happened_of(each) for each in entries], neighbors)
        parts = replace(parts, open_transport=order.opening(parts.open_transport))
        asyncio.run(Node(parts, order=order).run())
        snapshot = parts.protocol.snapshot
        np.save(Path(peers).parent / f"{name}.npy", snapshot.state.vector)
        return {
            "counts": [snapshot.step, snapshot.round, snapshot.receipt.steps],
            "notes": [asdict(note) for note in order.notes],
            "rejected": parts.record.rejected,
        }


if __name__ == "__main__":
    main(*sys.argv[1:])
