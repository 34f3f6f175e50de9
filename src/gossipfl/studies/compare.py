"""`gossipfl compare`: arms times seeds, from one experiment.yaml to a table and a report.

OUTPUT/config.yaml, result.json, report.html     everything resolved; what `--json` prints; the report
OUTPUT/runs/ARM/seed-N/                          a run, as every run is recorded
"""

import os
from collections.abc import Callable
from pathlib import Path

from gossipfl.config.loading import LoadedExperiment, dump_experiment
from gossipfl.core.json_text import json_text
from gossipfl.errors import DataError, GossipflError
from gossipfl.report.compare_page import Origin, write_page
from gossipfl.report.comparing import read_comparison
from gossipfl.report.comparison import Comparison, Fault, Terms
from gossipfl.runs.run_directory import locked
from gossipfl.studies.compare_executors import OpenExecutor, open_executor
from gossipfl.studies.compare_jobs import Advance, Ended, Jobs
from gossipfl.studies.compare_plan import check_orders, plan_orders, sources_of, table_of
from gossipfl.studies.new_folder import make_new_folder

REPORT = "report.html"


def compare(
    experiment: LoadedExperiment,
    output: Path,
    *,
    resume: bool = False,
    command: str = "gossipfl.compare(…)",
    show: Callable[[Advance], None] = lambda _: None,
    executor: OpenExecutor = open_executor,
) -> Comparison:
    """Runs every arm with every seed and puts what they recorded side by side.

    Args:
        experiment: as `load_experiment` gives it, with a section `compare`.
        output: new or empty; with `resume` the folder of one that was stopped: what is done is read, not done again.
        command: how it was called, for the report.
        show: told ten times a second how far it is.
        executor: does the runs.

    Guarantees:
        A run that fails or diverges is reported as that, and the others go on. Ctrl-C and SIGTERM end all runs.

    Raises:
        UserError: the table is wrong, an arm's changes make no experiment, a folder belongs to something else, or
            another process compares in it.
        KeyboardInterrupt: it was stopped; `resume` goes on.
    """
    table, orders = table_of(experiment), plan_orders(experiment, output)
    _open(output, resume=resume)
    check_orders(orders)
    at_once = table.jobs or os.cpu_count() or 1
    with locked(output / "config.yaml"):
        (output / "config.yaml").write_text(dump_experiment(experiment.experiment), encoding="utf-8")
        with executor(table, at_once) as opened:
            ended = Jobs(orders, opened, at_once=at_once)(show)
        faults = {name: _fault(end) for name, end in ended.items() if end.status != "done"}
        sources = list(sources_of(experiment, orders, faults))
        comparison = read_comparison(sources, Terms(table.held_against, table.goal), output / REPORT)
        write_page(comparison, Origin(command, experiment.experiment, at_once))
        (output / "result.json").write_text(json_text(comparison.as_json()) + "\n")
    return comparison


def _open(output: Path, *, resume: bool) -> None:
    if not resume:
        make_new_folder(output, hint="; --resume goes on with a comparison that was stopped")
        return
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"--output {output}: {error.strerror}") from error


def _fault(ended: Ended) -> Fault:
    match ended.status:
        case "diverged":
            return Fault("diverged", ended.message)
        case "failed":
            return Fault("failed", ended.message)
        case "stopped":
            return Fault("failed", "it was stopped; --resume goes on with it")
        case "done":
            raise GossipflError("a run that is done has no fault")
