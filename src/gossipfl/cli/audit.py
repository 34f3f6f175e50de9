"""`gossipfl audit`: attacks on an experiment's own privacy."""

from pathlib import Path
from typing import Annotated

import typer

from gossipfl.cli import audit_memorization, audit_privacy
from gossipfl.cli.options import JsonOption, SetOption, command_app, example
from gossipfl.cli.output import emit, table

app = command_app(help="Attack an experiment, and say what came of it.")
ExperimentArgument = Annotated[Path, typer.Argument(help="experiment.yaml.", metavar="FILE")]
COLUMNS = ("observer", "distance", "nodes", "contributions", "determined", "largest error", "error but for noise")


app.command(epilog=audit_privacy.EXAMPLE)(audit_privacy.privacy)
app.command(epilog=example(*audit_memorization.EXAMPLES))(audit_memorization.memorization)


@app.command(
    epilog=example(
        "gossipfl audit reconstruction experiments/averaging.yaml --set simulation.nodes=8",
        "gossipfl audit reconstruction experiment.yaml --observer n0 --noise 0.7 --plot n0.png --json",
    )
)
def reconstruction(  # one an option
    experiment: ExperimentArgument,
    *,
    observer: Annotated[
        list[str] | None, typer.Option(help="A node that tries; repeatable; default: all.", metavar="NODE")
    ] = None,
    noise: Annotated[
        float | None,
        typer.Option(help="Deviation of the noise in a contribution of size one; default: the experiment's.", min=0),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Picture of what the first observer finds: .png, .svg or .pdf.", metavar="FILE")
    ] = None,
    sets: SetOption = None,
    json: JsonOption = False,
) -> None:
    """What each node could solve for of the others' contributions, from all messages that it receives.

    The protocol's own code runs on combinations of contributions (what a phase of training adds; without training what
    a node starts with). An observer that knows graph, weights and order of events has a linear equation a message. A
    contribution is determined when only one value of it fits; with noise what is found is the noised one.
    """
    from gossipfl.config.loading import load_simulation  # noqa: PLC0415  # torch is slow to import
    from gossipfl.report.reconstruction_picture import draw_reconstruction  # noqa: PLC0415
    from gossipfl.studies.reconstruction import reconstruct  # noqa: PLC0415

    found = reconstruct(load_simulation(experiment, sets or ()), observers=observer or (), noise=noise)
    if plot is not None:
        first = found.views[0].observer
        parts = {view.node: view.determined / view.contributions for view in found.views if view.observer == first}
        draw_reconstruction(found.graph, first, parts, plot)
    result = {**found.as_json(), "plot": plot}
    emit(result, json=json, text=table(COLUMNS, found.by_distance()))
