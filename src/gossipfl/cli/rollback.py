"""`gossipfl rollback`: takes this machine's node back to a checkpoint that all have signed."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from gossipfl.cli.options import JsonOption, NameOption, PeersOption, StateDirOption, command_app, example
from gossipfl.cli.output import emit
from gossipfl.node.rollback import RollbackRequest, RolledBack, roll_back

app = command_app()


@app.command(
    epilog=example(
        "gossipfl rollback --peers peers.yaml --name north --to 12",
        "gossipfl rollback --peers peers.yaml --to 12-1a2b3c4d --statements from-south/signed.jsonl",
    )
)
def rollback(
    *,
    peers: PeersOption,
    to: Annotated[
        str, typer.Option(help="Common checkpoint: its phase, or its name (gossipfl checkpoint show).", metavar="PHASE")
    ],
    name: NameOption = None,
    state_dir: StateDirOption = None,
    statements: Annotated[
        list[Path] | None,
        typer.Option(help="Another node's signed.jsonl, for signatures not heard here; repeatable.", metavar="FILE"),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Take this machine's stopped node back to a common checkpoint that all have signed; each operator does his own.

    Nothing is unlearned of what was published since, and no ε comes back: the privacy ledger stays as it is. Nodes that
    were not rolled back to the same are refused by those that were.
    """
    done = roll_back(RollbackRequest(peers, to, name, state_dir, tuple(statements or ())))
    emit(asdict(done), json=json, text=_text(done))


def _text(done: RolledBack) -> str:
    where = f"{done.name} is at phase {done.phase}, step {done.step}, of {done.plan}; branch {done.branch}"
    lines = [f"{where} (it was there already)" if done.already else where]
    if done.gone:
        lines.append(f"not in peers.yaml any more, and not waited for: {', '.join(done.gone)}")
    lines += [f"{name} had kept its state of phase {phase}" for name, phase in done.apart.items()]
    lines.append(
        "what was published since stays published, and what it cost stays charged; start the node with gossipfl node"
    )
    return "\n".join(lines)
