"""A whole node of the exchange bench: `gossipfl node` with its model, publication log, metrics and checkpoint.

Only its start is another: a random state, and no training phases.
"""

import asyncio
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from scripts.bench.exchange_work import Played, Work, build_protocol
from scripts.bench.meters import peak_bytes

from gossipfl.config.loading import load_peers
from gossipfl.node.assembly import NodeRequest, assemble
from gossipfl.node.record import NodeRecord
from gossipfl.node.runtime import Node
from gossipfl.node.schedules import schedule_of


def play_node(peers: Path, name: str, work: Work, *, insecure: bool) -> Played:
    """Exchanges as `gossipfl node` does, with the model loaded, from a random state instead of the initial one."""
    played = Played()

    def note(record: NodeRecord) -> None:
        if record.report is not None:
            played.note(record.report.round, work)
        played.counted_bytes = record.bytes_sent

    with ExitStack() as stack:
        assembled = assemble(NodeRequest(peers, name, insecure=insecure), note, stack)
        schedule, spec = schedule_of(load_peers(peers, ())), assembled.bench.adapted.spec
        parts = replace(assembled, protocol=build_protocol(name, schedule, spec, work))
        played.note(0, work)
        asyncio.run(Node(parts).run())
        played.peak_bytes = peak_bytes()
        played.final = parts.protocol.snapshot.state.vector
    return played
