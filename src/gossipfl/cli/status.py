"""`gossipfl status`: asks every node how far it is, once or again and again."""

import asyncio
import os
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer
from rich.live import Live

from gossipfl.cli.options import JsonOption, NameOption, PeersOption, command_app, example
from gossipfl.cli.output import console, emit
from gossipfl.cli.status_text import drawn, drawn_live, with_set_aside
from gossipfl.node.asking import ask_all, observer
from gossipfl.node.set_aside import set_aside_here

app = command_app()
WATCH_S = 2.0


@app.command(
    epilog=example("gossipfl status --peers peers.yaml", "gossipfl status --peers peers.yaml --watch", "… --json")
)
def status(
    *,
    peers: PeersOption,
    name: NameOption = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="The nodes run without TLS.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Look again every two seconds, until Ctrl-C.")] = False,
    json: JsonOption = False,
) -> None:
    """Ask every node with an address for step, ε, links, staleness and bytes; nothing private data decides is told.

    Files that a node of this machine has set aside (data.watch) are named; no other machine can ask for them.

    With --watch also what went over every edge, how far its ends are apart, and what was turned away last.
    """
    if watch:
        asyncio.run(_watch(peers, name, insecure=insecure, json=json))
        return
    found = asyncio.run(ask_all(peers, name=name, environ=os.environ, insecure=insecure))
    aside = set_aside_here(peers)
    here = {"set_aside": aside} if aside else {}
    emit(found.as_json() | here, json=json, text=with_set_aside(drawn(found, str(peers)), aside))


async def _watch(peers: Path, name: str | None, *, insecure: bool, json: bool) -> None:
    """Until Ctrl-C; what was seen last stays on the terminal."""
    screen = console(stderr=False)
    live = Live(console=screen, auto_refresh=False) if screen.is_terminal else None
    async with observer(peers, name=name, environ=os.environ, insecure=insecure) as ready:
        with live if live is not None and not json else nullcontext() as shown:
            while True:
                view = await ready.look()
                if shown is None:
                    emit(view.as_json(), json=json, text=drawn_live(view, str(peers)))
                else:
                    shown.update(drawn_live(view, str(peers)), refresh=True)
                await asyncio.sleep(WATCH_S)
