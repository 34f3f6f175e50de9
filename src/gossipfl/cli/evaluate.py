"""`gossipfl evaluate`: how good a node's current adapter is, its own model, or an exported one."""

from pathlib import Path
from typing import Annotated

import typer

from gossipfl.cli.evaluated_text import history_json, history_text
from gossipfl.cli.options import JsonOption, SetOption, StateDirOption, command_app, example
from gossipfl.cli.output import emit, note
from gossipfl.cli.personal_text import personal_table
from gossipfl.errors import ConfigError
from gossipfl.learning.data.any_file import DataFile
from gossipfl.learning.evaluation import Evaluation
from gossipfl.learning.judging_export import evaluate_export
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
        "gossipfl evaluate --adapter exported --data test.csv --set data.text=note",
    ),
)
def run(  # noqa: PLR0913  # one an option
    *,
    peers: Annotated[Path | None, typer.Option("--peers", help="peers.yaml: who takes part.", metavar="FILE")] = None,
    name: Annotated[str | None, typer.Option("--name", help="Whose adapter.", metavar="NODE")] = None,
    adapter: Annotated[
        Path | None,
        typer.Option(help="What gossipfl export wrote, instead of a node; it needs --data.", metavar="DIR"),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="csv, tsv, json, jsonl, parquet, text, or a folder; default: the held-out part."),
    ] = None,
    split: Annotated[
        str, typer.Option("--split", help="Of a folder that holds several, which.", metavar="NAME")
    ] = "test",
    code: Annotated[
        str | None,
        typer.Option(help="With --adapter: allow this code of a model of your own.", metavar="MODULE:CALLABLE"),
    ] = None,
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
    period is forgotten: the best accuracy that the node has noted, minus that of now. With --adapter, of an exported
    folder, which needs no peers.yaml. Columns are named as in the experiment, and by --set data.text=… otherwise. The
    figures stay on this machine.
    """
    file, overrides = None if data is None else DataFile(data, split), tuple(sets or ())
    if alone is not None and not personal:
        raise ConfigError("--alone: is compared with the node's own model: --personal was expected beside it")
    if history and personal:
        raise ConfigError("--history, --personal: one of them was expected")
    if adapter is not None:
        if file is None or personal or history or any(given is not None for given in (peers, name, state_dir)):
            raise ConfigError(
                "evaluate: --adapter goes with --data, and no --peers, --name, --state-dir, --personal or --history"
            )
        _show(evaluate_export(adapter, file, overrides, code=code, notice=note), json=json)
        return
    if peers is None or name is None:
        raise ConfigError("evaluate needs --peers and --name for a node's adapter, or --adapter and --data")
    wanted = Wanted(peers, name, file, state_dir, overrides, notice=note)
    if history:
        periods = evaluate_history(wanted)
        emit(history_json(periods), json=json, text=history_text(periods))
        return
    if personal:
        figures = evaluate_personal(wanted, alone)
        emit(figures, json=json, text=personal_table(figures))
        return
    _show(evaluate_node(wanted), json=json)


def _show(found: Evaluation, *, json: bool) -> None:
    result = {key: value for key, value in found.figures().items() if value is not None}
    emit(result, json=json, text="  ".join(f"{key} {value:.4g}" for key, value in result.items()))
