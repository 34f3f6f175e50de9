"""`gossipfl evaluate`: how good a node's current adapter is."""

from pathlib import Path
from typing import Annotated

import typer

from gossipfl.cli.evaluated_text import history_json, history_text
from gossipfl.cli.options import JsonOption, PeersOption, SetOption, StateDirOption, command_app, example
from gossipfl.cli.output import emit
from gossipfl.cli.personal_text import personal_table
from gossipfl.errors import ConfigError
from gossipfl.node.evaluating import Wanted, evaluate_node, evaluate_personal
from gossipfl.node.evaluating_history import evaluate_history

app = command_app()


@app.command(
    "evaluate",
    epilog=example(
        "gossipfl evaluate --peers peers.yaml --name clinic",
        "gossipfl evaluate --peers peers.yaml --name clinic --data test.jsonl --json",
        "gossipfl evaluate --peers peers.yaml --name clinic --personal --alone state/clinic-alone",
        "gossipfl evaluate --peers peers.yaml --name clinic --history",
    ),
)
def run(  # noqa: PLR0913  # one an option
    *,
    peers: PeersOption,
    name: Annotated[str, typer.Option("--name", help="Whose adapter.", metavar="NODE")],
    data: Annotated[Path | None, typer.Option("--data", help="Default: the node's held-out part.")] = None,
    personal: Annotated[
        bool, typer.Option("--personal", help="The node's own model, beside the one it was made from.")
    ] = False,
    alone: Annotated[
        Path | None,
        typer.Option("--alone", help="With --personal: state of a run with gossip.protocol alone.", metavar="DIR"),
    ] = None,
    history: Annotated[
        bool, typer.Option("--history", help="On the held-out data of each period of a watched folder.")
    ] = False,
    state_dir: StateDirOption = None,
    sets: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Loss and accuracy of the node's newest checkpoint, or perplexity, and what else its task measures.

    With --personal, of the model that it made for itself behind its last exchange (personal.phases): on its held-out
    part each half is judged at the weight that the other half chose. With --history also how much of each earlier
    period is forgotten: the best accuracy that the node has noted, minus that of now. The figures stay on this machine.
    """
    if alone is not None and not personal:
        raise ConfigError("--alone: is compared with the node's own model: --personal was expected beside it")
    wanted = Wanted(peers, name, data, state_dir, tuple(sets or ()))
    if history and personal:
        raise ConfigError("--history, --personal: one of them was expected")
    if history:
        periods = evaluate_history(wanted)
        emit(history_json(periods), json=json, text=history_text(periods))
        return
    if personal:
        figures = evaluate_personal(wanted, alone)
        emit(figures, json=json, text=personal_table(figures))
        return
    found = evaluate_node(wanted)
    result = {key: value for key, value in found.figures().items() if value is not None}
    emit(result, json=json, text="  ".join(f"{key} {value:.4g}" for key, value in result.items()))
