"""`gossipfl simulate`: one simulated run."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import RenderableType

from gossipfl.cli.options import JsonOption, OutputOption, SetOption, command_app, example
from gossipfl.cli.output import console, emit, note, table
from gossipfl.config.loading import load_simulation
from gossipfl.core.json_text import json_text
from gossipfl.runs.result import RunResult
from gossipfl.sim.running import Progress
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
    json: JsonOption = False,
) -> None:
    """Run an experiment in this process: the nodes' own protocol code on a virtual clock.

    Computation, network, churn and partitions are modelled (`simulation` in experiment.yaml). Noise is seeded: nothing
    here is private.
    """
    overrides = [*(sets or ()), *([f"simulation.engine={engine}"] if engine else [])]
    overrides += [f"simulation.address={address}"] if address else []
    loaded = load_simulation(experiment, overrides)
    folder = output or Path("runs") / f"{experiment.stem}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    result = simulate(loaded, folder, resume=resume, show=_progress())
    emit(result.as_json(), json=json, text=_drawn(result))
    if not result.done:
        note(f"stopped; go on with --output {folder} --resume")
        raise typer.Exit(130)


def _progress() -> Callable[[Progress], None]:
    """A line on a terminal that is written over, now and then a JSON line otherwise."""
    screen = console()
    last = [0.0]
    every_s = 0.2 if screen.is_terminal else 5.0

    def show(progress: Progress) -> None:
        if progress.seconds - last[0] < every_s:
            return
        last[0] = progress.seconds
        speed = progress.steps / progress.seconds if progress.seconds else 0.0
        if screen.is_terminal:
            left = "" if progress.left_s is None else f"  {progress.left_s:.0f} s left"
            text = f"round {progress.rounds:.1f}  virtual {progress.virtual_s:.1f} s  {speed:.0f} node-steps/s{left}"
            screen.print(text, end="\r")
        else:
            note(json_text(progress))

    return show


def _drawn(result: RunResult) -> RenderableType:
    figures = result.as_json()
    rows = [*result.final.items(), *((key, figures[key]) for key in ("virtual_s", "seconds", "node_steps_per_s"))]
    rows += [("bytes_per_node", result.bytes_per_node), ("epsilon", result.epsilon), ("output", str(result.output))]
    return table(("figure", "value"), rows)
