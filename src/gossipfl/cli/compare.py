"""`gossipfl compare`: arms times seeds, a table and a report."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group, RenderableType

from gossipfl.cli.comparing import command_line, comparison_progress
from gossipfl.cli.options import JsonOption, OutputOption, SetOption, command_app, example
from gossipfl.cli.output import emit, note, table
from gossipfl.config.loading import load_experiment
from gossipfl.errors import ConfigError
from gossipfl.report import compare_cells as cells
from gossipfl.report.comparison import ArmSummary, Comparison
from gossipfl.runs.default_folder import default_folder
from gossipfl.studies.compare import compare

app = command_app()


@app.command(
    "compare",
    epilog=example(
        "gossipfl compare experiments/quick-compare.yaml",
        "gossipfl compare experiment.yaml --set compare.seeds=5 --output runs/five --json",
        "gossipfl compare experiment.yaml --output runs/five --resume",
    ),
)
def compare_command(
    experiment: Annotated[Path, typer.Argument(help="experiment.yaml with a section compare.", metavar="FILE")],
    *,
    output: OutputOption = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a comparison that was stopped; what is done stays.")
    ] = False,
    sets: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Run every arm of an experiment with every seed, at equal work, and report on them.

    Arms are gossip in any form, Flower's FedAvg, nodes alone, and all data pooled. Some runs go on at a time, in
    processes of their own or on Ray; one that fails or diverges is reported as that, and the others go on. Writes a
    table and report.html, which needs no network. Noise is seeded: nothing here is private.
    """
    if resume and output is None:
        raise ConfigError("--resume: --output is missing: the folder of the comparison that was stopped was expected")
    loaded = load_experiment(experiment, sets or ())
    folder = output or default_folder(experiment.stem)
    try:
        result = compare(loaded, folder, resume=resume, command=command_line(), show=comparison_progress())
    except KeyboardInterrupt:
        note(f"stopped; go on with --output {folder} --resume")
        raise
    emit(result.as_json(), json=json, text=_drawn(result))
    if not any(arm.done for arm in result.arms):
        note("no run has a result")
        raise typer.Exit(1)


def _drawn(comparison: Comparison) -> RenderableType:
    columns = cells.columns(comparison)
    rows = [[_name(arm), *(cells.cell(arm, name) for name in columns), _seeds(arm)] for arm in comparison.arms]
    parts: list[RenderableType] = [table(["arm", *columns.values(), "seeds"], rows)]
    if comparison.measure is not None and len(comparison.arms) > 1:
        parts.append(_differences(comparison))
    return Group(*parts, *_closing(comparison))


def _differences(comparison: Comparison) -> RenderableType:
    rows = [
        [arm.name, cells.difference(arm.differences["mean_node"]), cells.reading(comparison, arm)]
        for arm in comparison.arms
        if arm.differences
    ]
    head = [f"arm − {comparison.terms.reference}", "mean node [95% interval]", "reads as"]
    return table(head, rows)


def _closing(comparison: Comparison) -> list[str]:
    lines = [f"{comparison.measure.text}; mean ± deviation over seeds"] if comparison.measure else []
    lines += [f"{arm.name}: {cells.work(arm)}" for arm in comparison.arms if arm.done and not arm.equal_work]
    lines += [
        f"{arm.name}, seed {seed}: {fault.status}: {fault.message}"
        for arm in comparison.arms
        for seed, fault in arm.faults.items()
    ]
    return [*lines, cells.BYTES, f"report: {comparison.report}"]


def _name(arm: ArmSummary) -> str:
    return arm.name if arm.equal_work or not arm.done else f"{arm.name} *"


def _seeds(arm: ArmSummary) -> str:
    return f"{len(arm.done)} of {len(arm.trials)}"
