"""`gossipfl audit memorization`: what models recite of one node's passages."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Group

from gossipfl.cli.comparing import command_line, comparison_progress
from gossipfl.cli.options import JsonOption, OutputOption, SetOption
from gossipfl.cli.output import emit, note, table
from gossipfl.core.json_text import json_text
from gossipfl.errors import ConfigError
from gossipfl.runs.default_folder import default_folder

if TYPE_CHECKING:
    from gossipfl.report.memorization import Memorization

EXAMPLES = (
    "gossipfl audit memorization experiments/memorization.yaml --quick",
    "gossipfl audit memorization experiments/memorization.yaml --output runs/memory --resume",
)
TOLD_EVERY = 100
"""Steps of making the model between two lines."""


def memorization(  # one an option
    experiment: Annotated[Path, typer.Argument(help="experiment.yaml.", metavar="FILE")],
    *,
    quick: Annotated[
        bool, typer.Option("--quick", help="The first seed of the first four arms: no intervals.")
    ] = False,
    output: OutputOption = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an audit that was stopped; what is done stays.")
    ] = False,
    sets: SetOption = None,
    json: JsonOption = False,
) -> None:
    """What every node's model recites of passages that one node has trained on, once or ten times.

    Runs the arms of `compare` with all seeds; data.canaries says whose passages. Each last state continues prompts of
    several lengths, greedily: word for word, or nearly (BLEU)? Masks and encryption hide what is sent, not what a
    model has learned: they change nothing here. Noise is seeded: nothing here is private.
    """
    from gossipfl.config.loading import load_experiment  # noqa: PLC0415  # torch is slow to import
    from gossipfl.studies.memorization import audit_memorization  # noqa: PLC0415
    from gossipfl.studies.study_options import Terms  # noqa: PLC0415

    if resume and output is None:
        raise ConfigError("--resume: --output is missing: the folder of the audit that was stopped was expected")
    folder = output or default_folder(experiment.stem)
    try:
        found = audit_memorization(
            load_experiment(experiment, sets or ()),
            folder,
            Terms(command_line(), resume),
            quick=quick,
            show=comparison_progress(),
            show_pretraining=_pretraining(),
        )
    except KeyboardInterrupt:
        note(f"stopped; go on with --output {folder} --resume")
        raise
    emit(found.as_json(), json=json, text=drawn(found))
    if not any(arm.seeds for arm in found.arms[1:]):
        note("no run has a result")
        raise typer.Exit(1)


def _pretraining() -> Callable[[int, int, float], None]:
    def show(step: int, steps: int, loss: float) -> None:
        if step % TOLD_EVERY == 0 or step == steps:
            note(json_text({"pretraining": step, "steps": steps, "loss": round(loss, 3)}))

    return show


def drawn(found: "Memorization") -> Group:
    """The report's tables; the first in two parts, so that no interval is cut off at the width of a pipe."""
    from gossipfl.report.memorization import COLUMNS, DISTANCES, RECITED  # noqa: PLC0415

    rows = found.rows()
    return Group(
        table(COLUMNS[:RECITED], [row[:RECITED] for row in rows]),
        table((COLUMNS[0], *COLUMNS[RECITED:]), [(row[0], *row[RECITED:]) for row in rows]),
        found.words(),
        table(found.distance_columns(), found.distance_rows()),
        DISTANCES,
        *found.faults(),
        *(f"{name}: {path}" for name, path in found.files.items()),
    )
