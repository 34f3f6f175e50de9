"""`gossipfl fedavg`: the centralized baseline, by Flower."""

from pathlib import Path
from typing import Annotated

import typer

from gossipfl.baseline.fedavg import fedavg
from gossipfl.cli.options import JsonOption, OutputOption, SetOption, command_app, example
from gossipfl.cli.output import emit
from gossipfl.cli.progress import progress_line
from gossipfl.cli.run_figures import run_figures
from gossipfl.config.loading import load_experiment
from gossipfl.runs.default_folder import default_folder

app = command_app()


@app.command(
    "fedavg",
    epilog=example(
        "gossipfl fedavg experiments/quickstart.yaml",
        "gossipfl fedavg experiments/quickstart.yaml --set flower.strategy=FedAdam --mode simulation --json",
    ),
)
def fedavg_command(  # one an option
    experiment: Annotated[Path, typer.Argument(help="experiment.yaml.", metavar="FILE")],
    *,
    mode: Annotated[
        str,
        typer.Option(
            help="inprocess: Flower's strategy in this process; simulation: Flower's own, on Ray; deployment: its "
            "servers and clients as processes, over TLS.",
            metavar="NAME",
        ),
    ] = "inprocess",
    output: OutputOption = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Of a run that is done the result; one that was stopped begins anew.")
    ] = False,
    sets: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Run an experiment with a server in the middle: Flower mixes what the nodes' own learners have trained.

    Same model, data split, seeds, batches, adapters and privacy as `gossipfl simulate`, for comparison. Needs the
    extra `flower`. Noise is seeded: nothing here is private.
    """
    loaded = load_experiment(experiment, sets or ())
    folder = output or default_folder(f"{experiment.stem}-fedavg")
    with progress_line() as show:
        result = fedavg(loaded, folder, mode=mode, resume=resume, show=show)
    emit(result.as_json(), json=json, text=run_figures(result))
