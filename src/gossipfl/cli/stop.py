"""`gossipfl stop`: all nodes of a federation stop after the same phase."""

import asyncio
import os

from gossipfl.cli.asked_text import show
from gossipfl.cli.options import AtPhaseOption, JsonOption, NameOption, PeersOption, command_app, example
from gossipfl.node.proposing import ask_all

app = command_app()


@app.command(
    epilog=example("gossipfl stop --peers peers.yaml", "gossipfl stop --peers peers.yaml --name north --at-phase 12")
)
def stop(
    *, peers: PeersOption, name: NameOption = None, at_phase: AtPhaseOption = None, json: JsonOption = False
) -> None:
    """Ask every node to train up to a phase, keep and sign its state, and end with exit code 3.

    A node follows where its own peers.yaml names the node that asks among `coordinators`. Nobody waits for one that
    does not follow, or does not hear of it. Started again, the nodes go on from there.
    """
    show(asyncio.run(ask_all(peers, name=name, environ=os.environ, phase=at_phase, stops=True)), json=json)
