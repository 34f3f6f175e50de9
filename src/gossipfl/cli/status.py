"""`gossipfl status`: asks every node how far it is."""

import asyncio
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

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
        emit({"nodes": [node.as_json() for node in found]}, json=json, text=drawn(found, peers))
        if not watch:
            return
        time.sleep(WATCH_S)


WATCH_S = 2.0


def drawn(found: Sequence[NodeStatus], peers: Path) -> Table:
    """The table for people; the ε of a node without privacy is `none`, that of a silent one `–`."""
    columns = ("node", "up", "state", "step", "ε", "neighbors up", "staleness", "bytes sent", "rejected")
    rows = []
    for node in found:
        row = node.as_json()
        if node.answer is not None and row["epsilon"] is None:
            row["epsilon"] = "none"
        rejected = ", ".join(f"{reason} {times}" for reason, times in node.rejected.items()) or "none"
        keys = ("name", "up", "state", "step", "epsilon", "neighbors_up", "staleness", "bytes_sent")
        rows.append([*(row[key] for key in keys), rejected])
    return table(columns, rows, title=str(peers))
