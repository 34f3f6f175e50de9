"""`gossipfl status`: asks every node how far it is."""

import asyncio
import math
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from gossipfl.cli.options import JsonOption, NameOption, PeersOption, command_app, example
from gossipfl.cli.output import console, emit, table
from gossipfl.node.asking import NodeStatus, ask_all

app = command_app()


@app.command(
    epilog=example("gossipfl status --peers peers.yaml", "gossipfl status --peers peers.yaml --watch", "… --json")
)
def status(
    *,
    peers: PeersOption,
    name: NameOption = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="The nodes run without TLS.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Ask again every two seconds, until Ctrl-C.")] = False,
    json: JsonOption = False,
) -> None:
    """Ask every node with an address for step, ε, links, staleness and bytes; nothing private data decides is told."""
    while True:
        found = asyncio.run(ask_all(peers, name=name, environ=os.environ, insecure=insecure))
        if watch and not json:
            console(stderr=False).clear()
        emit({"nodes": [told(node) for node in found]}, json=json, text=drawn(found, peers))
        if not watch:
            return
        time.sleep(WATCH_S)


WATCH_S = 2.0


def told(node: NodeStatus) -> dict[str, Any]:
    """The node's keys; ε is None without privacy, as in its own metrics, though the wire says infinity."""
    told = node.as_json()
    return told | {"epsilon": None} if told["epsilon"] == math.inf else told


def drawn(found: Sequence[NodeStatus], peers: Path) -> Table:
    """The table for people; the ε of a node without privacy is `none`, that of a silent one `–`."""
    columns = ("node", "up", "state", "step", "ε", "neighbors up", "staleness", "bytes sent", "rejected")
    rows = []
    for node in found:
        row = told(node)
        if node.answer is not None and row["epsilon"] is None:
            row["epsilon"] = "none"
        rejected = ", ".join(f"{reason} {times}" for reason, times in node.rejected.items()) or "none"
        keys = ("name", "up", "state", "step", "epsilon", "neighbors_up", "staleness", "bytes_sent")
        rows.append([*(row[key] for key in keys), rejected])
    return table(columns, rows, title=str(peers))
