"""`gossipfl evaluate`: how good a node's current adapter is."""

from pathlib import Path
from typing import Annotated

import typer

from gossipfl.cli.options import JsonOption, PeersOption, SetOption, StateDirOption, command_app, example
from gossipfl.cli.output import emit
from gossipfl.node.evaluating import evaluate_node

app = command_app()


@app.command(
    "evaluate",
    epilog=example(
        "gossipfl evaluate --peers peers.yaml --name clinic",
        "gossipfl evaluate --peers peers.yaml --name clinic --data test.jsonl --json",
    ),
)
def run(  # one an option
    *,
    peers: PeersOption,
    name: Annotated[str, typer.Option("--name", help="Whose adapter.", metavar="NODE")],
    data: Annotated[Path | None, typer.Option("--data", help="Default: the node's held-out part.")] = None,
    state_dir: StateDirOption = None,
    sets: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Loss and accuracy of the node's newest checkpoint, or perplexity, and what else its task measures.

    The figures stay on this machine.
    """
    found = evaluate_node(peers, name=name, data=data, state_dir=state_dir, overrides=tuple(sets or ()))
    result = {key: value for key, value in found.figures().items() if value is not None}
    emit(result, json=json, text="  ".join(f"{key} {value:.4g}" for key, value in result.items()))
