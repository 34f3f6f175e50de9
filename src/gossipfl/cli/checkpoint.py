"""`gossipfl checkpoint`: states that all nodes keep after the same phase, and sign.

checkpoint ask                       all nodes are asked for one
checkpoint show   (on each machine)  those that this node has, and who has signed
checkpoint verify signed.jsonl       the same for anybody who has the authority's certificate
"""

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer

from gossipfl.cli.asked_text import show as show_asked
from gossipfl.cli.options import (
    AtPhaseOption,
    JsonOption,
    NameOption,
    PeersOption,
    StateDirOption,
    command_app,
    example,
)
from gossipfl.cli.output import emit, table
from gossipfl.core.common import Gathered
from gossipfl.node.proposing import ask_all
from gossipfl.node.signed_checkpoints import believers_in, found_in, verified

app = command_app(help="Checkpoints that all nodes keep after the same phase, and sign.")


@app.command(
    epilog=example(
        "gossipfl checkpoint ask --peers peers.yaml", "gossipfl checkpoint ask --peers peers.yaml --at-phase 12 --json"
    )
)
def ask(
    *, peers: PeersOption, name: NameOption = None, at_phase: AtPhaseOption = None, json: JsonOption = False
) -> None:
    """Ask every node to keep its state after a phase, and to sign what it keeps; training goes on.

    A node follows where its own peers.yaml names the node that asks among `coordinators`.
    """
    show_asked(asyncio.run(ask_all(peers, name=name, environ=os.environ, phase=at_phase, stops=False)), json=json)


@app.command(epilog=example("gossipfl checkpoint show --peers peers.yaml --name north"))
def show(
    *, peers: PeersOption, name: NameOption = None, state_dir: StateDirOption = None, json: JsonOption = False
) -> None:
    """List the common checkpoints that this machine's node has: who has signed, and who has not."""
    found = found_in(peers, name=name, state_dir=state_dir, environ=os.environ)
    rows = [[each.plan.key, each.plan.phase, each.plan.stops, _signed(each), _missing(each)] for each in found]
    columns = ("checkpoint", "phase", "stops", "signed", "missing")
    emit({"checkpoints": [_result(each) for each in found]}, json=json, text=table(columns, rows))


@app.command(epilog=example("gossipfl checkpoint verify signed.jsonl --authority certs/authority.pem"))
def verify(
    file: Annotated[Path, typer.Argument(help="A node's common/…/signed.jsonl.")],
    *,
    authority: Annotated[Path | None, typer.Option(help="The authority's certificate, PEM.", metavar="FILE")] = None,
    peers: Annotated[
        Path | None,
        typer.Option("--peers", help="Or peers.yaml, whose authority or pins say who is who.", metavar="FILE"),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Whether all nodes have signed a common checkpoint; exit code 1 where one has not, named."""
    gathered, refused = verified(file, believers_in(authority, peers))
    rows = [[each.node, each.phase, each.step, each.charges, each.state] for each in gathered.statements.values()]
    said = "whole" if gathered.whole else f"not whole, missing: {_missing(gathered)}"
    title = f"{gathered.plan.key}: {said}"
    text = table(("node", "phase", "step", "charges", "state"), rows, title=title)
    emit(_result(gathered) | {"refused": refused}, json=json, text=text)
    if not gathered.whole:
        raise typer.Exit(1)


def _signed(gathered: Gathered) -> str:
    return ", ".join(
        f"{name} (at phase {gathered.apart[name]})" if name in gathered.apart else name for name in gathered.statements
    )


def _missing(gathered: Gathered) -> str:
    return ", ".join(gathered.missing) or "nobody"


def _result(gathered: Gathered) -> dict[str, object]:
    plan = gathered.plan
    return {
        "plan": plan.key,
        "phase": plan.phase,
        "branch": plan.branch,
        "stops": plan.stops,
        "asked_by": plan.asked_by,
        "whole": gathered.whole,
        "missing": gathered.missing,
        "apart": gathered.apart,
        "nodes": list(gathered.statements.values()),
    }
