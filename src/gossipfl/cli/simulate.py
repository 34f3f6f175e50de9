"""`gossipfl simulate`: one simulated run."""

from pathlib import Path
from typing import Annotated

import typer

from gossipfl.cli.options import JsonOption, OutputOption, SetOption, TensorboardOption, command_app, example
from gossipfl.cli.output import emit, note
from gossipfl.cli.progress import progress_line
from gossipfl.cli.run_figures import run_figures
from gossipfl.config.loading import load_simulation
from gossipfl.learning.adapters.summary import AdapterSummary
from gossipfl.runs.curves import require_tensorboard
from gossipfl.runs.default_folder import default_folder
from gossipfl.sim.simulate import simulate

app = command_app()


@app.command(
    "simulate",
    epilog=example(
        "gossipfl simulate experiments/quickstart.yaml",
        "gossipfl simulate experiments/averaging.yaml --set topology.kind=hypercube --json",
        "gossipfl simulate experiment.yaml --engine ray --output runs/large --resume",
    ),
)
def simulate_command(  # noqa: PLR0913  # one an option
    experiment: Annotated[Path, typer.Argument(help="experiment.yaml.", metavar="FILE")],
    *,
    engine: Annotated[
        str | None, typer.Option(help="loop, batched, ray or auto; default: simulation.engine.", metavar="NAME")
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="ray: a running cluster; default: one on this machine.", metavar="HOST:PORT")
    ] = None,
    output: OutputOption = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that was stopped.")] = False,
    sets: SetOption = None,
    tensorboard: TensorboardOption = None,
    json: JsonOption = False,
) -> None:
    """Run an experiment in this process: the nodes' own protocol code on a virtual clock.

    Computation, network, churn and partitions are modelled (`simulation` in experiment.yaml). Noise is seeded: nothing
    here is private.
    """
    if tensorboard is not None:
        require_tensorboard()
    overrides = [*(sets or ()), *([f"simulation.engine={engine}"] if engine else [])]
    overrides += [f"simulation.address={address}"] if address else []
    loaded = load_simulation(experiment, overrides)
    folder = output or default_folder(experiment.stem)
    with progress_line() as show:
        result = simulate(loaded, folder, resume=resume, show=show, tell=_tell, tensorboard=tensorboard)
    emit(result.as_json(), json=json, text=run_figures(result))
    if not result.done:
        note(f"stopped; go on with --output {folder} --resume")
        raise typer.Exit(130)


def _tell(summary: AdapterSummary) -> None:
    note(str(summary))
