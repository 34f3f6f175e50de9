"""`gossipfl plot`: pictures of recorded runs."""

from pathlib import Path
from typing import Annotated

import typer

from gossipfl.cli.options import JsonOption, OutputOption, command_app, example
from gossipfl.cli.output import emit, note
from gossipfl.runs.default_folder import default_folder

app = command_app()


@app.command(
    epilog=example(
        "gossipfl plot runs/quickstart-20260101-120000",
        "gossipfl plot runs/ring runs/torus --output pictures --json",
    )
)
def plot(
    runs: Annotated[list[Path], typer.Argument(help="Folders that gossipfl simulate wrote.", metavar="RUN...")],
    *,
    output: OutputOption = None,
    json: JsonOption = False,
) -> None:
    """Pictures of recorded runs, as PNG and SVG; several runs share the curves.

    Accuracy (or loss) against steps, virtual time and bytes; consensus distance against rounds; the graph in the colors
    of the nodes' accuracies, also as a GIF over virtual time. Nothing is computed that was not recorded. Written into
    the run's folder, of several runs into runs/plots-TIME.
    """
    from gossipfl.report.run_pictures import draw_runs  # noqa: PLC0415  # matplotlib is slow to import
    from gossipfl.report.runs import read_runs  # noqa: PLC0415

    recorded = read_runs(runs)
    folder = output or (runs[0] if len(runs) == 1 else default_folder("plots"))
    pictures = draw_runs(recorded, folder)
    for line in pictures.notes:
        note(line)
    text = "\n".join(str(path) for path in pictures.files)
    emit({"files": pictures.files, "notes": pictures.notes}, json=json, text=text)
