"""`gossipfl evaluate`: how good a node's current adapter is."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from gossipfl.cli.evaluated_text import history_json, history_text
from gossipfl.cli.options import JsonOption, PeersOption, SetOption, StateDirOption, command_app, example
from gossipfl.cli.output import emit
from gossipfl.errors import ConfigError
from gossipfl.node.evaluating import evaluate_history, evaluate_node

app = command_app()


@app.command(
    "evaluate",
    epilog=example(
        "gossipfl evaluate --peers peers.yaml --name clinic",
        "gossipfl evaluate --peers peers.yaml --name clinic --data test.jsonl --json",
        "gossipfl evaluate --peers peers.yaml --name clinic --history",
    ),
)
def run(  # noqa: PLR0913  # one an option
    *,
    peers: PeersOption,
    name: Annotated[str, typer.Option("--name", help="Whose adapter.", metavar="NODE")],
    data: Annotated[Path | None, typer.Option("--data", help="Default: the node's held-out part.")] = None,
    history: Annotated[
        bool, typer.Option("--history", help="On the held-out data of each period of a watched folder.")
    ] = False,
    state_dir: StateDirOption = None,
    sets: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Loss and accuracy of the node's newest checkpoint, or perplexity and the part of the tokens that are said first.

    The figures stay on this machine. With --history also how much of each earlier period is forgotten: the best
    accuracy that the node has noted, minus that of now.
    """
    if history:
        if data is not None:
            raise ConfigError("--history, --data: one of them was expected")
        periods = evaluate_history(peers, name=name, state_dir=state_dir, overrides=tuple(sets or ()))
        emit(history_json(periods), json=json, text=history_text(periods))
        return
    found = evaluate_node(peers, name=name, data=data, state_dir=state_dir, overrides=tuple(sets or ()))
    result = {key: value for key, value in asdict(found).items() if value is not None}
    emit(result, json=json, text="  ".join(f"{key} {value:.4g}" for key, value in result.items()))
